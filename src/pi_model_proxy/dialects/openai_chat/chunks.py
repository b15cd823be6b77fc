"""Chunks and answers of chat completions as upstreams really send them, in one typed shape.

`read_chunk` decodes straight into types; only a chunk that does not fit takes the slow way, where
every known deviation is put right. Sources: dialects.md §2.2 and vectors 55-61, 66, 80, 82, 85,
100; pi-ai 1.5.2 `dist/api/openai-completions.js`.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import msgspec

from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream

__all__ = ["EMPTY", "Choice", "Chunk", "Delta", "Fragment", "Function", "decoded", "read_chunk", "unreadable"]

EMPTY: Final = msgspec.Raw(b"")
"""A field that was absent."""


class Function(msgspec.Struct, gc=False):
    """What a call fragment says of a function, or of a custom tool (`input`)."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class Fragment(msgspec.Struct, gc=False):
    """A piece of a tool call."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Function | None = None
    extra_content: msgspec.Raw = EMPTY


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds; a plain answer's `message` is one large delta."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: str | None = None
    refusal: str | None = None
    tool_calls: list[Fragment] | None = None
    function_call: Function | None = None
    reasoning_details: msgspec.Raw = EMPTY
    thinking_blocks: msgspec.Raw = EMPTY
    annotations: msgspec.Raw = EMPTY


class Choice(msgspec.Struct, gc=False):
    """One answer of possibly several; only the first is read."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM: the stop string (or token) that ended the answer."""
    usage: msgspec.Raw = EMPTY
    """Moonshot puts the counts here."""
    parts: tuple[Delta, ...] = ()
    """In place of `delta` where content was a list, in its order (Mistral). Never read from the wire."""


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream, or a plain answer."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = EMPTY
    error: msgspec.Raw = EMPTY


_fast: Final = msgspec.json.Decoder(Chunk)


def read_chunk(data: bytes) -> Chunk | None:
    """Return what `data` says; None when it is JSON that says nothing (a heartbeat).

    Raises:
        BrokenStream: not JSON.
    """
    try:
        chunk = _fast.decode(data)
    except (ValueError, RecursionError):
        return _slow(data)
    for choice in chunk.choices or ():
        if choice.parts:
            choice.parts = ()  # a provider's own field of that name means nothing here
    return chunk


def unreadable() -> BrokenStream:
    """Return the complaint about data that is not JSON, or nested deeper than we can follow."""
    return BrokenStream(
        "The provider sent something that is not JSON in the middle of its answer; try again."
    )


def decoded(raw: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - any JSON
    """Return a member of a chunk decoded; None when it is absent, or beyond what numbers or stacks can hold."""
    try:
        return msgspec.json.decode(mend_body(bytes(raw))) if raw else None
    except (ValueError, RecursionError):
        return None


def _slow(data: bytes) -> Chunk | None:
    try:
        # The standard library keeps lone surrogates, whose other half may be in the next chunk.
        value = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise unreadable() from error
    if isinstance(value, list) and value and isinstance(value[0], dict) and value[0].get("error"):
        return Chunk(error=_raw(value[0], "error"))  # Google's compatible endpoint wraps its errors in a list
    return _chunk(value) if isinstance(value, dict) else None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _chunk(value: dict[str, Any]) -> Chunk:
    choices = value.get("choices")
    created = value.get("created")
    return Chunk(
        id=_text(value.get("id")),
        object=_text(value.get("object")),
        model=_text(value.get("model")),
        created=created if isinstance(created, int | float) else None,
        choices=[_choice(each) for each in choices if isinstance(each, dict)]
        if isinstance(choices, list)
        else None,
        usage=_raw(value, "usage"),
        error=_raw(value, "error"),
    )


def _choice(value: dict[str, Any]) -> Choice:
    stop_reason = value.get("stop_reason")
    body = value.get("delta")
    if not isinstance(body, dict):
        body = value.get("message")
    return Choice(
        index=_whole(value.get("index")),
        parts=tuple(_deltas(body)) if isinstance(body, dict) else (),
        finish_reason=_text(value.get("finish_reason")),
        stop_reason=stop_reason if isinstance(stop_reason, str) else None,
        usage=_raw(value, "usage"),
    )


def _deltas(value: dict[str, Any]) -> list[Delta]:
    """Return a delta, and one more for each part when its content is a list of parts."""
    calls = value.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    whole = Delta(
        content=_text(value.get("content")),
        reasoning_content=_text(value.get("reasoning_content")),
        reasoning=_text(value.get("reasoning")),
        reasoning_text=_text(value.get("reasoning_text")),
        refusal=_text(value.get("refusal")),
        tool_calls=[_fragment(each) for each in calls if isinstance(each, dict)]
        if isinstance(calls, list)
        else None,
        function_call=_function(value.get("function_call")),
        reasoning_details=_raw(value, "reasoning_details"),
        thinking_blocks=_raw(value, "thinking_blocks"),
        annotations=_raw(value, "annotations"),
    )
    content = value.get("content")
    if not isinstance(content, list):
        return [whole]
    calls_last = Delta(tool_calls=whole.tool_calls, annotations=whole.annotations)
    whole.tool_calls, whole.annotations = None, EMPTY
    return [whole, *(_content_part(part) for part in content), calls_last]


def _content_part(part: Any) -> Delta:  # noqa: ANN401 - any JSON
    if isinstance(part, str):
        return Delta(content=part)
    if not isinstance(part, dict):
        return Delta()
    thinking = part.get("thinking")
    if isinstance(thinking, list):
        thinking = "".join(_text(each.get("text")) or "" for each in thinking if isinstance(each, dict))
    if isinstance(thinking, str):
        return Delta(reasoning=thinking)
    return Delta(content=_text(part.get("text")), refusal=_text(part.get("refusal")))


def _fragment(value: dict[str, Any]) -> Fragment:
    return Fragment(
        index=_whole(value.get("index")),
        id=_text(value.get("id")),
        type=_text(value.get("type")),
        function=_function(value.get("function")),
        custom=_function(value.get("custom")),
        extra_content=_raw(value, "extra_content"),
    )


def _function(value: Any) -> Function | None:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        return None
    arguments = value.get("arguments")
    if isinstance(arguments, dict | list):
        arguments = json.dumps(
            arguments, ensure_ascii=False, separators=(",", ":")
        )  # Ollama sends the object
    return Function(
        name=_text(value.get("name")), arguments=_text(arguments), input=_text(value.get("input"))
    )


def _text(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:  # noqa: ANN401 - any JSON
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _raw(value: dict[str, Any], name: str) -> msgspec.Raw:
    inner = value.get(name)
    return EMPTY if inner is None else msgspec.Raw(mend_body(json.dumps(inner).encode()))
