"""Lone surrogates become U+FFFD: JSON can spell them, UTF-8 cannot, and upstreams refuse them.

JavaScript clients cut strings between the two halves of an emoji (anthropics/claude-code#60394:
"no low surrogate in string"). msgspec refuses such JSON outright, so bodies are mended before
they are read, and text before it is sent.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["clean_json", "clean_json_text", "clean_text", "mend_body"]

_ESCAPES: Final = (
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|(\\.)"
)
"""In order: a pair (kept), a lone half (group-less: replaced), any other escape (kept, so that `\\\\ud83d` is text)."""
_IN_BYTES: Final = re.compile(_ESCAPES, re.DOTALL)
_IN_TEXT: Final = re.compile(_ESCAPES.decode(), re.DOTALL)
_LONE: Final = re.compile("[\ud800-\udfff]")
_HINT: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_REPLACEMENT: Final = "\ufffd"


def mend_body(body: bytes) -> bytes:
    """Return JSON bytes with every escaped lone surrogate replaced; the very same object when there is none."""
    if _HINT.search(body) is None:
        return body
    mended = _IN_BYTES.sub(lambda match: match[0] if match.lastindex else b"\\ufffd", body)
    return body if mended == body else mended


def clean_json_text(text: str) -> str:
    """Return JSON in a string (a tool call's arguments) with lone surrogates replaced, raw and escaped ones."""
    if "\\ud" in text or "\\uD" in text:
        text = _IN_TEXT.sub(lambda match: match[0] if match.lastindex else "\\ufffd", text)
    return clean_text(text)


def clean_text(text: str) -> str:
    """Return `text` with every lone surrogate replaced; a Python string holds no other kind."""
    return text if text.isascii() else _LONE.sub(_REPLACEMENT, text)


def clean_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a decoded JSON value (a tool's schema) with all its strings cleaned, names of members too."""
    match value:
        case str():
            return clean_text(value)
        case list():
            return [clean_json(each) for each in value]
        case dict():
            return {clean_text(str(key)): clean_json(each) for key, each in value.items()}
        case _:
            return value
