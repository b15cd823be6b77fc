"""Nothing in silence: every documented thing a request can say is said to the upstream, listed or refused.

Table-driven, see `support.silence` for the rule, `support.documented_chat` and
`support.documented_messages` for the tables. A field that joins a format joins its table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest

from pi_model_proxy.dialects import anthropic_messages, openai_chat, openai_responses
from pi_model_proxy.dialects.base import ClientHalf
from pi_model_proxy.hub import Target
from support.documented_chat import CHAT_CASES, CHAT_DOCUMENTED, CHAT_SAYS_NOTHING, CHAT_VALUES
from support.documented_messages import (
    MESSAGES_CASES,
    MESSAGES_DOCUMENTED,
    MESSAGES_SAYS_NOTHING,
    MESSAGES_VALUES,
)
from support.silence import Case, hear, is_within, overlooked, places_of, strange_paths, unsaid


def _target(kind: str, **changes: Any) -> Target:
    return Target(provider="acme", model="acme-1", public_model="acme/acme-1", kind=kind, **changes)


TARGETS: Final = {
    "messages plain": (anthropic_messages.CLIENT, _target("anthropic-messages")),
    "messages thinks by budget": (anthropic_messages.CLIENT, _target("anthropic-messages", reasoning=True)),
    "messages newest": (
        anthropic_messages.CLIENT,
        _target(
            "anthropic-messages",
            reasoning=True,
            hosted_by_vendor=True,
            compat={
                "forceAdaptiveThinking": True,
                "supportsTemperature": False,
                "supportsStrictTools": True,
                "supportsMidConvoSystemMessages": True,
            },
        ),
    ),
    "messages compatible": (
        anthropic_messages.CLIENT,
        _target(
            "anthropic-messages",
            takes_images=False,
            compat={
                "supportsLongCacheRetention": False,
                "supportsCacheControlOnTools": False,
                "sendSessionAffinityHeaders": True,
                "allowEmptySignature": True,
            },
        ),
    ),
    "chat plain": (openai_chat.CLIENT, _target("openai-completions", takes_images=False)),
    "chat thinks": (openai_chat.CLIENT, _target("openai-completions", reasoning=True)),
    "chat openai": (openai_chat.CLIENT, _target("openai-completions", hosted_by_vendor=True)),
    "chat openai thinks": (
        openai_chat.CLIENT,
        _target("openai-completions", hosted_by_vendor=True, reasoning=True),
    ),
    "chat claude at openrouter": (
        openai_chat.CLIENT,
        _target(
            "openai-completions",
            reasoning=True,
            compat={
                "cacheControlFormat": "anthropic",
                "thinkingFormat": "openrouter",
                "supportsLongCacheRetention": False,
                "sendSessionAffinityHeaders": True,
                "sessionAffinityFormat": "openrouter",
            },
        ),
    ),
    "chat deepseek": (
        openai_chat.CLIENT,
        _target(
            "openai-completions",
            reasoning=True,
            compat={
                "thinkingFormat": "deepseek",
                "requiresReasoningContentOnAssistantMessages": True,
                "supportsStrictMode": True,
            },
        ),
    ),
    "responses plain": (openai_responses.CLIENT, _target("openai-responses", takes_images=False)),
    "responses openai": (openai_responses.CLIENT, _target("openai-responses", hosted_by_vendor=True)),
    "responses openai thinks": (
        openai_responses.CLIENT,
        _target(
            "openai-responses",
            hosted_by_vendor=True,
            reasoning=True,
            compat={
                "supportsStrictMode": True,
                "supportsOpenAIGrammarTools": True,
                "supportsExplicitPromptCacheMode": True,
            },
        ),
    ),
    "responses compatible": (
        openai_responses.CLIENT,
        _target(
            "openai-responses",
            compat={"promptCacheKeyMode": "disabled", "supportsMaxOutputTokens": False},
        ),
    ),
}
"""Upstreams that differ in what they take."""

CALLERS: Final = {
    "chat": (openai_chat.SERVER, CHAT_CASES, CHAT_VALUES, CHAT_SAYS_NOTHING),
    "messages": (anthropic_messages.SERVER, MESSAGES_CASES, MESSAGES_VALUES, MESSAGES_SAYS_NOTHING),
}

REQUESTS: Final = [
    pytest.param(caller, case, id=f"{caller}: {case.name}")
    for caller, (_, cases, _, _) in CALLERS.items()
    for case in cases
]


def _foreign(caller: str) -> Iterator[tuple[str, ClientHalf, Target]]:
    """The upstreams to which a caller's requests must be translated."""
    for where, (client, target) in TARGETS.items():
        if client.dialect != CALLERS[caller][0].dialect:
            yield where, client, target


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_every_part_of_a_request_is_said_listed_or_refused(caller: str, case: Case) -> None:
    server, _, values, says_nothing = CALLERS[caller]
    found = [
        f"{where}: {line}"
        for where, client, target in _foreign(caller)
        for line in unsaid(case, values, says_nothing, server, client, target)
    ]
    assert found == []


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_a_member_that_nobody_knows_is_sent_listed_or_refused_wherever_it_stands(
    caller: str, case: Case
) -> None:
    server = CALLERS[caller][0]
    found = [
        f"{where}: {path}"
        for where, client, target in _foreign(caller)
        for path in overlooked(case, server, client, target)
    ]
    assert found == []


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_losses_are_named_as_the_caller_spelt_them(caller: str, case: Case) -> None:
    server = CALLERS[caller][0]
    found = [
        f"{where}: {path}"
        for where, client, target in _foreign(caller)
        for path in strange_paths(hear(case.body, server, client, target), case.body)
    ]
    assert found == []


@pytest.mark.parametrize(("caller", "case"), REQUESTS)
def test_strictness_refuses_exactly_what_would_be_listed(caller: str, case: Case) -> None:
    server = CALLERS[caller][0]
    for where, client, target in _foreign(caller):
        lenient = hear(case.body, server, client, target)
        strict = hear(case.body, server, client, msgspec.structs.replace(target, strict=True))
        assert (strict.refused is not None) == bool(lenient.dropped or lenient.refused), where
        assert strange_paths(strict, case.body) == [], where


@pytest.mark.parametrize(
    ("documented", "cases"), [(CHAT_DOCUMENTED, CHAT_CASES), (MESSAGES_DOCUMENTED, MESSAGES_CASES)]
)
def test_the_tables_know_every_documented_member(documented: frozenset[str], cases: tuple[Case, ...]) -> None:
    seen = {place for case in cases for place in places_of(case)}
    assert {each for each in documented if not any(is_within(place, each) for place in seen)} == set()


class TestTheCheckItself:
    """A check that cannot fail would prove nothing."""

    class _Forgetful:
        """A client half that says nothing but `hi` and lists nothing."""

        kind = "forgetful"

        def encode_request(self, request: Any, target: Target) -> Any:
            return openai_chat.CLIENT.encode_request(
                msgspec.structs.replace(request, sampling=type(request.sampling)(), extra={}), target
            )

    def test_a_field_that_vanishes_is_found(self) -> None:
        case = Case(
            "seed", {"messages": [{"role": "user", "content": "a"}], "seed": 7, "new": "x"}, ("seed", "new")
        )
        found = unsaid(case, {}, {}, openai_chat.SERVER, self._Forgetful(), _target("forgetful"))  # type: ignore[arg-type]  # as much of a client half as it takes
        assert {line.partition(":")[0] for line in found} == {"seed", "new"}
