"""The frames of one answer: numbered events, and for each kind of item the events that tell it.

An item writer is begun, told text or arguments, and ended; it returns frames, and keeps the item
for the whole answer in the end. Deltas are by far the most events: everything around their text is
written once an item.

Source: OpenAI's Responses streaming reference; dialects.md §2.3.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from pi_model_proxy.dialects.openai_responses.answer_items import (
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)
from pi_model_proxy.dialects.openai_responses.native_tools import NativeTool
from pi_model_proxy.hub import ToolCallBlock
from pi_model_proxy.wire import ascii_json

__all__ = [
    "CallItem",
    "Frames",
    "ItemWriter",
    "MessageItem",
    "NativeItem",
    "RawItem",
    "ReasoningItem",
    "Status",
]

_EMPTY: Final = b'""'
Status = Literal["in_progress", "completed", "incomplete"]


class Frames:
    """Writes an answer's events, numbered from 0 without gaps."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0
        """Of the next event."""

    def event(self, name: bytes, members: bytes) -> bytes:
        """Return an event; `members` are those beside `type` and `sequence_number`."""
        number, self.number = self.number, self.number + 1
        return b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%d}\n\n' % (name, name, members, number)

    def added(self, index: int, item: bytes) -> bytes:
        """Return the event that begins an item."""
        return self.event(b"response.output_item.added", b'"output_index":%d,"item":%b' % (index, item))

    def done(self, index: int, item: bytes) -> bytes:
        """Return the event that ends an item."""
        return self.event(b"response.output_item.done", b'"output_index":%d,"item":%b' % (index, item))


class ItemWriter(Protocol):
    """One item on its way."""

    def begin(self) -> bytes:
        """Return the frames that announce it."""
        ...

    def tell(self, text: str) -> bytes:
        """Return the frames for more of its text, arguments or input."""
        ...

    def end(self, status: Status) -> tuple[bytes, bytes]:
        """Return the last frames and the whole item."""
        ...


class _Deltas:
    """The deltas of one text: frames that differ in text and number only."""

    __slots__ = ("_frames", "_head", "_pieces", "_tail")

    def __init__(self, frames: Frames, name: bytes, place: bytes, tail: bytes = b"") -> None:
        self._frames = frames
        self._head = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (name, name, place)
        self._tail = tail + b',"sequence_number":'
        self._pieces: list[str] = []

    def tell(self, text: str) -> bytes:
        self._pieces.append(text)
        frames = self._frames
        number = frames.number
        frames.number = number + 1
        return b"%b%b%b%d}\n\n" % (self._head, ascii_json(text), self._tail, number)

    def text(self) -> str:
        return "".join(self._pieces)


