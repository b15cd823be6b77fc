"""The Response object of an upstream on its way to a caller: under the caller's model name, and whole.

Members that OpenAI always sends and other servers leave out are put in, for callers' types ask for
them (dialects.md §2.9: Grok Build; Open Responses' `ResponseResource`). All else stays as it came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.openai_responses.payloads import Response, read
from pi_model_proxy.dialects.openai_responses.response_object import restated, usage_json
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.hub import Finish
from pi_model_proxy.wire import ascii_json, compact_json, edit_object, raw_object

__all__ = ["Renamer", "finish_of", "item_types"]

_UNSAID: Final = frozenset({"object", "created_at", "status", "output"})
"""Members that only the upstream can know, and that every server sends."""
_NULL: Final = b"null"
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})


_ASIDE: Final[dict[str, object]] = {
    "error": None,
    "incomplete_details": None,
    "usage": None,
    "completed_at": None,
    "background": False,
    "service_tier": "default",
}
"""Defaults of members that repeat nothing of the request."""
_NAMES: Final = (*_ASIDE, "store", *raw_object(b"{" + restated(b"").members[1:] + b"}"))
_NEEDED: Final = frozenset(_NAMES)


class _Cached(msgspec.Struct):
    cached_tokens: int


class _Thought(msgspec.Struct):
    reasoning_tokens: int


class _Counts(msgspec.Struct):
    """The counts that callers' types ask for."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: _Cached
    output_tokens_details: _Thought


_counts_decoder: Final = msgspec.json.Decoder(_Counts)
_whole_decoder: Final = msgspec.json.Decoder(
    msgspec.defstruct(
        "_Whole", [(name, _Counts | None if name == "usage" else msgspec.Raw) for name in _NAMES]
    )
)


class _Typed(msgspec.Struct):
    type: str = ""


def _is_whole(response: bytes) -> bool:
    """Tell whether a Response object has every member that callers' types ask for."""
    try:
        _whole_decoder.decode(response)
    except (ValueError, RecursionError):
        return False
    return True


def _whole_counts(raw: bytes) -> dict[str, bytes]:
    """Return the member `usage` with the counts it lacks, which are none; nothing when it lacks none."""
    if raw == _NULL:
        return {}
    try:
        _counts_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        counts = Response(usage=msgspec.Raw(raw)).counts
        return (
            {}
            if counts is None
            else {"usage": edit_object(raw_object(raw), put=raw_object(usage_json(counts)))}
        )
    return {}


class Renamer:
    """Puts the caller's model name, and what is missing, into the Response objects of one answer."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._model = ascii_json(context.model)
        self._defaults: dict[str, bytes] | None = None

    def in_place(self, data: bytes, response: bytes, upstream_model: str) -> bytes | None:
        """Return an event with the one name changed where it stands; None when that cannot be done safely.

        Inside JSON strings quotes are escaped, so a needle can only be a member; one that is there
        once is the response's own.
        """
        needle = b'"model":' + ascii_json(upstream_model)
        if data.count(needle) != 1 or not (self._context.target.hosted_by_vendor or _is_whole(response)):
            return None
        return data.replace(needle, b'"model":' + self._model)

    def edited(self, raw: bytes, put: dict[str, bytes] | None = None) -> bytes:
        """Return a Response object under the caller's model name, with every member it must have.

        Raises:
            msgspec.DecodeError: no object.
        """
        members = raw_object(mend_body(raw))
        changed = {**(put or {}), **_whole_counts(members.get("usage", _NULL)), "model": self._model}
        if members.keys() >= _NEEDED:
            return edit_object(members, put=changed)
        missing = {
            name: value for name, value in self._all().items() if name not in members and name not in _UNSAID
        }
        clock = self._context.clock
        if clock is not None and "completed_at" in missing and members.get("status") == b'"completed"':
            missing["completed_at"] = b"%d" % int(clock())
        return edit_object(members, put=missing | changed)

    def _all(self) -> dict[str, bytes]:
        if self._defaults is None:
            echo = raw_object(b"{" + restated(self._context.body).members[1:] + b"}")
            aside = {**_ASIDE, "store": self._context.stored}
            self._defaults = {**{name: compact_json(value) for name, value in aside.items()}, **echo}
        return self._defaults


def item_types(items: Iterable[msgspec.Raw]) -> list[str]:
    """Return the types of items."""
    return [typed.type for raw in items if (typed := read(raw, _Typed)) is not None]


def finish_of(response: Response, word: str, types: Iterable[str], *, refused: bool) -> Finish:
    """Return how an answer ended whose items were of `types`; `word` is its status."""
    cut_by = response.incomplete_reason
    native = f"{word}.{cut_by}" if cut_by else word
    if word == "incomplete" or cut_by is not None:
        return Finish(reason="content_filter" if cut_by == "content_filter" else "length", native=native)
    if any(type_ in _CALLS for type_ in types):
        return Finish(reason="tool_calls", native=native)
    return Finish(reason="refusal" if refused else "stop", native=native)
