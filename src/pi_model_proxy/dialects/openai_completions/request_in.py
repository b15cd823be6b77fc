"""A caller's request, read into the hub.

Sources: openai-python 3.54.0 `types/completion_create_params.py`; dialects.md §9.
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.reading import Fields, read_json, says_nothing, too_deep
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import Request, Sampling, TextBlock, Turn

__all__ = ["DIALECT", "MAX_PROMPTS", "read_request"]

DIALECT: Final = "openai_completions"
MAX_PROMPTS: Final = 20
"""So many are asked for one request, one after the other."""

_UNDERSTOOD: Final = frozenset({
    "model", "prompt", "stream", "stream_options", "max_tokens", "stop", "n", "best_of", "echo", "suffix",
    "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "user",
})  # fmt: skip
_OF_STREAM: Final = frozenset({"include_usage", "include_obfuscation"})
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
    "sampling.top_logprobs": "logprobs",
    "max_output": "max_tokens",
    "end_user": "user",
}
"""Hub field to the caller's field."""


def read_request(body: bytes) -> Request:
    """Return the whole request.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: what only a model without a chat format can do.
    """
    try:
        return _read(read_json(body))
    except RecursionError as error:
        raise too_deep() from error


def _read(request: Fields) -> Request:
    _refuse_the_impossible(request)
    dropped = [name for name in request.values if name in STEERING_FIELDS]
    options = request.object("stream_options")
    if options is not None:
        options.unread(_OF_STREAM, dropped)
        if options.flag("include_obfuscation"):
            dropped.append(options.path("include_obfuscation"))
    count = request.whole("n") or 1
    if (request.whole("best_of") or 1) > count:
        dropped.append("best_of")  # one answer is made, and is the best of one
    return Request(
        dialect=DIALECT,
        model=request.text("model"),
        stream=request.flag("stream") or False,
        wants_usage=options is not None and options.flag("include_usage") is True,
        turns=(Turn(role="user", blocks=(_prompt(request),), at="prompt"),),
        max_output=request.whole("max_tokens"),
        stop=_stop(request),
        n=max(1, count),
        sampling=_sampling(request),
        end_user=request.text("user"),
        extra=_extra(request),
        paths=_PATHS,
        dropped=tuple(dict.fromkeys(dropped)),
    )


def _refuse_the_impossible(request: Fields) -> None:
    if request.flag("echo"):
        raise UnsupportedFeature(
            "echo: the prompt is not part of this model's answer; remove it.", param="echo"
        )
    if request.text("suffix"):
        raise UnsupportedFeature(
            "suffix: text can be continued, not filled in between; send it to a model that can do this.",
            param="suffix",
        )


def _prompt(request: Fields) -> TextBlock:
    """Return the prompt: a string, or an array that holds one.

    Raises:
        UnsupportedFeature: tokens of another model's alphabet, or several prompts at once.
        BadRequest: no text.
    """
    given = request.values.get("prompt")
    at = "prompt"
    if isinstance(given, list) and given:
        if any(isinstance(each, int | list) for each in given):
            raise UnsupportedFeature(
                "prompt: tokens mean something else to every model; send the text.", param="prompt"
            )
        if len(given) > 1:
            raise UnsupportedFeature("prompt[1]: send one prompt a request.", param="prompt[1]")
        given, at = given[0], "prompt[0]"
    if not isinstance(given, str) or not given:
        request.refuse("prompt", "must be a string that is not empty, or an array of one")
    return TextBlock(text=given, at=at)


def _stop(request: Fields) -> tuple[str, ...]:
    value = request.values.get("stop")
    if isinstance(value, str):
        return (value,) if value else ()
    texts = request.array("stop")
    if not all(isinstance(each, str) for each in texts):
        request.refuse("stop", "must be a string or an array of strings")
    return tuple(each for each in texts if each)


def _sampling(request: Fields) -> Sampling:
    bias = request.object("logit_bias")
    top = request.whole("logprobs")
    return Sampling(
        temperature=request.number("temperature"),
        top_p=request.number("top_p"),
        top_k=request.whole("top_k"),
        min_p=request.number("min_p"),
        seed=request.whole("seed"),
        presence_penalty=request.number("presence_penalty") or None,
        frequency_penalty=request.number("frequency_penalty") or None,
        logit_bias={name: bias.number(name) or 0.0 for name in bias.values} if bias and bias.values else None,
        logprobs=True if top is not None else None,
        top_logprobs=top or None,
    )


def _extra(request: Fields) -> dict[str, Any]:
    return {
        name: value
        for name, value in request.values.items()
        if name not in _UNDERSTOOD and name not in STEERING_FIELDS and not says_nothing(value)
    }
