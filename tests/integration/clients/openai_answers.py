"""Answers as openai-python hands them over, in one shape however they were asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

__all__ = ["WAYS", "Heard", "Way", "ask", "fold"]

Way = Literal["plain", "streamed", "helper"]
WAYS: Final[tuple[Way, ...]] = ("plain", "streamed", "helper")
"""One object; raw chunks; the SDK's own stream helper, which folds chunks by its own rules."""


@dataclass(slots=True, kw_only=True)
class Heard:
    """What one answer said."""

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    details: list[Any] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    """`id`, `name`, `arguments` of each tool call."""
    finish: str | None = None
    usage: CompletionUsage | None = None
    id: str = ""
    model: str = ""

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Prompt, cached, completion and reasoning tokens."""
        assert self.usage is not None
        cached, made = self.usage.prompt_tokens_details, self.usage.completion_tokens_details
        assert cached is not None
        assert made is not None
        assert self.usage.total_tokens == self.usage.prompt_tokens + self.usage.completion_tokens
        return (
            self.usage.prompt_tokens,
            cached.cached_tokens or 0,
            self.usage.completion_tokens,
            made.reasoning_tokens or 0,
        )

    def arguments(self) -> list[tuple[str, Any]]:
        """Return name and decoded arguments of each call."""
        return [(call["name"], json.loads(call["arguments"])) for call in self.calls]

    def turn(self, *, echo: bool) -> dict[str, Any]:
        """Return the assistant turn of the next request; with `echo` all that came, else what the types know."""
        calls = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in self.calls
        ]
        turn: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if calls:
            turn["tool_calls"] = calls
        if echo:
            said = {"reasoning_content": self.reasoning, "reasoning_details": self.details}
            turn |= {name: value for name, value in said.items() if value}
        return turn


def ask(
    client: openai.OpenAI, model: str, prompt: str | list[Any], way: Way = "plain", **fields: Any
) -> Heard:
    """Ask in one of the three ways; `prompt` is the user's content, or all messages."""
    whole = isinstance(prompt, list) and prompt and "role" in prompt[0]
    messages: Any = prompt if whole else [{"role": "user", "content": prompt}]
    if way == "plain":
        return _whole(client.chat.completions.create(model=model, messages=messages, **fields))
    fields["stream_options"] = {"include_usage": True}
    if way == "streamed":
        with client.chat.completions.create(model=model, messages=messages, stream=True, **fields) as chunks:
            return fold(chunks)
    with client.chat.completions.stream(model=model, messages=messages, **fields) as stream:
        stream.until_done()
        return _whole(stream.get_final_completion())


def _whole(answer: ChatCompletion) -> Heard:
    assert len(answer.choices) == 1
    message = answer.choices[0].message
    extra: Mapping[str, Any] = message.model_extra or {}
    calls = [call for call in message.tool_calls or [] if call.type == "function"]
    return Heard(
        text=message.content or "",
        refusal=message.refusal or "",
        reasoning=extra.get("reasoning_content", ""),
        details=extra.get("reasoning_details", []),
        calls=[
            {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
            for call in calls
        ],
        finish=answer.choices[0].finish_reason,
        usage=answer.usage,
        id=answer.id,
        model=answer.model,
    )


def fold(chunks: Iterable[ChatCompletionChunk]) -> Heard:
    """Join chunks, and check what clients rely on: one role, one finish, then usage alone in the last chunk."""
    heard = Heard()
    roles = 0
    for chunk in chunks:
        assert heard.usage is None, "a chunk after the usage"
        assert heard.id in {"", chunk.id}
        heard.id, heard.model, heard.usage = chunk.id, chunk.model, chunk.usage
        assert bool(chunk.choices) == (chunk.usage is None)
        for choice in chunk.choices:
            assert choice.index == 0
            assert heard.finish is None, "a delta after the finish"
            roles += choice.delta.role == "assistant"
            _add(heard, choice.delta)
            heard.finish = choice.finish_reason
    assert roles == 1
    return heard


def _add(heard: Heard, delta: Any) -> None:
    extra = delta.model_extra or {}
    heard.text += delta.content or ""
    heard.refusal += delta.refusal or ""
    heard.reasoning += extra.get("reasoning_content") or ""
    heard.details += extra.get("reasoning_details") or []
    for fragment in delta.tool_calls or []:
        assert fragment.index in {len(heard.calls), len(heard.calls) - 1}, "calls overlap"
        if fragment.index == len(heard.calls):
            heard.calls.append({"id": fragment.id, "name": fragment.function.name, "arguments": ""})
        heard.calls[-1]["arguments"] += fragment.function.arguments or ""
