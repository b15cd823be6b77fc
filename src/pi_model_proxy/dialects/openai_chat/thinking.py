"""How each provider of chat completions is told how much to think.

Source: pi-ai 1.5.2 `dist/api/openai-completions.js` (`buildParams`), one function a `thinkingFormat`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pi_model_proxy.dialects.openai_chat.quirks import Quirks
from pi_model_proxy.dialects.reasoning import LevelChoice, budget_for_level
from pi_model_proxy.hub import Target

__all__ = ["VENDOR_FIELDS", "is_unsaid", "thinking_fields"]

MIN_ANSWER_TOKENS: Final = 1024
"""Left for the answer when a thinking budget shares the output limit with it."""

VENDOR_FIELDS: Final = frozenset({
    "reasoning", "thinking", "enable_thinking", "chat_template_kwargs", "chat_template_args",
    "thinking_token_budget", "thinking_budget", "thinking_budget_tokens",
})  # fmt: skip
"""Fields other than `reasoning_effort` that speak of thinking in some vendor's words."""

_SILENT_ABOUT_OFF: Final = frozenset({"openai", "ant-ling"})
"""Formats without a word for `off` where the model's map has none; templates say it by leaving a variable out."""

_Fields = dict[str, Any]


def thinking_fields(
    choice: LevelChoice | None, quirks: Quirks, target: Target, *, max_output: int | None
) -> _Fields:
    """Return the body's fields that say `choice`; empty when nothing is to be said.

    Args:
        choice: None when nobody asked; then only what a provider's template always wants is sent.
        quirks: Decides whose words are used.
        target: Says what `off` is called.
        max_output: The request's output limit in tokens, which a thinking budget must fit into.
    """
    if not target.reasoning:
        return {}
    budget = _budget(choice, max_output or target.max_output)
    if quirks.thinking_format in {"chat-template", "baseten"}:
        fields = _template(choice, quirks, target, budget)
    elif choice is None:
        return {}
    else:
        fields = _FORMATS[quirks.thinking_format](choice, quirks)
    name = quirks.thinking_token_budget_field or (
        "thinking_token_budget" if quirks.supports_thinking_token_budget else None
    )
    if name is not None and budget is not None:
        fields[name] = budget
    return fields


def is_unsaid(choice: LevelChoice, quirks: Quirks) -> bool:
    """Tell whether silence (no field at all) does not give `choice`: the model then thinks as much as it likes."""
    return not choice.auto and (choice.level != "off" or quirks.thinking_format in _SILENT_ABOUT_OFF)


def _budget(choice: LevelChoice | None, ceiling: int) -> int | None:
    if choice is None or choice.level == "off" or (choice.auto and choice.budget is None):
        return None
    budget = choice.budget or budget_for_level(choice.level)
    if ceiling:
        budget = min(budget, ceiling - MIN_ANSWER_TOKENS)
    return budget if budget > 0 else None


def _effort(choice: LevelChoice, quirks: Quirks) -> _Fields:
    """`reasoning_effort`, where it is understood and the caller named an amount."""
    if choice.level == "off" or choice.auto or not quirks.supports_reasoning_effort:
        return {}
    return {"reasoning_effort": choice.word or choice.level}


def _openai(choice: LevelChoice, quirks: Quirks) -> _Fields:
    if choice.level == "off":
        return {"reasoning_effort": choice.word} if choice.word and quirks.supports_reasoning_effort else {}
    return _effort(choice, quirks)


def _openrouter(choice: LevelChoice, quirks: Quirks) -> _Fields:
    del quirks
    if choice.auto:
        return {"reasoning": {"enabled": True}}
    return {"reasoning": {"effort": choice.word or _or_none(choice)}}


def _or_none(choice: LevelChoice) -> str:
    return "none" if choice.level == "off" else choice.level


def _deepseek(choice: LevelChoice, quirks: Quirks) -> _Fields:
    return {"thinking": {"type": _switch(choice)}} | _effort(choice, quirks)


def _zai(choice: LevelChoice, quirks: Quirks) -> _Fields:
    if choice.level == "off":
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled", "clear_thinking": False}} | _effort(choice, quirks)


def _switch(choice: LevelChoice) -> str:
    return "disabled" if choice.level == "off" else "enabled"


def _together(choice: LevelChoice, quirks: Quirks) -> _Fields:
    return {"reasoning": {"enabled": choice.level != "off"}} | _effort(choice, quirks)


def _ant_ling(choice: LevelChoice, quirks: Quirks) -> _Fields:
    del quirks
    return {"reasoning": {"effort": choice.word}} if choice.word and choice.level != "off" else {}


def _qwen(choice: LevelChoice, quirks: Quirks) -> _Fields:
    return {"enable_thinking": choice.level != "off"} | _effort(choice, quirks)


def _qwen_template(choice: LevelChoice, quirks: Quirks) -> _Fields:
    del quirks
    return {"chat_template_kwargs": {"enable_thinking": choice.level != "off", "preserve_thinking": True}}


def _string(choice: LevelChoice, quirks: Quirks) -> _Fields:
    del quirks
    return {"thinking": choice.word or _or_none(choice)}


_FORMATS: Final[dict[str, Callable[[LevelChoice, Quirks], _Fields]]] = {
    "openai": _openai,
    "openrouter": _openrouter,
    "deepseek": _deepseek,
    "zai": _zai,
    "together": _together,
    "ant-ling": _ant_ling,
    "qwen": _qwen,
    "qwen-chat-template": _qwen_template,
    "string-thinking": _string,
}


def _template(choice: LevelChoice | None, quirks: Quirks, target: Target, budget: int | None) -> _Fields:
    """Fill the variables of a chat template's arguments."""
    baseten = quirks.thinking_format == "baseten"
    wanted = quirks.chat_template_args if baseten else quirks.chat_template_kwargs
    filled = {name: _filled(value, choice, target, budget) for name, value in wanted.items()}
    kept = {name: value for name, value in filled.items() if value is not _ABSENT}
    fields: _Fields = {"chat_template_args" if baseten else "chat_template_kwargs": kept} if kept else {}
    if baseten and choice is not None:
        fields |= _openai(choice, quirks)
    return fields


_ABSENT: Final = object()


def _filled(value: Any, choice: LevelChoice | None, target: Target, budget: int | None) -> Any:  # noqa: ANN401 - any JSON
    """Return what a template argument is set to: itself, or what its `$var` stands for; `_ABSENT` to leave it out."""
    if not isinstance(value, dict):
        return value
    on = choice is not None and choice.level != "off"
    if choice is None or (not on and value.get("omitWhenOff") is True):
        return _ABSENT
    match value.get("$var"):
        case "thinking.enabled":
            return on
        case "thinking.budget":
            return _ABSENT if budget is None else budget
        case _:
            word = choice.word if on else target.thinking_levels.get("off")
            return word or (choice.level if on else _ABSENT)
