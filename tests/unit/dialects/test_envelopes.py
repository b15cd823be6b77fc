"""A token of any vendor comes back, whatever format its caller speaks."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from pi_model_proxy.dialects import envelopes
from pi_model_proxy.dialects.anthropic_messages.envelope import unwrap, wrap
from pi_model_proxy.dialects.google_gemini.signatures import Carried, pack, unpack
from pi_model_proxy.dialects.openai_responses.envelope import open_reasoning, pack_reasoning
from pi_model_proxy.hub import Opaque, ReasoningBlock

KINDS = get_args(get_type_hints(Opaque)["kind"])
FOREIGN_TO_ANTHROPIC = [kind for kind in KINDS if not kind.startswith("anthropic_")]
FOREIGN_TO_GOOGLE = [kind for kind in KINDS if kind != "gemini_signature"]


def token(kind: Any) -> Opaque:
    return Opaque(kind=kind, data="to/k+en==", item_id="rs_1", origin="acme/m")


@pytest.mark.parametrize("kind", FOREIGN_TO_ANTHROPIC)
def test_a_messages_caller_brings_it_back(kind: str) -> None:
    assert unwrap(wrap(token(kind), "elsewhere/m")) == token(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_responses_caller_brings_it_back(kind: str) -> None:
    block = ReasoningBlock(text="Hm.", summary=True, opaque=token(kind))
    packed = pack_reasoning(block, origin="elsewhere/m", item_id="rs_2", shows="summary")
    assert packed.encrypted is not None
    assert open_reasoning(packed.encrypted, "rs_2", packed.parts, []) == block


@pytest.mark.parametrize("kind", FOREIGN_TO_GOOGLE)
def test_a_gemini_caller_brings_it_back(kind: str) -> None:
    block = ReasoningBlock(text="Hm.", opaque=token(kind), at="contents[0]")
    carried = Carried.of(block, "elsewhere/m")
    assert carried is not None
    assert [each.block("contents[0]") for each in unpack(pack([carried])) or []] == [block]


@pytest.mark.parametrize(
    "broken", ["", "pmp1.", "pmp1.x", "pmp2.x.e30", "pmp1.x.!", "pmp1.x.W10", "pmp1.x.e30.y"]
)
def test_a_broken_letter_is_none(broken: str) -> None:
    assert envelopes.open_letter(broken) is None
