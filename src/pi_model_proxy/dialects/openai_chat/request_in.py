"""A caller's chat completions request, as a hub request.

Source: OpenAI's request schema (openai-python 3.54.0), plus the ways agents ask for thinking
through chat endpoints: OpenRouter's `reasoning`, z.ai's and LiteLLM's `thinking`, Qwen's `enable_thinking`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT, read_messages
from pi_model_proxy.dialects.openai_chat.tools_in import read_tool_choice, read_tools
from pi_model_proxy.dialects.openai_members import further_members, metadata_of, schema_format
from pi_model_proxy.dialects.reading import Fields, read_json, says_nothing
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

_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {"store": (False,), "modalities": (["text"],)}
"""Values that ask for nothing: not worth listing as dropped."""

_OF_STREAM: Final = frozenset({"include_usage"})
_OF_EFFORT: Final = frozenset({"effort", "max_tokens", "exclude", "enabled"})
_OF_THINKING: Final = frozenset({"type", "budget_tokens", "display"})
_VISIBLE: Final = {"reasoning": "reasoning.exclude", "thinking": "thinking.display"}
"""Where a wish can say that thinking be hidden: who cannot be told so shows it, and the wish is listed."""
_OF_FORMAT: Final = frozenset({"type", "json_schema"})
_OF_SCHEMA: Final = frozenset({"name", "description", "schema", "strict"})
_DISPLAYS: Final[dict[str, Literal["none", "summary"]]] = {"omitted": "none", "summarized": "summary"}

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
    "output.name": "response_format.json_schema.name",
    "output.description": "response_format.json_schema.description",
    "output.schema": "response_format.json_schema.schema",
    "output.strict": "response_format.json_schema.strict",
    "cache_key": "prompt_cache_key",
    "image.detail": "image_url.detail",
    "call.opaque": "extra_content",
}
"""Hub field to the caller's field, where the two differ and only one name is possible."""


def read_request(body: bytes) -> Request:
    """Return the whole request.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something no other dialect can give (spoken answers, blocking moderation).
    """
    request = read_json(body)
    _refuse_the_impossible(request)
    dropped: list[str] = []
    conversation = read_messages(request, dropped)
    dropped += [name for name in request.values if name in STEERING_FIELDS]
    reasoning, reasoning_path = _reasoning(request, dropped)
    max_path = _given(request, "max_completion_tokens", "max_tokens", dropped)
    end_user_path = _given(request, "safety_identifier", "user", dropped)
    is_legacy = not request.array("tools") and (bool(request.array("functions")) or conversation.is_legacy)
    parallel = request.flag("parallel_tool_calls")
    return Request(
        dialect=DIALECT,
        model=request.text("model"),
        stream=request.flag("stream") or False,
        wants_usage=_wants_usage(request, dropped),
        instructions=conversation.instructions,
        turns=conversation.turns,
        tools=read_tools(request, dropped),
        tool_choice=read_tool_choice(request, dropped),
        # Before there were tools an answer could call one function at a time.
        parallel_tools=False if is_legacy and parallel is None else parallel,
        max_output=request.whole(max_path),
        stop=_stop(request),
        n=_count(request),
        sampling=_sampling(request),
        reasoning=reasoning,
        output=_output(request, dropped),
        verbosity=request.text("verbosity"),
        cache_key=request.text("prompt_cache_key"),
        end_user=request.text(end_user_path),
        metadata=metadata_of(request, dropped),
        service_tier=request.text("service_tier"),
        extra=further_members(request, _UNDERSTOOD, _NEUTRAL),
        legacy_functions=is_legacy,
        paths=_paths(
            max_path,
            end_user_path,
            reasoning_path,
            "tool_choice" if request.values.get("tool_choice") is not None else "function_call",
            "" if parallel is None else "parallel_tool_calls",
        ),
        dropped=tuple(dropped),
    )


@lru_cache(maxsize=64)
def _paths(
    max_output: str, end_user: str, reasoning: str, tool_choice: str, parallel_tools: str
) -> dict[str, str]:
    """Return where the fields stand; the few dicts there can be are shared, and nobody writes into them."""
    return {
        **_PATHS,
        "max_output": max_output,
        "end_user": end_user,
        "reasoning": reasoning,
        **({"reasoning.visible": _VISIBLE[reasoning]} if reasoning in _VISIBLE else {}),
        "tool_choice": tool_choice,
        "parallel_tools": parallel_tools,
    }


def _given(request: Fields, new: str, old: str, dropped: list[str]) -> str:
    """Return which of two names of one field counts: the newer one; an older one that says something else is dropped."""
    if request.values.get(new) is None:
        return old
    older = request.values.get(old)
    if older is not None and older != request.values[new]:
        dropped.append(old)
    return new


