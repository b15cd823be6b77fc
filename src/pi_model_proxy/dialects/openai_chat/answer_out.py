"""Answers as chat completions callers expect them: a stream of chunks, or one object.

Source: OpenAI's `ChatCompletionChunk` and `ChatCompletion` schemas; what SDKs break on:
dialects.md §2.2, §2.9, §2.10. Every chunk has id, object, created and model; `choices[].index` is
always 0; tool calls are counted among themselves; the finish comes once; usage only when asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.names import legal_id
from pi_model_proxy.dialects.openai_chat.legacy_out import FINISH_WORD, call_argued, call_begun, whole_call
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.reasoning_details import details_of
from pi_model_proxy.dialects.openai_chat.usage import usage_json
from pi_model_proxy.dialects.openai_errors import error_frame
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Failure,
    Finish,
    Message,
    OpaqueDelta,
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

__all__ = ["DONE_FRAME", "PING_FRAME", "ChatStreamEncoder", "encode_message"]

MAX_CALL_ID_CHARS: Final = 40
"""OpenAI refuses longer tool call ids in the next request."""
PING_FRAME: Final = b": keep-alive\n\n"
"""A comment: openai-python reads the data of every named event as JSON, an `event: ping` would break it."""
DONE_FRAME: Final = b"data: [DONE]\n\n"
_CHOICE: Final = b'{"index":0,"delta":'

_FINISH_WORDS: Final = {
    "stop": "stop",
    "stop_sequence": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "context_full": "length",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "pause": "stop",
}


def _answer_id(upstream_id: str, context: AnswerContext) -> str:
    return upstream_id if upstream_id.startswith("chatcmpl-") else f"chatcmpl-{context.answer_id}"


def _call_id(call: ToolCallBlock, position: int, context: AnswerContext) -> str:
    """Return the id a client can send back; one that is too long is shortened the same way every time."""
    if not call.id:
        seed = f"{context.answer_id}:{position}"
        return f"call_{hashlib.sha256(seed.encode()).hexdigest()[:24]}"
    if len(call.id) <= MAX_CALL_ID_CHARS:
        return call.id
    return legal_id(call.id, max_length=MAX_CALL_ID_CHARS)


def _call_name(call: ToolCallBlock) -> str:
    return f"{call.namespace}__{call.name}" if call.namespace else call.name


def _finish_word(finish: Finish, *, called: bool, refused: bool, context: AnswerContext) -> str:
    word = _FINISH_WORDS[finish.reason]
    if called and word in {"stop", "tool_calls"}:
        return FINISH_WORD if context.legacy_functions else "tool_calls"
    if word == "tool_calls" and not called:
        return "stop"
    return "stop" if finish.reason == "refusal" and refused else word


def _annotation(citation: Citation, start: int, end: int) -> dict[str, Any] | None:
    """Return the annotation for a stretch of the message's text; None for what is no web page."""
    if citation.dialect == DIALECT and citation.raw:
        return {"raw": msgspec.Raw(citation.raw.encode())}
    if not citation.url:
        return None
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": start,
            "end_index": end,
            "title": citation.title or "",
            "url": citation.url,
        },
    }


def _as_json(annotation: dict[str, Any]) -> Any:  # noqa: ANN401 - raw JSON or an object
    return annotation.get("raw", annotation)


def _span(citation: Citation, block_start: int, block_end: int) -> tuple[int, int]:
    start = block_start if citation.start is None else block_start + citation.start
    end = block_end if citation.end is None else block_start + citation.end
    return start, end


