"""A caller's request, as a hub request.

Source: OpenAI's Responses reference, `ResponseCreateParams` (openai-python 3.54.0); Open Responses'
`CreateResponseBody`; dialects.md §1.1 and §1.2. What a store of earlier responses would have to
resolve first is told by `state.read_state`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.base import Peek
from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.openai_members import further_members, metadata_of, schema_format
from pi_model_proxy.dialects.openai_responses.server_items import Conversation, read_items
from pi_model_proxy.dialects.openai_responses.server_tools import read_tool_choice, read_tools
from pi_model_proxy.dialects.openai_responses.state import refuse_state
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.reading import Fields, decode, read_json
from pi_model_proxy.dialects.reasoning import LEVELS
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import OutputFormat, ReasoningWish, Request, Sampling

__all__ = ["peek", "read_request", "shows_reasoning"]

_UNDERSTOOD: Final = frozenset({
    "model", "input", "instructions", "stream", "stream_options", "max_output_tokens", "temperature", "top_p",
    "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "top_logprobs", "n", "stop",
    "reasoning", "text", "tools", "tool_choice", "parallel_tool_calls", "include", "metadata", "user",
    "safety_identifier", "prompt_cache_key", "service_tier", "previous_response_id", "conversation", "background",
    "prompt",
})  # fmt: skip
"""Fields the hub has a name for, or that are refused."""

_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "store": (False,),
    "truncation": ("disabled",),
    "moderation": ({},),
    "background_options": ({},),
}
"""Values that ask for nothing: not worth listing as dropped."""

_ENCRYPTED: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"

_PATHS: Final = {
    "sampling.temperature": "temperature",
    "sampling.top_p": "top_p",
    "sampling.top_k": "top_k",
    "sampling.min_p": "min_p",
    "sampling.seed": "seed",
    "sampling.presence_penalty": "presence_penalty",
    "sampling.frequency_penalty": "frequency_penalty",
    "sampling.logit_bias": "logit_bias",
    "sampling.logprobs": "include",
    "sampling.top_logprobs": "top_logprobs",
    "verbosity": "text.verbosity",
    "parallel_tools": "parallel_tool_calls",
    "cache_key": "prompt_cache_key",
    "max_output": "max_output_tokens",
}
"""Hub field to the caller's field, where the two differ."""


