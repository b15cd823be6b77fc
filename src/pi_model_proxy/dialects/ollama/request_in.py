"""A caller's request, read into the hub.

Sources: dialects.md §1.1 OL, §1.2, §1.3; Ollama's API reference; ollama-python 0.6.3 `ChatRequest`,
`GenerateRequest`, `Options`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.base import Peek
from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.ollama.messages_in import read_messages, read_prompt
from pi_model_proxy.dialects.ollama.tools_in import read_tools
from pi_model_proxy.dialects.ollama.words import DIALECT, Form
from pi_model_proxy.dialects.reading import Fields, read_json, says_nothing, too_deep
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import OutputFormat, ReasoningWish, Request, Sampling
from pi_model_proxy.wire import members_of

__all__ = ["peek", "read_request"]

_UNDERSTOOD: Final = frozenset(
    {"model", "name", "stream", "format", "options", "think", "logprobs", "top_logprobs"}
)
_OF_FORM: Final[dict[Form, frozenset[str]]] = {
    "chat": _UNDERSTOOD | {"messages", "tools"},
    "generate": _UNDERSTOOD | {"prompt", "system", "images", "suffix", "context", "raw"},
}
"""Fields the hub has a name for, or that are refused; the rest (`keep_alive`, `template`, …) is listed."""
_OF_OPTIONS: Final = frozenset({
    "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "num_predict", "stop",
})  # fmt: skip
_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {"truncate": (True,), "shift": (True,), "raw": (False,)}
"""Values that ask for what happens anyway."""

_PATHS: Final = {
    "sampling.temperature": "options.temperature",
    "sampling.top_p": "options.top_p",
    "sampling.top_k": "options.top_k",
    "sampling.min_p": "options.min_p",
    "sampling.seed": "options.seed",
    "sampling.presence_penalty": "options.presence_penalty",
    "sampling.frequency_penalty": "options.frequency_penalty",
    "sampling.logprobs": "logprobs",
    "sampling.top_logprobs": "top_logprobs",
    "max_output": "options.num_predict",
    "stop": "options.stop",
    "reasoning": "think",
    "output": "format",
    "output.schema": "format",
}
"""Hub field to the caller's field."""

_text: Final = msgspec.json.Decoder(str | None).decode
_flag: Final = msgspec.json.Decoder(bool | None).decode


def peek(body: bytes) -> Peek:
    """Return what routing needs; `name` is an older word for `model`.

    Raises:
        BadRequest: names the JSON path.
    """
    try:
        members = members_of(body)
        named = members.get("model") or members.get("name")
        streams = _flag(members["stream"]) if "stream" in members else None
        return Peek(model=_text(named) if named else None, stream=streams is not False, members=members)
    except (ValueError, RecursionError):
        # Lone surrogates are mended, and a field of the wrong type is found out.
        request = read_json(body)
        return Peek(
            model=request.text("model") or request.text("name"), stream=request.flag("stream") is not False
        )


def read_request(body: bytes, form: Form) -> Request:
    """Return the whole request.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something only a model on this machine can do (raw prompts, its own token context).
    """
    try:
        return _read(read_json(body), form)
    except RecursionError as error:
        raise too_deep() from error


def _read(request: Fields, form: Form) -> Request:
    if form == "generate":
        _refuse_the_impossible(request)
    dropped = [name for name in request.values if name in STEERING_FIELDS]
    conversation = read_messages(request, dropped) if form == "chat" else read_prompt(request)
    options = request.object("options") or Fields({}, "options")
    options.unread(_OF_OPTIONS, dropped)
    limit = options.whole("num_predict")
    return Request(
        dialect=DIALECT,
        model=request.text("model") or request.text("name"),
        stream=request.flag("stream") is not False,
        instructions=conversation.instructions,
        turns=conversation.turns,
        tools=read_tools(request, dropped) if form == "chat" else (),
        max_output=limit if limit is not None and limit > 0 else None,  # -1: until the end, -2: the context
        stop=_stop(options),
        sampling=_sampling(request, options),
        reasoning=_reasoning(request),
        output=_output(request),
        extra=_extra(request, _OF_FORM[form]),
        paths=_PATHS,
        dropped=tuple(dict.fromkeys(dropped)),
    )


def _refuse_the_impossible(request: Fields) -> None:
    for name, why in (
        ("suffix", "text can be continued, not filled in between; send it to the model that can do this"),
        ("context", "the tokens of an earlier answer mean nothing to this model; use /api/chat"),
        ("raw", "this model's API applies its own template; leave the field out"),
    ):
        value = request.values.get(name)
        if not says_nothing(value) and value is not False:
            raise UnsupportedFeature(f"{name}: {why}.", param=name)


def _stop(options: Fields) -> tuple[str, ...]:
    value = options.values.get("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value else ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        options.refuse("stop", "must be a string or an array of strings")
    return tuple(each for each in value if each)


def _sampling(request: Fields, options: Fields) -> Sampling:
    return Sampling(
        temperature=options.number("temperature"),
        top_p=options.number("top_p"),
        top_k=options.whole("top_k"),
        min_p=options.number("min_p"),
        seed=options.whole("seed"),
        presence_penalty=options.number("presence_penalty") or None,
        frequency_penalty=options.number("frequency_penalty") or None,
        logprobs=request.flag("logprobs") or None,
        top_logprobs=request.whole("top_logprobs") or None,
    )


def _reasoning(request: Fields) -> ReasoningWish | None:
    """Return the wish in `think`: a flag, or how much (gpt-oss takes `low`, `medium`, `high`)."""
    value = request.values.get("think")
    if isinstance(value, str):
        if value.lower() in {"", "none", "off", "false"}:
            return ReasoningWish(mode="off") if value else None
        return (
            ReasoningWish(mode="auto")
            if value.lower() == "true"
            else ReasoningWish(mode="level", level=value)
        )
    flag = request.flag("think")
    return None if flag is None else ReasoningWish(mode="auto" if flag else "off")


def _output(request: Fields) -> OutputFormat | None:
    value = request.values.get("format")
    if value is None or value == "":
        return None
    if value == "json":
        return OutputFormat(kind="json")
    if not isinstance(value, dict):
        request.refuse("format", "must be `json` or a JSON Schema")
    return OutputFormat(kind="schema", schema=value)


def _extra(request: Fields, known: frozenset[str]) -> dict[str, Any]:
    return {
        name: value
        for name, value in request.values.items()
        if name not in known
        and name not in STEERING_FIELDS
        and not says_nothing(value)
        and value not in _NEUTRAL.get(name, ())
    }