class ChatStreamEncoder:
    """Writes hub events as chunks; one object a stream."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._origin = f"{context.target.provider}/{context.target.model}"
        self._head = b""
        self._tail = b',"usage":null}' if context.wants_usage else b"}"
        self._usage = Usage()
        self._open: Block | None = None
        self._thinking: list[str] = []
        self._before = b""
        self._after = b""
        """What stands around each piece of the open block's text or arguments."""
        self._calls = 0
        self._is_legacy = context.legacy_functions
        self._details = 0
        self._written = 0
        """Characters of visible text so far; citations count in them."""
        self._block_start = 0
        self._refused = False
        self._argued = False

    def feed(self, event: Event) -> bytes:  # noqa: PLR0911 - one line an event
        match event:
            case TextDelta(text=text):
                return self._text(text)
            case ArgumentsDelta(text=text):
                return self._arguments(text)
            case BlockStart(block=block):
                return self._begin(block)
            case BlockStop():
                return self._end()
            case OpaqueDelta():
                return self._opaque(event)
            case CitationDelta(citation=citation):
                return self._citation(citation)
            case Start():
                return self._start(event)
            case UsageUpdate(usage=usage):
                self._usage = usage
                return b""
            case Finish():
                return self._finish(event)
            case Failure(error=error):
                return error_frame(error)
            case _:
                return b""

    def ping(self) -> bytes:
        """Return a comment, which every SDK skips."""
        return PING_FRAME

    def _start(self, event: Start) -> bytes:
        common = {
            "id": _answer_id(event.id, self._context),
            "object": "chat.completion.chunk",
            "created": self._context.created,
            "model": self._context.model,
        }
        self._head = b"data: " + ascii_json(common)[:-1] + b',"choices":['
        self._usage = event.usage or self._usage
        return self._chunk(b'{"role":"assistant","content":""}')

    def _chunk(self, delta: bytes, finish: bytes = b"null") -> bytes:
        return b"".join((
            self._head, _CHOICE, delta, b',"logprobs":null,"finish_reason":', finish, b"}]", self._tail, b"\n\n",
        ))  # fmt: skip

    def _around(self, before: bytes, after: bytes) -> None:
        """Note what a chunk has around each piece of the block that begins."""
        self._before = self._head + _CHOICE + before
        self._after = after + b',"logprobs":null,"finish_reason":null}]' + self._tail + b"\n\n"

    def _begin(self, block: Block) -> bytes:
        self._open, self._argued = block, False
        match block:
            case ReasoningBlock():
                self._thinking = []
                self._around(b'{"reasoning_content":', b"}")
            case RefusalBlock():
                self._refused = True
                self._around(b'{"refusal":', b"}")
            case TextBlock():
                self._block_start = self._written
                self._around(b'{"content":', b"}")
            case ToolCallBlock():
                return self._begin_call(block)
        return b""

    def _text(self, text: str) -> bytes:
        if isinstance(self._open, TextBlock):
            self._written += len(text)
        elif isinstance(self._open, ReasoningBlock):
            self._thinking.append(text)
        return self._before + ascii_text(text) + self._after

    def _begin_call(self, call: ToolCallBlock) -> bytes:
        kind, body = ("custom", {"input": ""}) if call.custom else ("function", {"arguments": ""})
        fragment = {
            "index": self._calls,
            "id": _call_id(call, self._calls, self._context),
            "type": kind,
            kind: {"name": _call_name(call), **body},
        }
        body_before = b'"custom":{"input":' if call.custom else b'"function":{"arguments":'
        self._around(b'{"tool_calls":[{"index":%d,%b' % (self._calls, body_before), b"}}]}")
        self._calls += 1
        if self._is_legacy:
            return self._chunk(call_begun(call)) if self._calls == 1 else b""
        return self._chunk(b'{"tool_calls":[' + ascii_json(fragment) + b"]}")

    def _arguments(self, text: str) -> bytes:
        self._argued = self._argued or bool(text)
        if self._is_legacy:
            return self._chunk(call_argued(text)) if self._calls == 1 else b""
        return self._before + ascii_text(text) + self._after

    def _end(self) -> bytes:
        block, self._open = self._open, None
        if isinstance(block, ToolCallBlock) and not block.custom and not self._argued:
            return self._arguments("{}")  # clients parse the arguments: "" is no JSON
        return b""

    def _opaque(self, event: OpaqueDelta) -> bytes:
        if isinstance(self._open, ToolCallBlock):
            return self._call_signature(event)
        block = ReasoningBlock(text="".join(self._thinking), opaque=event.opaque)
        entries = details_of(block, origin=self._origin, index=self._details)
        self._details += len(entries)
        return self._chunk(b'{"reasoning_details":' + ascii_json(entries) + b"}") if entries else b""

    def _call_signature(self, event: OpaqueDelta) -> bytes:
        if event.opaque.kind != "gemini_signature" or self._is_legacy:
            return b""
        fragment = {"index": self._calls - 1, "extra_content": _google(event.opaque.data)}
        return self._chunk(b'{"tool_calls":[' + ascii_json(fragment) + b"]}")

    def _citation(self, citation: Citation) -> bytes:
        annotation = _annotation(citation, *_span(citation, self._block_start, self._written))
        if annotation is None:
            return b""
        return self._chunk(b'{"annotations":[' + ascii_json(_as_json(annotation)) + b"]}")

    def _finish(self, event: Finish) -> bytes:
        frames = b""
        if event.detail and event.reason == "refusal" and not self._refused:
            frames = self._chunk(b'{"refusal":' + ascii_json(event.detail) + b"}")
        word = _finish_word(event, called=self._calls > 0, refused=self._refused, context=self._context)
        frames += self._chunk(b"{}", b'"' + word.encode() + b'"')
        if self._context.wants_usage:
            frames += self._head + b'],"usage":' + ascii_json(usage_json(self._usage)) + b"}\n\n"
        return frames + DONE_FRAME


