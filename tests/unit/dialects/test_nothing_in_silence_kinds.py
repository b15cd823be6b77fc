"""Nothing in silence, for the kinds that have a client half only; see `test_nothing_in_silence`."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from pi_model_proxy.dialects import (
    anthropic_messages,
    bedrock_converse,
    mistral_conversations,
    openai_chat,
    openai_responses,
    pi_messages,
)
from pi_model_proxy.dialects.base import ClientHalf
from pi_model_proxy.hub import Target
from support.documented_chat import CHAT_CASES, CHAT_SAYS_NOTHING, CHAT_VALUES
from support.documented_messages import MESSAGES_CASES, MESSAGES_SAYS_NOTHING, MESSAGES_VALUES
from support.silence import Case, hear, strange_paths, unsaid


def _target(kind: str, model: str = "acme-1", **changes: Any) -> Target:
    return Target(provider="acme", model=model, public_model="acme/acme-1", kind=kind, **changes)


STRICT: Final = {"supportsStrictMode": True}
TARGETS: Final[dict[str, tuple[ClientHalf, Target]]] = {
    "mistral plain": (mistral_conversations.CLIENT, _target("mistral-conversations")),
    "mistral thinks": (
        mistral_conversations.CLIENT,
        _target(
            "mistral-conversations",
            reasoning=True,
            thinking_levels={"off": "none"},
            compat={"supportsMidConvoSystemMessages": True},
        ),
    ),
    "mistral thinks by prompt, blind": (
        mistral_conversations.CLIENT,
        _target("mistral-conversations", reasoning=True, takes_images=False),
    ),
    "bedrock nova": (bedrock_converse.CLIENT, _target("bedrock-converse-stream", "amazon.nova-pro-v1:0")),
    "bedrock claude by budget": (
        bedrock_converse.CLIENT,
        _target(
            "bedrock-converse-stream",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            reasoning=True,
            compat=STRICT,
        ),
    ),
    "bedrock newest claude": (
        bedrock_converse.CLIENT,
        _target("bedrock-converse-stream", "anthropic.claude-opus-4-8", reasoning=True, compat=STRICT),
    ),
    "bedrock gpt": (
        bedrock_converse.CLIENT,
        _target("bedrock-converse-stream", "openai.gpt-5.5", reasoning=True),
    ),
    "bedrock kimi, blind": (
        bedrock_converse.CLIENT,
        _target("bedrock-converse-stream", "moonshotai.kimi-k2.5", reasoning=True, takes_images=False),
    ),
    "radius": (pi_messages.CLIENT, _target("pi-messages")),
    "radius thinks": (pi_messages.CLIENT, _target("pi-messages", reasoning=True)),
    "azure": (openai_responses.AZURE_CLIENT, _target("azure-openai-responses", compat=STRICT)),
    "codex": (
        openai_responses.CODEX_CLIENT,
        _target(
            "openai-codex-responses",
            reasoning=True,
            compat={**STRICT, "supportsOpenAIGrammarTools": True, "supportsMidConvoSystemMessages": True},
        ),
    ),
}
"""Upstreams that differ in what they take."""

CALLERS: Final = {
    "chat": (openai_chat.SERVER, CHAT_CASES, CHAT_VALUES, CHAT_SAYS_NOTHING),
    "messages": (anthropic_messages.SERVER, MESSAGES_CASES, MESSAGES_VALUES, MESSAGES_SAYS_NOTHING),
}
HIDDEN: Final = {
    "reasoning.exclude": "a chat caller is shown thinking whatever it says, and has no path for that",
    "thinking.display": "a chat caller is shown thinking whatever it says, and has no path for that",
}
MISTRAL: Final = {
    "messages[].content[].input_audio.format": "Mistral hears it from the bytes",
    "reasoning.effort=high": "`high` is also what `as much as it takes` means here",
    "output_config.effort=high": "`high` is also what `as much as it takes` means here",
}
SAYS_NOTHING: Final = {
    "mistral plain": MISTRAL,
    "mistral thinks": MISTRAL | HIDDEN,
    "mistral thinks by prompt, blind": MISTRAL | HIDDEN,
    "bedrock claude by budget": HIDDEN,
    "bedrock newest claude": HIDDEN,
    "bedrock gpt": HIDDEN,
    "radius thinks": HIDDEN,
    "codex": {"verbosity=low": "what happens anyway"},
}
"""Leaves whose value makes no difference to one of these upstreams, and why."""
REFUSED_AS_A_WHOLE: Final = {
    ("radius", "output_config"),
    ("radius", "formats in both places"),
    ("radius", "a result that is a document"),
    ("radius thinks", "output_config"),
    ("radius thinks", "formats in both places"),
    ("radius thinks", "a result that is a document"),
}
"""Requests that are refused because of one thing in them, so that nothing else need be listed."""
REQUESTS: Final = [
    pytest.param(caller, case, id=f"{caller}: {case.name}")
    for caller, (_, cases, _, _) in CALLERS.items()
    for case in cases
]


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_every_part_of_a_request_is_said_listed_or_refused(caller: str, case: Case) -> None:
    server, _, values, says_nothing = CALLERS[caller]
    found = [
        f"{where}: {line}"
        for where, (client, target) in TARGETS.items()
        if (where, case.name) not in REFUSED_AS_A_WHOLE
        for line in unsaid(case, values, says_nothing | SAYS_NOTHING.get(where, {}), server, client, target)
    ]
    assert found == []


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_losses_are_named_as_the_caller_spelt_them(caller: str, case: Case) -> None:
    server = CALLERS[caller][0]
    found = [
        f"{where}: {path}"
        for where, (client, target) in TARGETS.items()
        for path in strange_paths(hear(case.body, server, client, target), case.body)
    ]
    assert found == []


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_strictness_refuses_exactly_what_would_be_listed(caller: str, case: Case) -> None:
    server = CALLERS[caller][0]
    for where, (client, target) in TARGETS.items():
        lenient = hear(case.body, server, client, target)
        strict = hear(case.body, server, client, msgspec.structs.replace(target, strict=True))
        assert (strict.refused is not None) == bool(lenient.dropped or lenient.refused), where
        assert strange_paths(strict, case.body) == [], where
