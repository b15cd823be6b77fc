"""Takes secrets out of texts that leave the process: error messages and log lines."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

__all__ = ["Redactor", "looks_secret"]

MASK: Final = "[redacted]"
_MIN_SECRET_CHARS: Final = 6
"""Shorter values (a dummy key `x`) would blank ordinary words."""
_LOOKS_SECRET: Final = re.compile(
    r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(?:sk|pk|rk|xai|gsk|hf|ghp|gho|ghu|ghs|github_pat|AIza)[-_A-Za-z0-9]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\bya29\.[A-Za-z0-9._-]{12,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|(?i:\bx-amz-security-token\s*[:=]\s*)[A-Za-z0-9+/=%_-]{16,}"
    r"|(?i:\bsignature\s*[:=]\s*)[0-9a-f]{64}\b"
)
"""Keys that are not ours to know but have a well-known look (a provider may echo part of one).

Amazon's errors say the whole canonical request again, with the session's token in it; `ya29.` begins Google's tokens.
"""


_MAX_ID_CHARS: Final = 80
_KEY_BEGINNINGS: Final = (
    "sk-",
    "sk_",
    "pk",
    "rk",
    "xai",
    "gsk",
    "hf_",
    "gh",
    "AIza",
    "eyJ",
    "ya29.",
    "AKIA",
    "ASIA",
    "Bearer",
    "bearer",
)


def _forms(secret: str) -> tuple[str, ...]:
    """Return a secret as it is and as a server may repeat it: from a URL, or encoded."""
    data = secret.encode(errors="replace")
    return secret, quote(data, safe=""), b64encode(data).decode().rstrip("=")


def looks_secret(text: str, secrets: Iterable[str]) -> bool:
    """Tell whether `text`, an id by all appearance, holds one of `secrets` or what may be some secret."""
    for secret in secrets:
        if secret in text:
            return True
    return len(text) > _MAX_ID_CHARS or text.startswith(_KEY_BEGINNINGS) or not text.isascii()


class Redactor:
    """Knows every live secret; built anew when they change."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        plain = {secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARS}
        known = sorted({form for secret in plain for form in _forms(secret)}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known)), re.IGNORECASE) if known else None

    def clean(self, text: str) -> str:
        """Return `text` without any live secret and without what looks like one."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _LOOKS_SECRET.sub(MASK, text)