def _google(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def encode_message(message: Message, context: AnswerContext) -> bytes:
    """Return a whole answer as one `chat.completion` object."""
    blocks = message.blocks
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    texts = [block for block in blocks if isinstance(block, TextBlock)]
    refusal = "".join(block.text for block in blocks if isinstance(block, RefusalBlock))
    detail = message.finish.detail if message.finish.reason == "refusal" else None
    content = "".join(block.text for block in texts)
    said: dict[str, Any] = {
        "role": "assistant",
        "content": content if content or not (calls or refusal) else None,
        "refusal": refusal or detail or None,
        "annotations": _annotations(texts),
        **_reasoning(blocks, context),
    }
    if context.legacy_functions:
        said |= whole_call(calls)
    elif calls:
        said["tool_calls"] = [_whole_call(call, index, context) for index, call in enumerate(calls)]
    finish = _finish_word(message.finish, called=bool(calls), refused=bool(refusal), context=context)
    return ascii_json(
        {
            "id": _answer_id(message.id, context),
            "object": "chat.completion",
            "created": context.created,
            "model": context.model,
            "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}],
            "usage": usage_json(message.usage),
        }
    )


def _annotations(texts: Sequence[TextBlock]) -> list[Any]:
    found: list[Any] = []
    position = 0
    for block in texts:
        end = position + len(block.text)
        for citation in block.citations:
            annotation = _annotation(citation, *_span(citation, position, end))
            if annotation is not None:
                found.append(_as_json(annotation))
        position = end
    return found


def _reasoning(blocks: Sequence[Block], context: AnswerContext) -> dict[str, Any]:
    thoughts = [block for block in blocks if isinstance(block, ReasoningBlock)]
    origin = f"{context.target.provider}/{context.target.model}"
    fields: dict[str, Any] = {}
    if text := "".join(block.text for block in thoughts):
        fields["reasoning_content"] = text
    details: list[dict[str, Any]] = []
    for block in thoughts:
        details += details_of(block, origin=origin, index=len(details))
    if details:
        fields["reasoning_details"] = details
    return fields


def _whole_call(call: ToolCallBlock, position: int, context: AnswerContext) -> dict[str, Any]:
    kind, body = (
        ("custom", {"input": call.arguments})
        if call.custom
        else ("function", {"arguments": call.arguments or "{}"})
    )
    fields: dict[str, Any] = {
        "id": _call_id(call, position, context),
        "type": kind,
        kind: {"name": _call_name(call), **body},
    }
    if call.opaque is not None and call.opaque.kind == "gemini_signature":
        fields["extra_content"] = _google(call.opaque.data)
    return fields
