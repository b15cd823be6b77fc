"""What several formats make of the same contents: objects out of arguments, text out of files."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

__all__ = ["arguments_object", "text_of_file"]

_object_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_TEXT_TYPES: Final = ("text/", "application/json")


def arguments_object(arguments: str) -> dict[str, Any]:
    """Return a call's arguments as the object some formats want; what is none is kept under `_raw`."""
    if not arguments.strip():
        return {}
    try:
        return _object_decoder.decode(arguments)
    except (ValueError, RecursionError):  # msgspec's DecodeError is a ValueError
        return {"_raw": arguments}


def text_of_file(media_type: str, data: str) -> str | None:
    """Return the text of a text file, given as base64; None for any other file."""
    if not media_type.lower().startswith(_TEXT_TYPES):
        return None
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
