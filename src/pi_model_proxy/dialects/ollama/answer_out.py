"""Answers as Ollama's callers expect them: one JSON object a line, or one object.

Text and thinking leave as they come; a call leaves whole, its arguments an object. The last line
has `done`, why, the counts, and how long it took in nanoseconds.

Sources: dialects.md §2.6, §2.7, §5.2; ollama-python 0.6.3 `ChatResponse`, `GenerateResponse` (it reads
lines with httpx, which splits on U+2028 too: everything is ASCII here).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.contents import arguments_object
from pi_model_proxy.dialects.ollama.errors_out import error_line
from pi_model_proxy.dialects.ollama.words import Form, moment
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    Event,
    Failure,
    Finish,
    Message,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
)
from pi_model_proxy.wire import ascii_json, ascii_text

__all__ = ["PING", "OllamaEncoder", "encode_message"]

PING: Final = b" "
"""A blank before the next line's object: every JSON reader skips it, while an empty line breaks ollama-python."""
_NANOSECONDS: Final = 1_000_000_000
_LENGTH: Final = frozenset({"length", "context_full"})

Json = dict[str, Any]


class OllamaEncoder:
    """Writes hub events as lines; one object a stream."""

    def __init__(self, context: AnswerContext, form: Form) -> None:
        self._context = context
        self._form: Form = form
        self._head = ascii_json({"model": context.model, "created_at": _now(context)})[:-1]
        self._usage = Usage()
        self._open: Block | None = None
        self._before = b""
        self._after = b""
        """What stands around each piece of the open block's text."""
        self._arguments: list[str] = []
        self._calls = 0
        self._spoke = False
        self._began_s: float | None = None
        """When the first block began, by the context's `ticks`."""

    def feed(self, event: Event) -> bytes:  # noqa: PLR0911 - one line an event
        match event:
            case TextDelta(text=text):
                return self._text(text)
            case ArgumentsDelta(text=text):
                self._arguments.append(text)
                return b""
            case BlockStart(block=block):
                self._begin(block)
                return b""
            case BlockStop():
                return self._end()
            case Start(usage=usage):
                self._usage = usage or self._usage
                return b""
            case UsageUpdate(usage=usage):
                self._usage = usage
                return b""
            case Finish():
                return self._finish(event)
            case Failure(error=error):
                return error_line(error)
            case _:
                return b""

    def ping(self) -> bytes:
        """Return a blank, which may stand before any JSON object."""
        return PING

    def _begin(self, block: Block) -> None:
        self._open = block
        self._arguments = []
        if self._began_s is None and self._context.ticks is not None:
            self._began_s = self._context.ticks()
        before, after = b"", b""
        if isinstance(block, TextBlock | RefusalBlock):
            before, after = _AROUND_TEXT[self._form]
        elif isinstance(block, ReasoningBlock) and self._context.shows_reasoning:
            before, after = _AROUND_THINKING[self._form]
        self._before, self._after = (self._head + before if before else b""), after

    def _text(self, text: str) -> bytes:
        if not self._before or not text:
            return b""
        self._spoke = self._spoke or not isinstance(self._open, ReasoningBlock)
        return self._before + ascii_text(text) + self._after

    def _end(self) -> bytes:
        block, self._open = self._open, None
        if not isinstance(block, ToolCallBlock) or self._form != "chat":
            return b""
        call = _call(block, "".join(self._arguments), self._calls, self._context)
        self._calls += 1
        message = {"role": "assistant", "content": "", "tool_calls": [call]}
        return self._head + b',"message":' + ascii_json(message) + b',"done":false}\n'

    def _finish(self, event: Finish) -> bytes:
        lines = b""
        if event.detail and event.reason == "refusal" and not self._spoke:
            before, after = _AROUND_TEXT[self._form]
            lines = self._head + before + ascii_text(event.detail) + after
        empty: Json = (
            {"message": {"role": "assistant", "content": ""}} if self._form == "chat" else {"response": ""}
        )
        last = empty | _ending(event, self._usage, self._context, began_s=self._began_s)
        return lines + self._head + b"," + ascii_json(last)[1:] + b"\n"


_AROUND_TEXT: Final[dict[Form, tuple[bytes, bytes]]] = {
    "chat": (b',"message":{"role":"assistant","content":', b'},"done":false}\n'),
    "generate": (b',"response":', b',"done":false}\n'),
}
_AROUND_THINKING: Final[dict[Form, tuple[bytes, bytes]]] = {
    "chat": (b',"message":{"role":"assistant","content":"","thinking":', b'},"done":false}\n'),
    "generate": (b',"response":"","thinking":', b',"done":false}\n'),
}


def encode_message(message: Message, context: AnswerContext, form: Form) -> bytes:
    """Return a whole answer as one object."""
    blocks = message.blocks
    content = "".join(block.text for block in blocks if isinstance(block, TextBlock | RefusalBlock))
    if not content and message.finish.reason == "refusal":
        content = message.finish.detail or ""
    thinking = "".join(block.text for block in blocks if isinstance(block, ReasoningBlock))
    if not context.shows_reasoning:
        thinking = ""
    answer: Json = {"model": context.model, "created_at": _now(context)}
    thoughts = {"thinking": thinking} if thinking else {}
    if form == "generate":
        answer |= {"response": content, **thoughts}
    else:
        said: Json = {"role": "assistant", "content": content, **thoughts}
        calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
        if calls:
            said["tool_calls"] = [
                _call(call, call.arguments, index, context) for index, call in enumerate(calls)
            ]
        answer["message"] = said
    return ascii_json(answer | _ending(message.finish, message.usage, context, began_s=None))


def _call(call: ToolCallBlock, arguments: str, index: int, context: AnswerContext) -> Json:
    name = f"{call.namespace}__{call.name}" if call.namespace else call.name
    given: Json = {"input": arguments} if call.custom else arguments_object(arguments)
    call_id = call.id or f"call_{context.answer_id}_{index}"
    return {"id": call_id, "function": {"index": index, "name": name, "arguments": given}}


def _ending(finish: Finish, usage: Usage, context: AnswerContext, *, began_s: float | None) -> Json:
    """Return what only the last object says; `began_s` is when the first block began, None for a whole answer."""
    total = before = 0
    if context.ticks is not None:
        # Clients divide by these: never 0 where something was measured.
        total = max(1, round((context.ticks() - context.arrived_s) * _NANOSECONDS))
        before = 0 if began_s is None else max(0, round((began_s - context.arrived_s) * _NANOSECONDS))
    return {
        "done": True,
        "done_reason": "length" if finish.reason in _LENGTH else "stop",
        "total_duration": total,
        "load_duration": 0,
        "prompt_eval_count": usage.total_input,
        "prompt_eval_duration": before,
        "eval_count": usage.output,
        "eval_duration": max(1, total - before) if total else 0,
    }


def _now(context: AnswerContext) -> str:
    return moment(context.clock() if context.clock is not None else context.created)
