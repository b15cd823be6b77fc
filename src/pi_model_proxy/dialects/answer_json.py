"""Typed access to an upstream's JSON, which is never refused for what we do not need of it."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pi_model_proxy.dialects.surrogates import mend_body

__all__ = ["Count", "read_answer", "whole_count"]

T = TypeVar("T")

Count = int | float | None
"""A number of tokens as upstreams write it."""


def read_answer(raw: msgspec.Raw | bytes, shape: type[T]) -> T | None:
    """Return the JSON in `raw` as `shape`, or None when it is absent, null or something else.

    Escaped lone surrogates, which are valid JSON to most but not to msgspec, are mended.
    """
    try:
        return msgspec.json.decode(raw, type=shape)
    except (ValueError, RecursionError):  # msgspec's DecodeError and bad UTF-8 are ValueErrors
        data = bytes(raw)
    mended = mend_body(data)
    return None if mended is data else read_answer(mended, shape)


def whole_count(number: Count) -> int:
    """Return a count that can be added up: whole, never negative, 0 when there is none."""
    return max(0, int(number)) if number is not None else 0
