"""An answer as a stream of this format.

The grammar: `response.created`, `response.in_progress`, then items one after the other, then one of
`response.completed`, `response.incomplete`, `response.failed`. Neighbouring text blocks are one part
of one message, for most clients read only the first.

Source: OpenAI's Responses streaming reference; dialects.md §2.3, §2.7, §5.2 and §6.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.openai_responses.answer_frames import (
    CallItem,
    Frames,
    ItemWriter,
    MessageItem,
    NativeItem,
    RawItem,
    ReasoningItem,
    Status,
)
from pi_model_proxy.dialects.openai_responses.answer_items import annotation_json, call_id_of, item_id_of
from pi_model_proxy.dialects.openai_responses.envelope import OWN_REASONING, pack_reasoning
from pi_model_proxy.dialects.openai_responses.response_object import ResponseObject, restated, usage_json
from pi_model_proxy.dialects.openai_responses.server_errors import failed_error
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.errors import GatewayError
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
    Opaque,
    OpaqueDelta,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
)
from pi_model_proxy.wire import ascii_json, escape_separators, join_array

__all__ = ["PING_FRAME", "ResponsesStreamEncoder"]

PING_FRAME: Final = b": keep-alive\n\n"
"""A comment: openai-python reads the data of every named event as JSON, an `event: ping` would break it."""
_OWN_ID: Final = "resp_"
_CUT: Final = {
    "length": b'{"reason":"max_output_tokens"}',
    "context_full": b'{"reason":"max_output_tokens"}',
    "content_filter": b'{"reason":"content_filter"}',
}
_any_json: Final = msgspec.json.Decoder()


class ResponsesStreamEncoder:
    """Implements `StreamEncoder`; one object an answer."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._origin = f"{context.target.provider}/{context.target.model}"
        self._echo = restated(context.body)
        self._frames = Frames()
        self._object: ResponseObject | None = None
        self._items: list[bytes] = []
        self._ids: set[str] = set()
        """Of calls' items: llama.cpp gives several the same one."""
        self._block: Block | None = None
        """The hub block that is open."""
        self._message: MessageItem | None = None
        """The message that is open: it ends with the next block that is none of its parts."""
        self._item: ItemWriter | None = None
        """What takes the open block's text."""
        self._broken_call: ItemWriter | None = None
        """A call whose arguments are no JSON: how it ended, only the next event tells."""
        self._opaque: Opaque | None = None
        self._block_start = 0
        self._declined = False
        self._usage: Usage | None = None
        self._ended = False
        self.response = b""
        """The whole Response object, JSON text, once the answer is over."""

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        if isinstance(event, TextDelta | ArgumentsDelta):  # by far the most
            return b"" if self._item is None else self._item.tell(event.text)
        if self._ended:
            return b""
        match event:
            case BlockStart(block=block):
                return self._begin(block)
            case BlockStop():
                return self._end_block()
            case OpaqueDelta(opaque=opaque):
                self._opaque = opaque
            case UsageUpdate(usage=usage):
                self._usage = usage
            case _:
                return self._rest(event)
        return b""

    def _rest(self, event: Event) -> bytes:
        match event:
            case CitationDelta(citation=citation):
                return self._cite(citation)
            case Start():
                return self._start(event)
            case Finish():
                return self._finish(event)
            case Failure(error=error):
                return self.fail(error)
            case _:
                return PING_FRAME

    def ping(self) -> bytes:
        """See `StreamEncoder.ping`."""
        return PING_FRAME

    # The answer as a whole.

    def _start(self, event: Start) -> bytes:
        if self._object is not None:
            return b""
        own = event.id.startswith(_OWN_ID)
        response_id = event.id if own else f"{_OWN_ID}{self._context.answer_id}"
        self._object = ResponseObject(response_id, self._context, self._echo)
        self._usage = event.usage
        begun = b'"response":' + self._object.written("in_progress")
        return self._frames.event(b"response.created", begun) + self._frames.event(
            b"response.in_progress", begun
        )

    def _finish(self, finish: Finish) -> bytes:
        reason: str = finish.reason
        out = b""
        if reason == "refusal" and not self._declined and finish.detail:
            out += self._part("refusal")
            out += self._item.tell(finish.detail) if self._item is not None else b""
        if reason == "refusal" and not self._declined:
            reason = "content_filter"  # stopped without a word: not an answer that is complete
        incomplete = _CUT.get(reason)
        status: Status = "completed" if incomplete is None else "incomplete"
        out += self._settle(status)
        return out + self._terminal(status, incomplete=incomplete or b"null")

    def fail(self, error: GatewayError) -> bytes:
        """Return the frames that end an answer which broke off; items that are not complete are not in it."""
        begun = b"" if self._object is not None else self._start(Start())
        usage = usage_json(self._usage) if self._usage is not None else b"null"
        return begun + self._terminal("failed", error=failed_error(error), usage=usage)

    def _terminal(
        self, status: str, *, error: bytes = b"null", incomplete: bytes = b"null", usage: bytes | None = None
    ) -> bytes:
        self._ended, self._item = True, None
        if self._object is None:  # pragma: no cover - events begin with `Start`
            return b""
        clock = self._context.clock
        told = clock is not None and status == "completed"
        self.response = self._object.written(
            status,
            output=join_array(self._items),
            usage=usage_json(self._usage or Usage()) if usage is None else usage,
            error=error,
            incomplete=incomplete,
            completed_at=b"%d" % int(clock()) if clock is not None and told else b"null",
        )
        return self._frames.event(b"response." + status.encode(), b'"response":' + self.response)

    # Blocks.

    def _begin(self, block: Block) -> bytes:
        self._block, self._opaque = block, None
        match block:
            case TextBlock():
                return self._part("output_text")
            case RefusalBlock():
                return self._part("refusal")
        writer = self._writer(block)
        if writer is None:
            # Another format's own block: this one has no words for it.
            self._item = None
            return b""
        out = self._settle("completed")
        self._item = writer(len(self._items))
        return out + self._item.begin()

    def _writer(self, block: Block) -> Callable[[int], ItemWriter] | None:
        """Return what makes the writer for a block, given the number of its item."""
        match block:
            case ReasoningBlock():
                return lambda index: self._reasoning(block, index)
            case ToolCallBlock():
                return lambda index: self._call(block, index)
            case RawBlock(dialect=dialect, data=data) if dialect == DIALECT:
                return lambda index: RawItem(self._frames, escape_separators(data.encode()), index)
            case _:
                return None

    def _part(self, kind: Literal["output_text", "refusal"]) -> bytes:
        """Return the frames that begin, or go on with, a part of the open message."""
        out = b""
        if self._message is None:
            out = self._settle("completed")
            index = len(self._items)
            item_id = ascii_json(f"msg_{self._context.answer_id}{index:x}")
            self._message = MessageItem(self._frames, item_id, index)
            out += self._message.begin()
        message = self._message
        self._item = message
        self._declined |= kind == "refusal"
        out += message.open(kind)
        self._block_start = message.length
        return out

    def _reasoning(self, block: ReasoningBlock, index: int) -> ReasoningItem:
        opaque = self._opaque = block.opaque
        own = opaque.item_id if opaque is not None and opaque.kind == "openai_encrypted" else None
        item_id = own or f"{OWN_REASONING}{self._context.answer_id}{index:x}"
        shows = self._echo.shows(block, self._context)
        return ReasoningItem(self._frames, item_id, index, shows)

    def _call(self, call: ToolCallBlock, index: int) -> CallItem | NativeItem:
        call_id = ascii_json(call_id_of(call, index, self._context))
        item_id = item_id_of(call, index, self._context, taken=self._ids)
        self._ids.add(item_id)
        plain_ids = (ascii_json(item_id), call_id)
        plain = CallItem(self._frames, call, plain_ids, index)
        tool = None if call.custom or call.namespace else self._echo.native.get(call.name)
        if tool is None:
            return plain
        ids = (ascii_json(f"{tool.prefix}{self._context.answer_id}{index:x}"), call_id)
        return NativeItem(self._frames, tool, plain, ids, index)

    def _cite(self, citation: Citation) -> bytes:
        message = self._message
        if message is None or self._item is not message:
            return b""
        start = self._block_start + (citation.start or 0)
        end = message.length if citation.end is None else self._block_start + citation.end
        annotation = annotation_json(citation, start, end)
        return message.cite(annotation) if annotation is not None else b""

    def _end_block(self) -> bytes:
        block, self._block = self._block, None
        item, self._item = self._item, None
        if item is None or item is self._message:
            return b""
        if isinstance(item, ReasoningItem) and isinstance(block, ReasoningBlock):
            self._pack(item, block)
        elif isinstance(item, CallItem | NativeItem) and not _is_whole(item.text(), block):
            self._broken_call = item
            return b""
        return self._ended_item(item, "completed")

    def _pack(self, item: ReasoningItem, block: ReasoningBlock) -> None:
        whole = msgspec.structs.replace(block, text=item.text(), opaque=self._opaque)
        carried = pack_reasoning(whole, origin=self._origin, item_id=item.id, shows=item.shows)
        item.encrypted = carried.encrypted
        if item.shows == "summary":
            item.parts = carried.parts

    def _ended_item(self, item: ItemWriter, status: Status) -> bytes:
        frames, whole = item.end(status)
        self._items.append(whole)
        return frames

    def _settle(self, status: Status) -> bytes:
        """Return the frames that end what waits for what comes next: a message, a call that is no JSON."""
        waiting: ItemWriter | None = self._message or self._broken_call
        self._message = self._broken_call = None
        return b"" if waiting is None else self._ended_item(waiting, status)


def _is_whole(arguments: str, block: Block | None) -> bool:
    """Tell whether a call can be run as it is; free-form input always can."""
    if not arguments or (isinstance(block, ToolCallBlock) and block.custom):
        return True
    try:
        _any_json.decode(arguments)
    except (ValueError, RecursionError):
        return False
    return True
