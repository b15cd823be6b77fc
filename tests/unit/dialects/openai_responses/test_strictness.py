"""What we send is what OpenAI takes: the golden requests before the strict provider's rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_responses import CLIENT
from pi_model_proxy.hub import TextBlock, Turn
from support.responses_stream import CREATED, message_of, request, target
from support.strict_provider.rulebook import Case, Verdict
from support.strict_provider.rules_responses import RESPONSES_RULES
from support.strict_provider.traits import ALL_EFFORTS, ResponsesTraits
from support.strict_provider.vault import Vault, digest

FOLDER = Path(__file__).parents[3] / "golden" / "openai_responses"
USER = Turn(role="user", blocks=(TextBlock(text="hi"),))


def judge(body: dict[str, Any], *, reasoning: bool = True, vault: Vault | None = None) -> Verdict | None:
    traits = ResponsesTraits(reasoning=reasoning, efforts=ALL_EFFORTS, max_output=100_000, model="gpt-x")
    return RESPONSES_RULES.judge(Case(body=body, traits=traits, vault=vault or Vault(), account="me"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/upstream.json")), ids=lambda path: path.parent.name)
def test_a_golden_request_is_taken(path: Path) -> None:
    body = json.loads(path.read_bytes())["body"]
    found = judge(body, reasoning="include" in body)
    # The captured blob is nobody's: that it is the only complaint shows that all else was in order.
    made_up = any(item.get("type") == "reasoning" for item in body["input"])
    assert (found.rule if found else None) == ("sealed-reasoning-returns-unchanged" if made_up else None)


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "two\n\nhalves"], ["", "one"]])
def test_thinking_comes_back_so_that_its_maker_knows_it(texts: list[str]) -> None:
    vault = Vault()
    summary = [{"type": "summary_text", "text": text} for text in texts]
    blob = vault.seal("reasoning", id="rs_1", summary=digest(summary), account="me", model="gpt-x")
    item = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": blob}
    said = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "t"}]}
    response = {"id": "r", "object": "response", "status": "completed", "output": [item, said]}
    answer = message_of([CREATED, {"type": "response.completed", "response": response}])
    turns = (USER, Turn(role="assistant", blocks=answer.blocks), USER)
    body = json.loads(CLIENT.encode_request(request(turns=turns), target()).body)
    assert judge(body, vault=vault) is None
    assert body["input"][1] == item
