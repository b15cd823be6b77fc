"""Every rule of Anthropic's Messages API that this provider enforces, in the order it is asked."""

from __future__ import annotations

from typing import Final

from support.strict_provider.rulebook import Rulebook
from support.strict_provider.rules_messages_blocks import BLOCKS
from support.strict_provider.rules_messages_body import BODY, MessagesCase
from support.strict_provider.rules_messages_tools import TOOLS
from support.strict_provider.rules_messages_turns import TURNS
from support.strict_provider.traits import MessagesTraits

__all__ = ["MESSAGES_RULES", "MessagesCase"]

MESSAGES_RULES: Final[Rulebook[MessagesTraits]] = Rulebook(BODY, TOOLS, BLOCKS, TURNS)
