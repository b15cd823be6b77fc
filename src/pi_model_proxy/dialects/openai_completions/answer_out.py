"""Answers as callers of legacy completions expect them: `text_completion`, streamed or whole.

Only the text is told: the format has no place for thinking, calls or citations.

Source: openai-python 3.54.0 `types/completion.py`, `completion_choice.py`, `completion_usage.py`.
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.openai_errors import error_words
from pi_model_proxy.hub import (
    Block,
    BlockStart,
    Event,
    Failure,
    Finish,
    Message,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    Usage,
    UsageUpdate,
)
from pi_model_proxy.wire import ascii_json, ascii_text, encode_frame

__all__ = ["PING_FRAME", "CompletionsEncoder", "encode_message"]

PING_FRAME: Final = b": keep-alive\n\n"
"""A comment, which every SDK skips."""
_DONE_FRAME: Final = b"data: [DONE]\n\n"
_FINISH_WORDS: Final = {
    "length": "length",
    "context_full": "length",
    "refusal": "content_filter",
    "content_filter": "content_filter",
}
"""Every other reason is `stop`."""


class CompletionsEncoder:
    """Writes hub events as chunks; one object a stream."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._head = b"data: " + ascii_json(_common(context))[:-1] + b',"choices":['
        self._tail = b',"usage":null}\n\n' if context.wants_usage else b"}\n\n"
        self._open: Block | None = None
        self._spoke = False
        self._usage = Usage()

    def feed(self, event: Event) -> bytes:  # noqa: PLR0911 - one line an event
        match event:
            case TextDelta(text=text):
                return self._text(text) if isinstance(self._open, TextBlock | RefusalBlock) else b""
            case BlockStart(block=block):
                self._open = block
                return b""
            case Start(usage=usage):
                self._usage = usage or self._usage
                return b""
            case UsageUpdate(usage=usage):
                self._usage = usage
                return b""
            case Finish():
                return self._finish(event)
            case Failure(error=error):
                return encode_frame(ascii_json({"error": error_words(error)}))
            case _:
                return b""

    def ping(self) -> bytes:
        """Return a comment, which every SDK skips."""
        return PING_FRAME

    def _text(self, text: str, finish: bytes = b"null") -> bytes:
        self._spoke = self._spoke or bool(text)
        choice = (
            b'{"text":' + ascii_text(text) + b',"index":0,"logprobs":null,"finish_reason":' + finish + b"}]"
        )
        return self._head + choice + self._tail

    def _finish(self, event: Finish) -> bytes:
        frames = b""
        if event.reason == "refusal" and event.detail and not self._spoke:
            frames = self._text(event.detail)
        frames += self._text("", b'"' + _finish_word(event).encode() + b'"')
        if self._context.wants_usage:
            frames += self._head + b'],"usage":' + ascii_json(_usage(self._usage)) + b"}\n\n"
        return frames + _DONE_FRAME


def encode_message(message: Message, context: AnswerContext) -> bytes:
    """Return a whole answer as one `text_completion` object."""
    spoken = [block.text for block in message.blocks if isinstance(block, TextBlock | RefusalBlock)]
    finish = message.finish
    text = "".join(spoken) or (finish.detail or "" if finish.reason == "refusal" else "")
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": _finish_word(finish)}
    return ascii_json({**_common(context), "choices": [choice], "usage": _usage(message.usage)})


def _common(context: AnswerContext) -> dict[str, Any]:
    return {
        "id": f"cmpl-{context.answer_id}",
        "object": "text_completion",
        "created": context.created,
        "model": context.model,
    }


def _finish_word(finish: Finish) -> str:
    return _FINISH_WORDS.get(finish.reason, "stop")


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