class _Peeked(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


_peek_decoder: Final = msgspec.json.Decoder(_Peeked)


def peek(body: bytes) -> Peek:
    """Return what routing needs, without making objects of the items.

    Raises:
        BadRequest: names the JSON path.
    """
    peeked = decode(body, _peek_decoder)
    return Peek(model=peeked.model, stream=peeked.stream is True)


def read_request(body: bytes) -> Request:
    """Return the whole request.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something no other dialect can give, or that only a store could resolve.
    """
    request = read_json(body)
    _refuse_the_impossible(request)
    conversation = read_items(request)
    dropped = [*conversation.dropped, *(name for name in request.values if name in STEERING_FIELDS)]
    tools = read_tools([*request.objects("tools"), *conversation.tools], dropped)
    reasoning, reasoning_path = _reasoning(request, conversation, dropped)
    end_user_path = "safety_identifier" if request.values.get("safety_identifier") is not None else "user"
    if end_user_path == "safety_identifier" and request.values.get("user") is not None:
        dropped.append("user")
    metadata = metadata_of(request, dropped)
    form = _form(request, conversation, dropped)
    logprobs = _logprobs(request, dropped)
    text = request.object("text")
    return Request(
        dialect=DIALECT,
        model=request.text("model"),
        stream=request.flag("stream") or False,
        instructions=conversation.instructions,
        turns=conversation.turns,
        tools=tools,
        tool_choice=read_tool_choice(request),
        parallel_tools=request.flag("parallel_tool_calls"),
        max_output=request.whole("max_output_tokens"),
        stop=_stop(request),
        n=_count(request),
        sampling=_sampling(request, logprobs=logprobs),
        reasoning=reasoning,
        output=_output(form, dropped) if form is not None else None,
        verbosity=text.text("verbosity") if text else None,
        cache_key=request.text("prompt_cache_key"),
        end_user=request.text(end_user_path),
        metadata=metadata,
        service_tier=request.text("service_tier"),
        extra=further_members(request, _UNDERSTOOD, _NEUTRAL),
        paths={
            **_PATHS,
            **(_form_paths(form) if form is not None else {}),
            "end_user": end_user_path,
            "reasoning": reasoning_path,
        },
        dropped=tuple(dropped),
    )


def shows_reasoning(request: Request) -> bool:
    """Tell whether the caller is to see the model's thinking: when it said anything about it but `none`.

    OpenAI's models keep theirs to themselves unless a summary is asked for.
    """
    wish = request.reasoning
    return wish is not None and wish.mode != "off" and wish.visible != "none"


def _refuse_the_impossible(request: Fields) -> None:
    refuse_state(request)
    if request.values.get("prompt") is not None:
        raise UnsupportedFeature(
            "prompt: prompt templates are kept by OpenAI; send the prompt's text as `instructions` and `input`.",
            param="prompt",
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


def _stop(request: Fields) -> tuple[str, ...]:
    """Read `stop`, which the format does not have and agents send all the same."""
    value = request.values.get("stop")
    if isinstance(value, str):
        return (value,) if value else ()
    stops = request.array("stop")
    if not all(isinstance(each, str) for each in stops):
        request.refuse("stop", "must be a string or an array of strings")
    return tuple(each for each in stops if each)


def _count(request: Fields) -> int:
    """Read `n`, which the format does not have: whoever sends more than 1 must not get one answer in silence."""
    count = request.whole("n")
    if count is not None and count < 1:
        request.refuse("n", "must be at least 1")
    return count or 1


def _sampling(request: Fields, *, logprobs: bool) -> Sampling:
    bias = request.object("logit_bias")
    return Sampling(
        temperature=request.number("temperature"),
        top_p=request.number("top_p"),
        top_k=request.whole("top_k"),
        min_p=request.number("min_p"),
        seed=request.whole("seed"),
        presence_penalty=request.number("presence_penalty") or None,
        frequency_penalty=request.number("frequency_penalty") or None,
        logit_bias={name: bias.number(name) or 0.0 for name in bias.values} if bias and bias.values else None,
        logprobs=logprobs or None,
        top_logprobs=request.whole("top_logprobs") or None,
    )


def _logprobs(request: Fields, dropped: list[str]) -> bool:
    """Read `include`; but for the two we know, it names parts of items that hosted tools write."""
    wanted = False
    for index, word in enumerate(request.array("include")):
        if not isinstance(word, str):
            request.refuse(f"include[{index}]", "must be a string")
        wanted = wanted or word == _LOGPROBS
        if word not in {_ENCRYPTED, _LOGPROBS}:
            dropped.append(f"include[{index}]")
    return wanted


def _reasoning(
    request: Fields, conversation: Conversation, dropped: list[str]
) -> tuple[ReasoningWish | None, str]:
    """Return the wish and the JSON path it stands at."""
    reasoning = request.object("reasoning")
    effort, path = (reasoning.text("effort"), reasoning.path("effort")) if reasoning else (None, "reasoning")
    for update in conversation.updates:
        changed = update.object("reasoning")
        word = changed.text("effort") if changed else None
        if changed is not None and word is not None:
            if effort is not None:
                dropped.append(path)  # what is said later counts
            effort, path = word, changed.path("effort")
            changed.unread(frozenset({"effort"}), dropped)
    summary = None
    if reasoning is not None:
        summary = reasoning.text("summary") or reasoning.text("generate_summary")
        dropped += [
            reasoning.path(name)
            for name, plain in (("context", "auto"), ("mode", "standard"))
            if reasoning.values.get(name) not in (None, plain)
        ]
        known = frozenset({"effort", "summary", "generate_summary", "context", "mode"})
        reasoning.unread(known, dropped)
    if reasoning is not None and effort is None and summary is not None:
        path = reasoning.path("summary" if reasoning.text("summary") else "generate_summary")
    return _wish(effort, summary, path, dropped), path


def _wish(effort: str | None, summary: str | None, path: str, dropped: list[str]) -> ReasoningWish | None:
    visible: Literal["none", "summary"] | None = None
    if summary is not None:
        visible = "none" if summary in {"none", "off"} else "summary"
    if effort in {"none", "off"}:
        return ReasoningWish(mode="off")
    if effort in LEVELS:
        return ReasoningWish(mode="level", level=effort, visible=visible)
    if effort is not None and effort not in {"auto", "default"}:
        dropped.append(path)
    if effort is None and visible != "summary":
        return None
    return ReasoningWish(mode="auto", visible=visible)


def _form(request: Fields, conversation: Conversation, dropped: list[str]) -> Fields | None:
    """Return the form of the answer that was asked for last."""
    text = request.object("text")
    form = text.object("format") if text else None
    if text is not None:
        text.unread(frozenset({"format", "verbosity"}), dropped)
    for update in conversation.updates:
        changed = update.object("text")
        later = changed.object("format") if changed else None
        if changed is not None and later is not None:
            if form is not None:
                dropped.append(form.at)  # what is said later counts
            form = later
            changed.unread(frozenset({"format"}), dropped)
    return form


def _form_paths(form: Fields) -> dict[str, str]:
    """Return what the hub calls the members of the form, with where they stand."""
    holder = form.object("json_schema") or form
    names = ("name", "description", "schema", "strict")
    return {"output": form.at, **{f"output.{name}": holder.path(name) for name in names}}


def _output(form: Fields, dropped: list[str]) -> OutputFormat | None:
    kind = form.text("type")
    if kind in {None, "text"}:
        return None
    if kind == "json_object":
        form.unread(frozenset({"type"}), dropped)
        return OutputFormat(kind="json")
    if kind != "json_schema":
        form.refuse("type", "must be `text`, `json_object` or `json_schema`")
    holder = form.object("json_schema") or form  # chat nests what this format writes flat
    holder.unread(frozenset({"type", "json_schema", "name", "schema", "strict", "description"}), dropped)
    schema = holder.object("schema")
    if schema is None:
        holder.refuse("schema", "must be a JSON Schema object")
    return schema_format(holder, schema)
