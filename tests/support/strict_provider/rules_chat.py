"""Every rule of OpenAI's Chat Completions that this provider enforces, in the order it is asked."""

from __future__ import annotations

from typing import Final

from support.strict_provider.rulebook import Rulebook
from support.strict_provider.rules_chat_body import BODY, ChatCase
from support.strict_provider.rules_chat_tools import TOOLS
from support.strict_provider.rules_chat_turns import TURNS
from support.strict_provider.traits import ChatTraits

__all__ = ["CHAT_RULES", "ChatCase"]

CHAT_RULES: Final[Rulebook[ChatTraits]] = Rulebook(BODY, TOOLS, TURNS)
