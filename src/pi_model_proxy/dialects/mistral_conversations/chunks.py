"""The JSON of Mistral's answers, as far as we read it: a chunk of a stream, or a whole answer.

Sources: mistralai 3.7.0 (`CompletionChunk`, `ChatCompletionResponse`); pi 1.5.2
`dist/api/mistral-conversations.js` (the names under which cached tokens have been seen).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.dialects.answer_json import Count, read_answer, whole_count
from pi_model_proxy.hub import Usage

__all__ = ["Call", "Choice", "Chunk", "Delta", "Function", "Part", "usage_of"]

_NOTHING = msgspec.Raw()


class Function(msgspec.Struct):
    """What a call calls."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class Call(msgspec.Struct):
    """A tool call, as a rule whole."""

    id: str | None = None
    index: int | None = None
    function: Function | None = None


class Part(msgspec.Struct):
    """A chunk of content: of text, of thinking (a list of texts), or of something we do not read."""

    type: str = ""
    text: str | None = None
    thinking: list[Part] | str | None = None


class Delta(msgspec.Struct):
    """More of an answer, or all of it."""

    content: str | list[Part | str] | None = None
    tool_calls: list[Call] | None = None


class Choice(msgspec.Struct):
    """One of the answers; the only one."""

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """One event, or the whole answer."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING
    object: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: Count = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: _Details | None = None
    prompt_token_details: _Details | None = None
    num_cached_tokens: Count = None


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """Return the counts without overlap (`prompt_tokens` includes cached ones); None when there are none."""
    said = read_answer(raw, _Usage)
    if said is None:
        return None
    prompt = whole_count(said.prompt_tokens)
    given = (
        said.prompt_tokens_details.cached_tokens if said.prompt_tokens_details else None,
        said.prompt_token_details.cached_tokens if said.prompt_token_details else None,
        said.num_cached_tokens,
    )
    cached = min(prompt, whole_count(next((count for count in given if count is not None), None)))
    return Usage(input=prompt - cached, cache_read=cached, output=whole_count(said.completion_tokens))