class MessageItem:
    """A message: parts of text, or of declining, one after the other."""

    def __init__(self, frames: Frames, item_id: bytes, index: int) -> None:
        self._frames, self._id, self._index = frames, item_id, index
        self._parts: list[bytes] = []
        self._kind = b""
        self._place = b""
        self._deltas: _Deltas | None = None
        self._annotations: list[bytes] = []
        self.length = 0
        """Characters of the open part."""
        self.declines = False
        """Whether a part of it declines."""

    def begin(self) -> bytes:
        return self._frames.added(self._index, message_item(self._id, (), status="in_progress"))

    def open(self, kind: Literal["output_text", "refusal"]) -> bytes:
        """Return the frames that begin a part of `kind`, or go on with one that is open."""
        name = kind.encode()
        if self._deltas is not None and self._kind == name:
            return b""
        out = self._end_part()
        self._kind, self.length, self._annotations = name, 0, []
        self.declines |= kind == "refusal"
        self._place = b'"item_id":%b,"output_index":%d,"content_index":%d' % (
            self._id,
            self._index,
            len(self._parts),
        )
        tail = b',"logprobs":[]' if kind == "output_text" else b""
        self._deltas = _Deltas(self._frames, b"response.%b.delta" % name, self._place, tail)
        part = b'%b,"part":%b' % (self._place, self._part(_EMPTY))
        return out + self._frames.event(b"response.content_part.added", part)

    def _part(self, text: bytes) -> bytes:
        return refusal_part(text) if self._kind == b"refusal" else text_part(text, self._annotations)

    def tell(self, text: str) -> bytes:
        if self._deltas is None or not text:
            return b""
        self.length += len(text)
        return self._deltas.tell(text)

    def cite(self, annotation: bytes) -> bytes:
        """Return the frame for a citation of the open part."""
        members = b'%b,"annotation_index":%d,"annotation":%b' % (
            self._place, len(self._annotations), annotation,
        )  # fmt: skip
        self._annotations.append(annotation)
        return self._frames.event(b"response.output_text.annotation.added", members)

    def _end_part(self) -> bytes:
        if self._deltas is None:
            return b""
        text = ascii_json(self._deltas.text())
        self._deltas = None
        part = self._part(text)
        self._parts.append(part)
        if self._kind == b"refusal":
            done = self._frames.event(b"response.refusal.done", b'%b,"refusal":%b' % (self._place, text))
        else:
            members = b'%b,"text":%b,"logprobs":[]' % (self._place, text)
            done = self._frames.event(b"response.output_text.done", members)
        return done + self._frames.event(b"response.content_part.done", b'%b,"part":%b' % (self._place, part))

    def end(self, status: Status) -> tuple[bytes, bytes]:
        out = self._end_part()
        item = message_item(self._id, self._parts, status=status)
        return out + self._frames.done(self._index, item), item


class ReasoningItem:
    """Thinking, shown as summary or as content, or not at all."""

    def __init__(
        self, frames: Frames, item_id: str, index: int, shows: Literal["summary", "content", "none"]
    ) -> None:
        self._frames, self._id, self._index = frames, ascii_json(item_id), index
        self.id = item_id
        self.shows = shows
        self._deltas: _Deltas | None = None
        self._hidden: list[str] = []
        self.parts: list[str] | None = None
        """Its summary, where it is not just its text."""
        self.encrypted: str | None = None

    @property
    def _place(self) -> bytes:
        index = b"summary_index" if self.shows == "summary" else b"content_index"
        return b'"item_id":%b,"output_index":%d,"%b":0' % (self._id, self._index, index)

    def begin(self) -> bytes:
        return self._frames.added(self._index, reasoning_item(self._id))

    def tell(self, text: str) -> bytes:
        if not text:
            return b""
        if self.shows == "none":
            self._hidden.append(text)
            return b""
        out = b""
        if self._deltas is None:
            out = self._open()
        return out + self._deltas.tell(text) if self._deltas is not None else out

    def _open(self) -> bytes:
        if self.shows == "summary":
            name, part = b"reasoning_summary_text", b'{"type":"summary_text","text":""}'
            added = b"response.reasoning_summary_part.added"
        else:
            name, part = b"reasoning_text", b'{"type":"reasoning_text","text":""}'
            added = b"response.content_part.added"
        self._deltas = _Deltas(self._frames, b"response.%b.delta" % name, self._place)
        return self._frames.event(added, b'%b,"part":%b' % (self._place, part))

    def text(self) -> str:
        """Return the thinking so far, shown or not."""
        return self._deltas.text() if self._deltas is not None else "".join(self._hidden)

    def end(self, status: Status) -> tuple[bytes, bytes]:
        del status  # thinking has none
        out = self._end_part()
        shown = [] if self._deltas is None else [self._deltas.text()]
        if self.shows == "summary":
            parts = shown if self.parts is None else self.parts
            summary = [ascii_json(part) for part in parts]
            item = reasoning_item(self._id, summary=summary, encrypted=self.encrypted)
        else:
            content = ascii_json(shown[0]) if shown else None
            item = reasoning_item(self._id, content=content, encrypted=self.encrypted)
        return out + self._frames.done(self._index, item), item

    def _end_part(self) -> bytes:
        if self._deltas is None:
            return b""
        text = ascii_json(self._deltas.text())
        if self.shows == "summary":
            name, part_type = b"reasoning_summary_text", b"summary_text"
            part_done = b"response.reasoning_summary_part.done"
        else:
            name, part_type = b"reasoning_text", b"reasoning_text"
            part_done = b"response.content_part.done"
        done = self._frames.event(b"response.%b.done" % name, b'%b,"text":%b' % (self._place, text))
        part = b'{"type":"%b","text":%b}' % (part_type, text)
        return done + self._frames.event(part_done, b'%b,"part":%b' % (self._place, part))


