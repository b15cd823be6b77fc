"""Which headers cross the gateway: an allow-list each way, rate limits translated. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from pi_model_proxy.transport import AnswerHeaders

__all__ = ["DROPPED_HEADER", "dropped_value", "hop_chain", "join_betas", "passed_back"]

DROPPED_HEADER: Final = "x-pi-model-proxy-dropped"
HOP_HEADER: Final = "x-pi-model-proxy-hop"
MAX_DROPPED_CHARS: Final = 1024
MAX_HOPS: Final = 8
_HOP: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Ours are 16 characters; what is no such mark is not passed on."""
_MAX_VALUE_CHARS: Final = 256

_PASSED: Final = frozenset({"retry-after", "retry-after-ms", "openai-processing-ms", "openai-version"})
_PASSED_PREFIXES: Final = ("x-ratelimit-", "anthropic-ratelimit-")
_STARTS: Final = ("retry-after", "openai-", *_PASSED_PREFIXES)
_PARTS: Final = ("limit", "remaining")
"""Figures that mean the same on both sides; the reset times have different forms (dialects.md §6.4)."""


def passed_back(headers: Mapping[str, str], *, upstream: str, caller: str) -> dict[str, str]:
    """Return the upstream's headers that the caller may see.

    Args:
        headers: the upstream's, names in lower case.
        upstream: the upstream's dialect.
        caller: the caller's dialect; when it differs, rate-limit figures are renamed.
    """
    found = headers.beginning(*_STARTS) if isinstance(headers, AnswerHeaders) else headers
    if not found:
        return {}
    kept = {
        name: value
        for name, value in found.items()
        if (name in _PASSED or name.startswith(_PASSED_PREFIXES))
        and len(value) <= _MAX_VALUE_CHARS
        and value.isascii()
        and value.isprintable()
    }
    if kept and upstream != caller:
        kept |= _renamed(kept, to_anthropic=caller == "anthropic_messages")
    return kept


def _renamed(headers: Mapping[str, str], *, to_anthropic: bool) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for what in ("requests", "tokens"):
        for part in _PARTS:
            openai, anthropic = f"x-ratelimit-{part}-{what}", f"anthropic-ratelimit-{what}-{part}"
            source, wanted = (openai, anthropic) if to_anthropic else (anthropic, openai)
            if source in headers:
                renamed[wanted] = headers[source]
    return renamed


def dropped_value(paths: Iterable[str]) -> str:
    """Return the dropped list as a header value: JSON paths, at most 1 KiB, then `+N`."""
    shown: list[str] = []
    size, hidden = 0, 0
    for path in paths:
        clean = "".join(char if " " < char < "\x7f" and char != "," else "_" for char in path)
        if hidden or size + len(clean) + 2 > MAX_DROPPED_CHARS - len("+100000"):
            hidden += 1
            continue
        shown.append(clean)
        size += len(clean) + 2
    if hidden:
        shown.append(f"+{hidden}")
    return ", ".join(shown)


def hop_chain(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the instances a request has been through, oldest first."""
    value = headers.get(HOP_HEADER, "")
    # The newest stand last.
    return tuple(hop for part in value.split(",")[-MAX_HOPS * 2 :] if _HOP.fullmatch(hop := part.strip()))


def join_betas(*values: str | None) -> str:
    """Return comma lists of `anthropic-beta` tokens joined, each token once, in order."""
    tokens: dict[str, None] = {}
    for value in values:
        for token in (value or "").split(","):
            if stripped := token.strip():
                tokens[stripped] = None
    return ",".join(tokens)
