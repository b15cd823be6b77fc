"""From events to the whole answer and back, so that streaming is the only path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub.block import (
    Block,
    Citation,
    Opaque,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    ToolCallBlock,
)
from pi_model_proxy.hub.event import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    Failure,
    Finish,
    Message,
    OpaqueDelta,
    Ping,
    Start,
    TextDelta,
    UsageUpdate,
)
from pi_model_proxy.hub.usage import Usage

__all__ = ["Folder", "check_order", "fold", "unfold"]


class Folder:
    """Collects events into a `Message`; feed them in order."""

    def __init__(self) -> None:
        self._start = Start()
        self._usage = Usage()
        self._finish: Finish | None = None
        self._blocks: list[Block] = []
        self._open: Block | None = None
        self._text: list[str] = []
        self._opaque: Opaque | None = None
        self._citations: list[Citation] = []

    def feed(self, event: Event) -> None:
        """Take one event.

        Raises:
            UpstreamError: the event was a `Failure`; its error is raised as it is.
        """
        match event:
            case TextDelta(text=text) | ArgumentsDelta(text=text):
                self._text.append(text)
            case BlockStart(block=block):
                self._open = block
                self._text, self._opaque, self._citations = [], None, []
            case OpaqueDelta(opaque=opaque):
                self._opaque = opaque
            case CitationDelta(citation=citation):
                self._citations.append(citation)
            case BlockStop():
                self._close_block()
            case UsageUpdate(usage=usage):
                self._usage = usage
            case Start():
                self._start = event
                self._usage = event.usage or self._usage
            case Finish():
                self._finish = event
            case Failure(error=error):
                raise error
            case Ping():
                pass

    def _close_block(self) -> None:
        if self._open is not None:
            self._blocks.append(
                _filled(self._open, "".join(self._text), self._opaque, tuple(self._citations))
            )
        self._open = None

    def message(self) -> Message:
        """Return the whole answer.

        Raises:
            BrokenStream: no `Finish` has come.
        """
        if self._finish is None:
            raise BrokenStream("The provider's answer ended before it was complete; try again.")
        return Message(
            id=self._start.id,
            model=self._start.model,
            blocks=tuple(self._blocks),
            usage=self._usage,
            finish=self._finish,
        )


def _filled(stub: Block, text: str, opaque: Opaque | None, citations: tuple[Citation, ...]) -> Block:
    match stub:
        case TextBlock():
            return msgspec.structs.replace(stub, text=stub.text + text, citations=stub.citations + citations)
        case RefusalBlock():
            return msgspec.structs.replace(stub, text=stub.text + text)
        case ReasoningBlock():
            return msgspec.structs.replace(stub, text=stub.text + text, opaque=opaque or stub.opaque)
        case ToolCallBlock():
            return msgspec.structs.replace(
                stub, arguments=stub.arguments + text, opaque=opaque or stub.opaque
            )
        case _:
            return stub


def fold(events: Iterable[Event]) -> Message:
    """Return the whole answer that `events` spell.

    Raises:
        UpstreamError: the events end in a `Failure`, or (`BrokenStream`) without a `Finish`.
    """
    folder = Folder()
    for event in events:
        folder.feed(event)
    return folder.message()


def unfold(message: Message) -> Iterator[Event]:
    """Yield events whose fold is `message`: what a plain answer looks like as a stream."""
    yield Start(id=message.id, model=message.model, usage=message.usage)
    for index, block in enumerate(message.blocks):
        yield from _unfold_block(index, block)
    yield UsageUpdate(message.usage)
    yield message.finish


def _unfold_block(index: int, block: Block) -> Iterator[Event]:
    match block:
        case TextBlock(text=text, citations=citations):
            yield BlockStart(index=index, block=msgspec.structs.replace(block, text="", citations=()))
            if text:
                yield TextDelta(index, text)
            for citation in citations:
                yield CitationDelta(index, citation)
        case RefusalBlock(text=text):
            yield BlockStart(index=index, block=msgspec.structs.replace(block, text=""))
            if text:
                yield TextDelta(index, text)
        case ReasoningBlock(text=text, opaque=opaque):
            yield BlockStart(index=index, block=msgspec.structs.replace(block, text="", opaque=None))
            if text:
                yield TextDelta(index, text)
            if opaque is not None:
                yield OpaqueDelta(index, opaque)
        case ToolCallBlock(arguments=arguments, opaque=opaque):
            yield BlockStart(index=index, block=msgspec.structs.replace(block, arguments="", opaque=None))
            if arguments:
                yield ArgumentsDelta(index, arguments)
            if opaque is not None:
                yield OpaqueDelta(index, opaque)
        case _:
            yield BlockStart(index=index, block=block)
    yield BlockStop(index)


def check_order(events: Iterable[Event]) -> str | None:
    """Return what is wrong with the order of a complete answer's events, or None when the law holds."""
    order = _Order()
    for event in events:
        if (fault := order.step(event)) is not None:
            return fault
    return None if order.ended else "no end"


class _Order:
    """How far an answer has come."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._open: int | None = None
        self._next = 0

    def step(self, event: Event) -> str | None:
        """Take one event; return what is wrong with its place, or None."""
        name = type(event).__name__
        if self.ended:
            return f"{name} after the end"
        if isinstance(event, Start):
            again, self._started = self._started, True
            return "a second Start" if again else None
        if isinstance(event, Failure):
            self.ended = True
            return None
        if not self._started:
            return f"{name} before Start"
        return self._step_within(event, name)

    def _step_within(self, event: Event, name: str) -> str | None:
        match event:
            case BlockStart(index=index):
                if self._open is not None or index != self._next:
                    return f"{name} {index} out of order"
                self._open, self._next = index, index + 1
            case BlockStop(index=index):
                if index != self._open:
                    return f"{name} {index} without its start"
                self._open = None
            case TextDelta() | ArgumentsDelta() | OpaqueDelta() | CitationDelta():
                if event.index != self._open:
                    return f"{name} for block {event.index}, which is not open"
            case Finish():
                if self._open is not None:
                    return "Finish before the last block was closed"
                self.ended = True
        return None
