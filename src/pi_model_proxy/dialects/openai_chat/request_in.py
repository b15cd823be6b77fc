"""A caller's chat completions request, as a hub request.

Source: OpenAI's request schema (openai-python 3.54.0), plus the ways agents ask for thinking
through chat endpoints: OpenRouter's `reasoning`, z.ai's and LiteLLM's `thinking`, Qwen's `enable_thinking`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.openai_chat.fields import Fields, decode_object
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT, read_messages
from pi_model_proxy.dialects.openai_chat.tools_in import read_tool_choice, read_tools
from pi_model_proxy.dialects.reasoning import LEVELS
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import OutputFormat, ReasoningWish, Request, Sampling

__all__ = ["read_request"]

_UNDERSTOOD: Final = frozenset({
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "n",
    "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "top_logprobs", "reasoning_effort", "reasoning", "thinking", "enable_thinking",
    "response_format", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls",
    "verbosity", "prompt_cache_key", "user", "safety_identifier", "metadata", "service_tier", "web_search_options",
})  # fmt: skip
"""Fields the hub has a name for."""

_REASONING_FIELDS: Final = ("reasoning_effort", "reasoning", "thinking", "enable_thinking")
"""Where a wish to think may stand, the most telling first."""

_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "store": (False,),
    "modalities": (["text"],),
    "moderation": ({},),
}
"""Values that ask for nothing: not worth listing as dropped."""

_PATHS: Final = {
    "sampling.temperature": "temperature",
    "sampling.top_p": "top_p",
    "sampling.top_k": "top_k",
    "sampling.min_p": "min_p",
    "sampling.seed": "seed",
    "sampling.presence_penalty": "presence_penalty",
    "sampling.frequency_penalty": "frequency_penalty",
    "sampling.logit_bias": "logit_bias",
    "sampling.logprobs": "logprobs",
    "sampling.top_logprobs": "top_logprobs",
    "output": "response_format",
    "parallel_tools": "parallel_tool_calls",
    "cache_key": "prompt_cache_key",
}
"""Hub field to the caller's field, where the two differ and only one name is possible."""


def read_request(body: bytes) -> Request:
    """Return the whole request.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something no other dialect can give (spoken answers, blocking moderation).
    """
    request = Fields(decode_object(body))
    _refuse_the_impossible(request)
    conversation = read_messages(request)
    dropped = [*conversation.dropped, *(name for name in request.values if name in STEERING_FIELDS)]
    reasoning, reasoning_path, unread = _reasoning(request)
    dropped += unread
    max_path = (
        "max_completion_tokens" if request.values.get("max_completion_tokens") is not None else "max_tokens"
    )
    end_user_path = "safety_identifier" if request.values.get("safety_identifier") is not None else "user"
    metadata = _metadata(request, dropped)
    return Request(
        dialect=DIALECT,
        model=request.text("model"),
        stream=request.flag("stream") or False,
        wants_usage=_wants_usage(request),
        instructions=conversation.instructions,
        turns=conversation.turns,
        tools=read_tools(request),
        tool_choice=read_tool_choice(request),
        parallel_tools=request.flag("parallel_tool_calls"),
        max_output=request.whole(max_path),
        stop=_stop(request),
        n=_count(request),
        sampling=_sampling(request),
        reasoning=reasoning,
        output=_output(request),
        verbosity=request.text("verbosity"),
        cache_key=request.text("prompt_cache_key"),
        end_user=request.text(end_user_path),
        metadata=metadata,
        service_tier=request.text("service_tier"),
        extra=_extra(request),
        paths={
            **_PATHS,
            "max_output": max_path,
            "end_user": end_user_path,
            "reasoning": reasoning_path,
            "tool_choice": "tool_choice" if "tool_choice" in request.values else "function_call",
        },
        dropped=tuple(dropped),
    )


def _refuse_the_impossible(request: Fields) -> None:
    modalities = request.items("modalities") or []
    if "audio" in modalities or request.values.get("audio") is not None:
        path = "modalities" if "audio" in modalities else "audio"
        raise UnsupportedFeature(
            f"{path}: spoken answers cannot be had from this model's API; ask for text or choose another model.",
            param=path,
        )
    moderation = request.object("moderation")
    policy = moderation.object("policy") if moderation else None
    for side in ("input", "output"):
        rule = policy.object(side) if policy else None
        if rule is not None and rule.text("mode") == "block":
            raise UnsupportedFeature(
                f"{rule.path('mode')}: blocking moderation cannot be had from this model's API; remove it or "
                "choose another model.",
                param=rule.path("mode"),
            )


def _wants_usage(request: Fields) -> bool:
    options = request.object("stream_options")
    return options is not None and options.flag("include_usage") is True


