"""What the gateway must know of a request before it chooses a model, without making objects of what is in it."""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.base import Peek
from pi_model_proxy.dialects.reading import read_json
from pi_model_proxy.wire import members_of

__all__ = ["peek_request"]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_text: Final = msgspec.json.Decoder(str | None).decode
_flag: Final = msgspec.json.Decoder(bool | None).decode
_options: Final = msgspec.json.Decoder(_StreamOptions | None).decode


def peek_request(body: bytes, *, usage_on_demand: bool) -> Peek:
    """Return what routing needs.

    Args:
        body: The caller's JSON.
        usage_on_demand: Whether the format tells counts only to callers whose `stream_options` ask for them.

    Raises:
        BadRequest: names the JSON path.
    """
    try:
        members = members_of(body)
        wants_usage = not usage_on_demand
        if usage_on_demand and "stream_options" in members:
            options = _options(members["stream_options"])
            wants_usage = options is not None and options.include_usage is True
        return Peek(
            model=_text(members["model"]) if "model" in members else None,
            stream="stream" in members and _flag(members["stream"]) is True,
            wants_usage=wants_usage,
            members=members,
        )
    except (ValueError, RecursionError):
        return _slow_peek(body, usage_on_demand=usage_on_demand)


def _slow_peek(body: bytes, *, usage_on_demand: bool) -> Peek:
    """Read all of it: lone surrogates are mended, and a field of the wrong type is found out."""
    request = read_json(body)
    options = request.object("stream_options") if usage_on_demand else None
    return Peek(
        model=request.text("model"),
        stream=request.flag("stream") is True,
        wants_usage=not usage_on_demand or (options is not None and options.flag("include_usage") is True),
    )
