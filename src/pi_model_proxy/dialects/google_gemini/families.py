"""What the families of models behind Google's API take; told from the model's id, as pi tells it.

Sources: pi 1.5.2 `dist/api/google-shared.js` (`usesGoogleThinkingLevel`, `requiresToolCallId`,
`supportsMultimodalFunctionResponse`, `supportsGoogleStrictToolSampling`) and
`google-generative-ai.js` (`getGoogleBudget`); Google's pages on thinking (budget ranges) and on
thought signatures (demanded from Gemini 3 on).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["Family", "family_of"]

_MAJOR: Final = re.compile(r"gemini(?:-live)?-(\d+)")
_BY_LEVEL: Final = re.compile(
    r"gemini-3(?:\.\d+)?-(?:pro|flash)|gemini-(?:[4-9]|[1-9]\d)|gemma-?4|^gemini-flash(?:-lite)?-latest$"
)
_LATEST: Final = frozenset({"gemini-pro-latest", "gemini-flash-latest", "gemini-flash-lite-latest"})
_FIRST_STRICT: Final = 3
"""The first Gemini that demands ids and signatures, and enforces schemas."""


class Budgets(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens a model may be told to think."""

    levels: Mapping[str, int]
    """Tokens a level stands for; empty: the model chooses itself (-1)."""
    least: int = 0
    """The smallest budget above none."""
    most: int = 24_576
    can_be_off: bool = True


_BUDGETS: Final = (
    (
        "2.5-pro",
        Budgets(
            levels={"minimal": 128, "low": 2048, "medium": 8192, "high": 32_768},
            least=128,
            most=32_768,
            can_be_off=False,
        ),
    ),
    (
        "2.5-flash-lite",
        Budgets(levels={"minimal": 512, "low": 2048, "medium": 8192, "high": 24_576}, least=512),
    ),
    ("2.5-flash", Budgets(levels={"minimal": 128, "low": 2048, "medium": 8192, "high": 24_576})),
)
"""By part of the id; the first that fits."""
_OTHER_BUDGETS: Final = Budgets(levels={})


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes."""

    thinks_by_level: bool
    """Whether thinking is asked for by `thinkingLevel`; else by `thinkingBudget`. Both at once are refused."""
    budgets: Budgets
    takes_call_ids: bool
    """Whether calls and results carry ids; earlier models match them by order."""
    takes_media_in_results: bool
    """Whether `functionResponse` may hold pictures (`parts`)."""
    demands_signatures: bool
    """Whether the first call of each step must carry a thought signature."""
    enforces_schemas: bool
    """Whether the calling mode `VALIDATED` exists."""
    takes_tools_with_format: bool
    """Whether functions and a JSON answer can be asked for together."""


@functools.lru_cache(maxsize=512)
def family_of(model: str) -> Family:
    """Return what `model` (the id the upstream knows) takes."""
    name = model.rpartition("/")[2].lower()
    found = _MAJOR.match(name)
    major = int(found[1]) if found else None
    is_new = (major is not None and major >= _FIRST_STRICT) or name in _LATEST
    return Family(
        thinks_by_level=_BY_LEVEL.search(name) is not None,
        budgets=next((budgets for part, budgets in _BUDGETS if part in name), _OTHER_BUDGETS),
        takes_call_ids=name.startswith(("claude-", "gpt-oss-"))
        or (major is not None and major >= _FIRST_STRICT),
        takes_media_in_results=major is None or major >= _FIRST_STRICT,
        demands_signatures=is_new,
        enforces_schemas=major is not None and major >= _FIRST_STRICT,
        takes_tools_with_format=major is None or major >= _FIRST_STRICT,
    )
