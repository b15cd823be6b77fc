"""The short way for a relayed request of which nothing changes but the model's name and the wish for usage.

That is most requests to most models. What could demand more depends on the model alone and is
worked out once for each: which members, and which words in the messages. A request that has one of
them takes the long way (`relay_request`), which decides; both ways give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.openai_chat.quirks import Quirks, quirks_of
from pi_model_proxy.dialects.openai_chat.relay_messages import needs_every_message, telling_words
from pi_model_proxy.dialects.openai_chat.relay_request import (
    is_understood,
    passed_headers,
    places_marks,
)
from pi_model_proxy.dialects.openai_chat.request_out import PATH, routing_fields
from pi_model_proxy.dialects.openai_chat.thinking import thinking_fields
from pi_model_proxy.dialects.reasoning import LEVELS
from pi_model_proxy.dialects.remembered import Remembered
from pi_model_proxy.hub import Target
from pi_model_proxy.wire import compact_json, object_of

__all__ = ["kept_request"]

_Test = Callable[[msgspec.Raw], bool]
"""Tells whether a member of this value may stay as it is; it raises `ValueError` for one that cannot be read."""

_NULL: Final = msgspec.Raw(b"null")
_TRUE: Final = msgspec.Raw(b"true")
_WISH: Final = msgspec.Raw(b'{"include_usage":true}')
_EFFORTS: Final = {compact_json(word): word for word in (*LEVELS, "none")}
_number: Final = msgspec.json.Decoder(int | float | None).decode
_text: Final = msgspec.json.Decoder(str | None).decode
_any: Final = msgspec.json.Decoder(Any).decode


def kept_request(
    body: bytes, members: Mapping[str, msgspec.Raw], target: Target, headers: Mapping[str, str]
) -> Outgoing | None:
    """Return the request with its bytes kept; None when more may have to change, or be refused."""
    kept = _kept_by(target)
    if kept.tests is None or "messages" not in members:
        return None
    try:
        for name in kept.tests.keys() & members:
            if not kept.tests[name](members[name]):
                return None
    except (ValueError, RecursionError):
        return None
    if kept.words.search(body) is not None:
        return None
    written = {**members, "model": kept.model}
    stream = members.get("stream") == _TRUE
    if stream and kept.wishes_usage and "stream_options" not in members:
        written["stream_options"] = _WISH
    return Outgoing(path=PATH, body=object_of(written), headers=passed_headers(headers), stream=stream)


class _Kept:
    """What requests to one model may hold and still be kept."""

    __slots__ = ("model", "tests", "wishes_usage", "words")

    def __init__(self, target: Target) -> None:
        quirks = quirks_of(target.compat)
        self.model = msgspec.Raw(compact_json(target.identity.deployment or target.model))
        self.words = telling_words(target, quirks)
        self.wishes_usage = quirks.supports_usage_in_streaming
        self.tests: dict[str, _Test] | None = None
        """A member that may have to change, to what tells whether it does; None when every request changes."""
        if not _changes_every_request(target, quirks):
            self.tests = _tests(target, quirks)


_kept_by: Final = Remembered(_Kept)


def _changes_every_request(target: Target, quirks: Quirks) -> bool:
    return bool(
        target.level is not None
        or target.sampling_params
        or target.sampling_params_by_level
        or not target.identity.omitted_fields.isdisjoint({"model", "stream_options"})
        or places_marks(target, quirks)
        or needs_every_message(target, quirks)
        or routing_fields(quirks)
        or thinking_fields(None, quirks, target, max_output=None)
    )


def _tests(target: Target, quirks: Quirks) -> dict[str, _Test]:
    tests: dict[str, _Test] = {
        "stream_options": _asks_for_usage if quirks.supports_usage_in_streaming else _never,
        "max_tokens": _is_number,
        "max_completion_tokens": _is_number,
        "prompt_cache_key": _never if quirks.send_session_affinity_headers else _is_text,
        "reasoning_effort": _effort_test(target, quirks),
        "chat_template_kwargs": _is_readable,
        "chat_template_args": _is_readable,
    }
    if quirks.max_tokens_field == "max_tokens":
        tests["max_completion_tokens"] = _is_null
    elif target.hosted_by_vendor and target.reasoning:
        tests["max_tokens"] = _is_null
    if quirks.zai_tool_stream:
        tests["tools"] = _is_null
    return tests | dict.fromkeys(STEERING_FIELDS | target.identity.omitted_fields, _never)


def _never(raw: msgspec.Raw) -> bool:
    del raw
    return False


def _is_null(raw: msgspec.Raw) -> bool:
    return raw == _NULL


def _is_number(raw: msgspec.Raw) -> bool:
    _number(raw)
    return True


def _is_text(raw: msgspec.Raw) -> bool:
    _text(raw)
    return True


def _is_readable(raw: msgspec.Raw) -> bool:
    _any(raw)
    return True


def _asks_for_usage(raw: msgspec.Raw) -> bool:
    options = _any(raw)
    return isinstance(options, dict) and options.get("include_usage") is True


def _effort_test(target: Target, quirks: Quirks) -> _Test:
    known: dict[bytes, bool] = {}

    def test(raw: msgspec.Raw) -> bool:
        spelt = bytes(raw)
        if spelt not in known:
            if spelt not in _EFFORTS:
                return False
            known[spelt] = is_understood(_EFFORTS[spelt], target, quirks)
        return known[spelt]

    return test
