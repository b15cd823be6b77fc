"""The short way for a relayed request of which nothing changes but the model's name.

That is most requests to most models. What could demand more depends on the model alone and is
worked out once for each: which members, and which words anywhere. A request that has one of them
takes the long way (`relay_request`), which decides; both ways give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.headers import MESSAGES_PATH, relayed_headers
from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks, quirks_of
from pi_model_proxy.dialects.anthropic_messages.relay_blocks import Suspicions
from pi_model_proxy.dialects.anthropic_messages.relay_messages import INSTRUCTION
from pi_model_proxy.dialects.anthropic_messages.relay_request import BETA_FIELDS
from pi_model_proxy.dialects.anthropic_messages.relay_thinking import SAMPLING_FIELDS, leaves_thinking
from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.remembered import Remembered
from pi_model_proxy.hub import Target
from pi_model_proxy.wire import compact_json, object_of

__all__ = ["kept_request"]

_Test = Callable[[msgspec.Raw], bool]
"""Tells whether a member of this value may stay as it is."""

_NULL: Final = msgspec.Raw(b"null")
_TRUE: Final = msgspec.Raw(b"true")
_ARRAY: Final = ord("[")


def kept_request(
    body: bytes, members: Mapping[str, msgspec.Raw], target: Target, headers: Mapping[str, str]
) -> Outgoing | None:
    """Return the request with its bytes kept; None when more may have to change, or be refused."""
    kept = _kept_by(target)
    if kept.tests is None:
        return None
    for name, raw in members.items():
        test = kept.tests.get(name)
        if test is not None and not test(raw):
            return None
    try:
        thinking = members.get("thinking", _NULL)
        if thinking != _NULL and not leaves_thinking(members, target, kept.quirks):
            return None
    except (ValueError, RecursionError):
        return None
    own_headers, stripped = relayed_headers(headers, by_vendor=target.hosted_by_vendor)
    if stripped or kept.suspicions.arise(body):
        return None
    return Outgoing(
        path=MESSAGES_PATH,
        body=object_of({**members, "model": kept.model}),
        headers=own_headers,
        stream=members.get("stream") == _TRUE,
    )


class _Kept:
    """What requests to one model may hold and still be kept."""

    __slots__ = ("model", "quirks", "suspicions", "tests")

    def __init__(self, target: Target) -> None:
        self.quirks = quirks = quirks_of(target.compat)
        self.model = msgspec.Raw(compact_json(target.model))
        folds = not quirks.takes_mid_instructions
        self.suspicions = Suspicions(target, quirks, *((INSTRUCTION,) if folds else ()))
        self.tests: dict[str, _Test] | None = None
        """A member that may have to change, to what tells whether it does; None when every request changes."""
        if target.level is None and target.identity.system_text is None:
            self.tests = _tests(target, quirks)


_kept_by: Final = Remembered(_Kept)


def _tests(target: Target, quirks: Quirks) -> dict[str, _Test]:
    tests: dict[str, _Test] = {"tools": _is_array}
    if target.identity.tool_names:
        tests |= {"tools": _is_null, "tool_choice": _is_null}
    never = STEERING_FIELDS | target.identity.omitted_fields
    if not target.hosted_by_vendor:
        never |= BETA_FIELDS.keys()
    if not quirks.takes_sampling:
        never |= set(SAMPLING_FIELDS)
    if quirks.wants_session_header:
        never |= {"metadata"}  # it names the conversation
    return tests | dict.fromkeys(never, _never)


def _never(raw: msgspec.Raw) -> bool:
    del raw
    return False


def _is_null(raw: msgspec.Raw) -> bool:
    return raw == _NULL


def _is_array(raw: msgspec.Raw) -> bool:
    return memoryview(raw)[0] == _ARRAY or raw == _NULL