def _refuse_the_impossible(request: Fields) -> None:
    modalities = request.array("modalities")
    other_than_text = [modality for modality in modalities if modality != "text"]
    if other_than_text or not says_nothing(request.values.get("audio")):
        path = "modalities" if other_than_text else "audio"
        raise UnsupportedFeature(
            f"{path}: spoken or drawn answers cannot be had from this model's API; ask for text or choose another model.",
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


def _wants_usage(request: Fields, dropped: list[str]) -> bool:
    options = request.object("stream_options")
    if options is None:
        return False
    # `include_obfuscation: false` is what we do anyway.
    dropped += [
        options.path(name) for name, value in options.values.items() if value and name not in _OF_STREAM
    ]
    return options.flag("include_usage") is True


def _stop(request: Fields) -> tuple[str, ...]:
    value = request.values.get("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value else ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        request.refuse("stop", "must be a string or an array of strings")
    return tuple(each for each in value if each)


def _count(request: Fields) -> int:
    count = request.whole("n")
    if count is not None and count < 1:
        request.refuse("n", "must be at least 1")
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


def _reasoning(request: Fields, dropped: list[str]) -> tuple[ReasoningWish | None, str]:
    """Return the wish and the JSON path it stands at; what was said beside it, or cannot be read, is dropped."""
    given = [name for name in _REASONING_FIELDS if request.values.get(name) is not None]
    for name in given:
        wish = _wish(request, name, dropped)
        if wish is not None:
            dropped += [other for other in given if other != name]
            return wish, name
    dropped += given
    return None, "reasoning_effort"


def _wish(request: Fields, name: str, dropped: list[str]) -> ReasoningWish | None:
    value = request.values[name]
    if name == "reasoning_effort":
        return _effort_wish(request.text(name) or "")
    if name == "enable_thinking":
        return ReasoningWish(mode="auto" if request.flag(name) else "off")
    if not isinstance(value, dict):
        return None
    read = _openrouter_wish if name == "reasoning" else _thinking_wish
    return read(Fields(value, name), dropped)


def _effort_wish(effort: str) -> ReasoningWish | None:
    if effort in {"none", "off"}:
        return ReasoningWish(mode="off")
    if effort in {"auto", "default"}:
        return ReasoningWish(mode="auto")
    return ReasoningWish(mode="level", level=effort) if effort in LEVELS else None


def _openrouter_wish(reasoning: Fields, dropped: list[str]) -> ReasoningWish | None:
    reasoning.unread(_OF_EFFORT, dropped)
    visible: Literal["none"] | None = "none" if reasoning.flag("exclude") else None
    effort, budget, enabled = (
        reasoning.text("effort"),
        reasoning.whole("max_tokens"),
        reasoning.flag("enabled"),
    )
    if enabled is False:
        dropped += [reasoning.path(name) for name in ("effort", "max_tokens") if name in reasoning.values]
        return ReasoningWish(mode="off", visible=visible)
    if budget is not None:
        if effort is not None:
            dropped.append(reasoning.path("effort"))
        return ReasoningWish(mode="budget", budget=budget, visible=visible)
    wish = _effort_wish(effort) if effort is not None else ReasoningWish(mode="auto")
    return msgspec.structs.replace(wish, visible=visible) if wish else None


def _thinking_wish(thinking: Fields, dropped: list[str]) -> ReasoningWish | None:
    thinking.unread(_OF_THINKING, dropped)
    kind, budget, display = thinking.text("type"), thinking.whole("budget_tokens"), thinking.text("display")
    if display is not None and display not in _DISPLAYS:
        dropped.append(thinking.path("display"))
    visible = _DISPLAYS.get(display or "")
    if kind == "enabled" and budget is not None:
        return ReasoningWish(mode="budget", budget=budget, visible=visible)
    if budget is not None:
        dropped.append(thinking.path("budget_tokens"))
    if kind == "disabled":
        return ReasoningWish(mode="off")
    return ReasoningWish(mode="auto", visible=visible) if kind in {"enabled", "adaptive", "auto"} else None


def _output(request: Fields, dropped: list[str]) -> OutputFormat | None:
    form = request.object("response_format")
    if form is None:
        return None
    form.unread(_OF_FORMAT, dropped)
    kind = form.text("type")
    if kind in {None, "text"}:
        return None
    if kind == "json_object":
        return OutputFormat(kind="json")
    if kind != "json_schema":
        form.refuse("type", "must be `text`, `json_object` or `json_schema`")
    holder = form.object("json_schema")
    schema = holder.object("schema") if holder else None
    if holder is None or schema is None:
        form.refuse("json_schema", "must be an object with a `schema`")
    holder.unread(_OF_SCHEMA, dropped)
    return schema_format(holder, schema)
