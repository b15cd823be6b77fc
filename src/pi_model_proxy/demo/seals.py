"""Tokens that come with thinking and must come back unchanged, as real upstreams demand; pure."""

from __future__ import annotations

import base64
import hashlib

__all__ = ["seal"]


def seal(*parts: str) -> str:
    """Return a token that only these very texts have."""
    digest = hashlib.sha256("\0".join(("scripted demo", *parts)).encode("utf-8", "replace")).digest()
    return base64.b64encode(digest).decode()