def _stop(request: Fields) -> tuple[str, ...]:
    value = request.values.get("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value else ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        request.refuse("stop", "must be a string or an array of strings.")
    return tuple(each for each in value if each)


def _count(request: Fields) -> int:
    count = request.whole("n")
    if count is not None and count < 1:
        request.refuse("n", "must be at least 1.")
    return count or 1


def _sampling(request: Fields) -> Sampling:
    bias = request.object("logit_bias")
    # A penalty of 0 and logprobs of false are what every model does anyway (Copilot CLI always sends them).
    return Sampling(
        temperature=request.number("temperature"),
        top_p=request.number("top_p"),
        top_k=request.whole("top_k"),
        min_p=request.number("min_p"),
        seed=request.whole("seed"),
        presence_penalty=request.number("presence_penalty") or None,
        frequency_penalty=request.number("frequency_penalty") or None,
        logit_bias={name: bias.number(name) or 0.0 for name in bias.values} if bias and bias.values else None,
        logprobs=request.flag("logprobs") or None,
        top_logprobs=request.whole("top_logprobs") or None,
    )


def _reasoning(request: Fields) -> tuple[ReasoningWish | None, str, list[str]]:
    """Return the wish, the JSON path it stands at, and the paths of what was said beside it or cannot be read."""
    given = [name for name in _REASONING_FIELDS if request.values.get(name) is not None]
    for name in given:
        wish = _wish(request, name)
        if wish is not None:
            return wish, name, [other for other in given if other != name]
    return None, "reasoning_effort", given


def _wish(request: Fields, name: str) -> ReasoningWish | None:
    value = request.values[name]
    if name == "reasoning_effort":
        return _effort_wish(request.text(name) or "")
    if name == "enable_thinking":
        return ReasoningWish(mode="auto" if request.flag(name) else "off")
    if not isinstance(value, dict):
        return None
    return (
        _openrouter_wish(Fields(value, name)) if name == "reasoning" else _thinking_wish(Fields(value, name))
    )


def _effort_wish(effort: str) -> ReasoningWish | None:
    if effort in {"none", "off"}:
        return ReasoningWish(mode="off")
    if effort in {"auto", "default"}:
        return ReasoningWish(mode="auto")
    return ReasoningWish(mode="level", level=effort) if effort in LEVELS else None


def _openrouter_wish(reasoning: Fields) -> ReasoningWish | None:
    visible: Literal["none"] | None = "none" if reasoning.flag("exclude") else None
    effort, budget, enabled = (
        reasoning.text("effort"),
        reasoning.whole("max_tokens"),
        reasoning.flag("enabled"),
    )
    if enabled is False:
        return ReasoningWish(mode="off", visible=visible)
    if budget is not None:
        return ReasoningWish(mode="budget", budget=budget, visible=visible)
    wish = _effort_wish(effort) if effort is not None else ReasoningWish(mode="auto")
    return msgspec.structs.replace(wish, visible=visible) if wish else None


def _thinking_wish(thinking: Fields) -> ReasoningWish | None:
    budget = thinking.whole("budget_tokens")
    match thinking.text("type"):
        case "disabled":
            return ReasoningWish(mode="off")
        case "enabled" if budget is not None:
            return ReasoningWish(mode="budget", budget=budget)
        case "enabled" | "adaptive" | "auto":
            return ReasoningWish(mode="auto")
        case _:
            return None


def _output(request: Fields) -> OutputFormat | None:
    form = request.object("response_format")
    kind = form.text("type") if form else None
    if form is None or kind in {None, "text"}:
        return None
    if kind == "json_object":
        return OutputFormat(kind="json")
    if kind != "json_schema":
        form.refuse("type", "must be `text`, `json_object` or `json_schema`.")
    holder = form.object("json_schema")
    schema = holder.object("schema") if holder else None
    if holder is None or schema is None:
        form.refuse("json_schema", "must be an object with a `schema`.")
    return OutputFormat(
        kind="schema",
        schema=schema.values,
        name=holder.text("name"),
        strict=holder.flag("strict"),
        description=holder.text("description"),
    )


def _metadata(request: Fields, dropped: list[str]) -> dict[str, str]:
    """Keep what is text; the specification allows nothing else."""
    metadata = request.object("metadata")
    if metadata is None:
        return {}
    dropped += [metadata.path(name) for name, value in metadata.values.items() if not isinstance(value, str)]
    return {name: value for name, value in metadata.values.items() if isinstance(value, str)}


def _extra(request: Fields) -> dict[str, Any]:
    return {
        name: value
        for name, value in request.values.items()
        if name not in _UNDERSTOOD
        and name not in STEERING_FIELDS
        and value is not None
        and value not in _NEUTRAL.get(name, ())
    }
