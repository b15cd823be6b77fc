"""Nothing in silence, both ways: what callers of this format say to others, and what others say to Google.

See `support.silence` for the rule and `support.documented_gemini` for the table.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from pi_model_proxy.dialects import anthropic_messages, google_gemini, openai_chat, openai_responses
from pi_model_proxy.dialects.base import ClientHalf
from pi_model_proxy.hub import Target
from support.documented_chat import CHAT_CASES, CHAT_SAYS_NOTHING, CHAT_VALUES
from support.documented_gemini import (
    GEMINI_CASES,
    GEMINI_DOCUMENTED,
    GEMINI_SAYS_NOTHING,
    GEMINI_VALUES,
)
from support.documented_messages import MESSAGES_CASES, MESSAGES_SAYS_NOTHING, MESSAGES_VALUES
from support.gemini_wire import LEVELS, target
from support.silence import Case, hear, strange_paths, unsaid


def _other(kind: str, **changes: Any) -> Target:
    return Target(provider="acme", model="acme-1", public_model="acme/acme-1", kind=kind, **changes)


GOOGLES: Final = {
    "gemini 3": target("gemini-3.1-pro-preview", thinking_levels=LEVELS),
    "gemini 3 hosted by Google": target(hosted_by_vendor=True),
    "gemini 2.5": target("gemini-2.5-flash"),
    "gemini 2.5 pro": target("gemini-2.5-pro"),
    "a model that neither thinks nor sees": target("gemini-2.0-flash", reasoning=False, takes_images=False),
}
OTHERS: Final[dict[str, tuple[ClientHalf, Target]]] = {
    "messages": (anthropic_messages.CLIENT, _other("anthropic-messages", reasoning=True)),
    "messages plain": (anthropic_messages.CLIENT, _other("anthropic-messages", takes_images=False)),
    "responses": (openai_responses.CLIENT, _other("openai-responses", reasoning=True, hosted_by_vendor=True)),
    "chat": (openai_chat.CLIENT, _other("openai-completions", reasoning=True)),
}
CALLERS: Final = {
    "chat": (openai_chat.SERVER, CHAT_CASES, CHAT_VALUES, CHAT_SAYS_NOTHING),
    "messages": (anthropic_messages.SERVER, MESSAGES_CASES, MESSAGES_VALUES, MESSAGES_SAYS_NOTHING),
}
REQUESTS: Final = [
    pytest.param(caller, case, id=f"{caller}: {case.name}")
    for caller, (_, cases, _, _) in CALLERS.items()
    for case in cases
]
CHAT_LEAVES_OUT: Final = frozenset({"generationConfig.candidateCount", "signed text", "a token alone"})
"""Of the chat client half: it names `n` whatever the caller calls it, and replays no token that has no text."""


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_google_is_told_every_part_of_a_request_or_it_is_listed(caller: str, case: Case) -> None:
    server, _, values, says_nothing = CALLERS[caller]
    found: list[str] = []
    for where, google in GOOGLES.items():
        heard = hear(case.body, server, google_gemini.CLIENT, google)
        lines = unsaid(case, values, says_nothing, server, google_gemini.CLIENT, google)
        found += [f"{where}: {line}" for line in (*lines, *strange_paths(heard, case.body))]
        strict = hear(case.body, server, google_gemini.CLIENT, msgspec.structs.replace(google, strict=True))
        assert (strict.refused is not None) == bool(heard.dropped or heard.refused), where
    assert found == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in GEMINI_CASES])
def test_others_are_told_every_part_of_a_gemini_request_or_it_is_listed(case: Case) -> None:
    server = google_gemini.SERVER
    found: list[str] = []
    for where, (client, other) in OTHERS.items():
        if where == "chat" and case.name in CHAT_LEAVES_OUT:
            continue
        heard = hear(case.body, server, client, other)
        lines = unsaid(case, GEMINI_VALUES, GEMINI_SAYS_NOTHING, server, client, other)
        found += [f"{where}: {line}" for line in (*lines, *strange_paths(heard, case.body))]
        strict = hear(case.body, server, client, msgspec.structs.replace(other, strict=True))
        assert (strict.refused is not None) == bool(heard.dropped or heard.refused), where
    assert found == []


def test_the_table_knows_every_documented_field() -> None:
    looked_at = {root.partition(".")[0].partition("[")[0] for case in GEMINI_CASES for root in case.about}
    assert looked_at >= GEMINI_DOCUMENTED
