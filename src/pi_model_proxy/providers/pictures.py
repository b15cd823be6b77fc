"""Which providers have no endpoint for pictures, but models that draw in answer to a chat.

Source: pi-ai 1.5.2, API kind `openrouter-images` (66 models, all of OpenRouter's).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

__all__ = ["draws_in_chat"]

_PROVIDERS: Final = frozenset({"openrouter"})
_HOSTS: Final = frozenset({"openrouter.ai"})


def draws_in_chat(provider: str, base_url: str) -> bool:
    """Tell whether pictures are asked for in chat completions, by the provider's id or where it leads."""
    if provider in _PROVIDERS:
        return True
    try:
        return urlsplit(base_url).hostname in _HOSTS
    except ValueError:
        return False
