"""Nothing in silence: what callers of this format say to others; see `support.silence` for the rule."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from pi_model_proxy.dialects import (
    anthropic_messages,
    bedrock_converse,
    google_gemini,
    mistral_conversations,
    ollama,
    openai_chat,
    openai_responses,
    pi_messages,
)
from pi_model_proxy.dialects.base import ClientHalf, ServerHalf
from pi_model_proxy.hub import Target
from support.documented_ollama import (
    GENERATE_CASES,
    OLLAMA_CASES,
    OLLAMA_SAYS_NOTHING,
    OLLAMA_VALUES,
)
from support.gemini_wire import LEVELS
from support.gemini_wire import target as google
from support.silence import Case, hear, overlooked, strange_paths, unsaid


def _target(kind: str, **changes: Any) -> Target:
    return Target(provider="acme", model="acme-1", public_model="acme/acme-1", kind=kind, **changes)


TARGETS: Final[dict[str, tuple[ClientHalf, Target]]] = {
    "chat": (
        openai_chat.CLIENT,
        _target("openai-completions", reasoning=True, thinking_levels={"off": "none"}),
    ),
    "chat plain": (openai_chat.CLIENT, _target("openai-completions", takes_images=False)),
    "messages": (anthropic_messages.CLIENT, _target("anthropic-messages", reasoning=True)),
    "responses": (
        openai_responses.CLIENT,
        _target("openai-responses", reasoning=True, hosted_by_vendor=True),
    ),
    "gemini": (google_gemini.CLIENT, google("gemini-3.1-pro-preview", thinking_levels=LEVELS)),
    "mistral": (
        mistral_conversations.CLIENT,
        _target("mistral-conversations", reasoning=True, thinking_levels={"off": "none"}),
    ),
    "bedrock": (bedrock_converse.CLIENT, _target("bedrock-converse-stream", reasoning=True)),
    "radius": (pi_messages.CLIENT, _target("pi-messages", reasoning=True)),
}
CASES: Final = [
    *(pytest.param(ollama.SERVER, case, id=case.name) for case in OLLAMA_CASES),
    *(pytest.param(ollama.GENERATE_SERVER, case, id=case.name) for case in GENERATE_CASES),
]


@pytest.mark.parametrize(("server", "case"), CASES)
def test_every_part_of_a_request_is_said_listed_or_refused(server: ServerHalf, case: Case) -> None:
    found: list[str] = []
    for where, (client, target) in TARGETS.items():
        heard = hear(case.body, server, client, target)
        lines = unsaid(case, OLLAMA_VALUES, OLLAMA_SAYS_NOTHING, server, client, target)
        found += [f"{where}: {line}" for line in (*lines, *strange_paths(heard, case.body))]
        found += [f"{where}: {path}" for path in overlooked(case, server, client, target)]
        strict = hear(case.body, server, client, msgspec.structs.replace(target, strict=True))
        assert (strict.refused is not None) == bool(heard.dropped or heard.refused), where
    assert found == []