class CallItem:
    """A call of a function, or of a custom tool."""

    def __init__(self, frames: Frames, call: ToolCallBlock, ids: tuple[bytes, bytes], index: int) -> None:
        self._frames, self._call, self._ids, self._index = frames, call, ids, index
        self._name = b"custom_tool_call_input" if call.custom else b"function_call_arguments"
        self._place = b'"item_id":%b,"output_index":%d' % (ids[0], index)
        self._deltas = _Deltas(frames, b"response.%b.delta" % self._name, self._place)

    def begin(self) -> bytes:
        item = call_item(self._call, self._ids, status="in_progress", told=_EMPTY)
        return self._frames.added(self._index, item)

    def tell(self, text: str) -> bytes:
        return self._deltas.tell(text) if text else b""

    def text(self) -> str:
        return self._deltas.text()

    def end(self, status: Status) -> tuple[bytes, bytes]:
        out = b""
        text = self._deltas.text()
        if not text and not self._call.custom:
            out, text = self._deltas.tell("{}"), "{}"  # clients parse the arguments: "" is no JSON
        told = ascii_json(text)
        member = b"input" if self._call.custom else b"arguments"
        members = b'%b,"%b":%b' % (self._place, member, told)
        out += self._frames.event(b"response.%b.done" % self._name, members)
        item = call_item(self._call, self._ids, status=status, told=told)
        return out + self._frames.done(self._index, item), item


class NativeItem:
    """A call of a tool that has an item type of its own: known as a whole only, so told at once when it ends."""

    def __init__(
        self, frames: Frames, tool: NativeTool, plain: CallItem, ids: tuple[bytes, bytes], index: int
    ) -> None:
        self._frames, self._tool, self._plain, self._ids, self._index = frames, tool, plain, ids, index
        self._pieces: list[str] = []

    def begin(self) -> bytes:
        return b""

    def tell(self, text: str) -> bytes:
        self._pieces.append(text)
        return b""

    def text(self) -> str:
        return "".join(self._pieces)

    def end(self, status: Status) -> tuple[bytes, bytes]:
        text = self.text()
        told = self._tool.read(text)
        if told is None:
            # No call of that tool; as a function's it is at least told.
            out = self._plain.begin() + self._plain.tell(text)
            last, item = self._plain.end(status)
            return out + last, item
        out = self._frames.added(self._index, self._item("in_progress", told))
        item = self._item("completed", told)
        return out + self._frames.done(self._index, item), item

    def _item(self, status: str, told: dict[str, object]) -> bytes:
        item_id, call_id = self._ids
        return b'{"id":%b,"type":"%b","status":"%b","call_id":%b,"%b":%b}' % (
            item_id, self._tool.call_type.encode(), status.encode(), call_id,
            self._tool.member.encode(), ascii_json(told),
        )  # fmt: skip


class RawItem:
    """An item of this very format that nobody here looks into."""

    def __init__(self, frames: Frames, item: bytes, index: int) -> None:
        self._frames, self._item, self._index = frames, item, index

    def begin(self) -> bytes:
        return self._frames.added(self._index, self._item)

    def tell(self, text: str) -> bytes:
        del text
        return b""

    def end(self, status: Status) -> tuple[bytes, bytes]:
        del status
        return self._frames.done(self._index, self._item), self._item
