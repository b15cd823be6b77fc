"""Every rule of OpenAI's Responses API that this provider enforces, in the order it is asked."""

from __future__ import annotations

from typing import Final

from support.strict_provider.rulebook import Rulebook
from support.strict_provider.rules_responses_body import BODY, ResponsesCase
from support.strict_provider.rules_responses_items import ITEMS
from support.strict_provider.rules_responses_tools import TOOLS
from support.strict_provider.traits import ResponsesTraits

__all__ = ["RESPONSES_RULES", "ResponsesCase"]

RESPONSES_RULES: Final[Rulebook[ResponsesTraits]] = Rulebook(BODY, TOOLS, ITEMS)
