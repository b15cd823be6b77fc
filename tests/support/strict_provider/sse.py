"""Event-stream frames as the vendors write them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["DONE", "dump", "frame"]

DONE = b"data: [DONE]\n\n"


def dump(value: object, *, escaped: bool = False) -> bytes:
    """Return compact JSON: raw UTF-8, or ASCII with escapes."""
    return json.dumps(value, ensure_ascii=escaped, separators=(",", ":")).encode()


def frame(data: dict[str, Any], *, event: str | None = None, escaped: bool = False) -> bytes:
    """Return one event: an `event:` line if it has a name, one `data:` line, one blank line."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + dump(data, escaped=escaped) + b"\n\n"
