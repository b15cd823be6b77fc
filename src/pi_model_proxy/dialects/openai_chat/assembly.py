"""Puts what arrives side by side into one sequence of blocks.

Chat completions have parallel channels (text, reasoning, several tool calls at once) without order
between them; the hub has blocks that never overlap. The block in front streams through; what
belongs to a later one waits until the one in front is complete, which for a tool call means: its
arguments are complete JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from typing import Final, Literal

import msgspec

from pi_model_proxy.dialects.names import ToolNames, unwrap_input
from pi_model_proxy.dialects.openai_chat.chunks import Fragment, decoded
from pi_model_proxy.dialects.openai_chat.parts import PLACEHOLDER, Call, Spoken, joined
from pi_model_proxy.dialects.openai_chat.reasoning_details import replay_token
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Opaque,
    OpaqueDelta,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextDelta,
)

__all__ = ["Assembly"]

MAX_HELD_CHARS: Final = 16 * 1024 * 1024
"""Arguments and waiting text together; an answer that holds back more is given up."""

_first_value: Final = json.JSONDecoder(strict=False)


class Assembly:
    """Collects the pieces of one answer; `take` returns the events they make."""

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._queue: deque[Spoken | Call] = deque()
        self._events: list[Event] = []
        self._blocks = 0
        self._held = 0
        self._text_chars = 0
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._last_call: Call | None = None
        self._ids: set[str] = set()
        self.seed = ""
        """What invented ids are made from: the upstream's id of the answer."""
        self.called = False
        self.refused = False

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    # Text of any kind.

    def text(self, kind: Literal["text", "refusal", "reasoning"], text: str, *, field: str = "") -> None:
        """Add text to the last block if it is of this kind, else to a new one."""
        part = self.spoken(kind, field=field)
        if part.carry or not text.isascii():
            text = joined(part, text)
        if not text:
            return
        part.said = True
        if kind == "text":
            self._text_chars += len(text)
        if part.index is None:
            self._hold(text)
            part.waiting.append(text)
        else:
            self._events.append(TextDelta(part.index, text))

    def more_text(self, text: str) -> TextDelta | None:
        """Return the event of more text, which holds no half characters, for the text being written; None if none is."""
        part = self._queue[-1] if self._queue else None
        if not isinstance(part, Spoken) or part.kind != "text" or part.index is None:
            return None
        if part.sealed or part.carry or self._events:
            return None
        self._text_chars += len(text)
        return TextDelta(part.index, text)

    def spoken(self, kind: Literal["text", "refusal", "reasoning"], *, field: str = "") -> Spoken:
        """Return the last block if it is of this kind, else a new one."""
        last = self._queue[-1] if self._queue else None
        if isinstance(last, Spoken) and last.kind == kind and not last.sealed:
            return last
        block: Block
        if kind == "reasoning":
            block = ReasoningBlock(field=field)
        elif kind == "refusal":
            block, self.refused = RefusalBlock(text=""), True
        else:
            block = TextBlock(text="")
        part = Spoken(kind, block)
        part.offset = self._text_chars
        self._append(part)
        return part

    def last_text(self) -> Spoken | None:
        """Return the newest block of visible text that is not closed."""
        return next(
            (each for each in reversed(self._queue) if isinstance(each, Spoken) and each.kind == "text"), None
        )

    # Tool calls.

    def call(self, fragment: Fragment) -> None:
        """Add a fragment to the call it belongs to.

        Raises:
            BrokenStream: it belongs to a call that was complete, or too much is held back.
        """
        body = fragment.function or fragment.custom
        name = (body.name if body else None) or ""
        text = (
            (body.arguments if fragment.function else body.input or body.arguments) if body else None
        ) or ""
        call = self._find(fragment, name)
        if call is None and not (name or text or fragment.id):
            return  # an empty fragment beside text says nothing
        if call is None or _begins_another(call, fragment, name, text):
            call = self._new_call(fragment)
        self._last_call = call
        if fragment.id and not call.upstream_id:
            call.upstream_id = fragment.id
            self._by_id[fragment.id] = call
        call.name = call.name or name
        if len(fragment.extra_content) > len(b"{}"):
            call.opaque = call.opaque or _signature(fragment.extra_content)
        if text:
            self._add_arguments(call, text)
        self._advance()

    def _find(self, fragment: Fragment, name: str) -> Call | None:
        if fragment.index in self._by_index:
            return self._by_index[fragment.index]
        if fragment.id and not (name and fragment.index is not None):
            return self._by_id.get(fragment.id)
        last = self._last_call if fragment.index is None else None
        if last is None or not name:
            return last
        repeats_name = name == last.name and bool(last.arguments) and not last.is_complete()
        return last if repeats_name else None

    def _new_call(self, fragment: Fragment) -> Call:
        call = Call(custom=fragment.custom is not None and fragment.function is None)
        if fragment.index is not None:
            self._by_index[fragment.index] = call
        self._queue.append(call)
        self.called = True
        return call

    def _add_arguments(self, call: Call, text: str) -> None:
        if call.closed:
            if text.strip() and text.strip() != PLACEHOLDER:
                raise BrokenStream(
                    "The provider added arguments to a tool call that was complete; try again."
                )
            return
        if call.holds_placeholder and call.sent == 0:
            call.arguments = []
        text = clean_text(text)
        self._hold(text)
        call.arguments.append(text)

    def _hold(self, text: str) -> None:
        self._held += len(text)
        if self._held > MAX_HELD_CHARS:
            raise BrokenStream(
                f"The provider's tool arguments grew past {MAX_HELD_CHARS // 1024 // 1024} Mi characters; "
                "the answer was given up."
            )

    # The sequence.

    def _append(self, part: Spoken) -> None:
        self._queue.append(part)
        self._advance()

    def _advance(self, *, ending: bool = False) -> None:
        """Begin the block in front, send what it has, and go on to the next one as often as possible."""
        while self._queue:
            head = self._queue[0]
            if isinstance(head, Call):
                if not self._stream_call(head):
                    if not ending:
                        return
                    self._drop_nameless(head)
                    continue
                if not ending and not (len(self._queue) > 1 and head.is_complete()):
                    return
                self._close_call(head)
            else:
                self._stream_text(head)
                if not ending and len(self._queue) == 1:
                    return
                self._close_text(head)
            self._queue.popleft()

    def finish(self) -> None:
        """Close every block.

        Raises:
            BrokenStream: a call's arguments are two JSON values in one, or a call has no name.
        """
        self._advance(ending=True)

    def _begin(self, block: Block) -> int:
        index = self._blocks
        self._blocks += 1
        self._events.append(BlockStart(index=index, block=block))
        return index

    def _stream_text(self, part: Spoken) -> None:
        if part.index is None:
            part.index = self._begin(part.block)
            if part.waiting:
                self._events.append(TextDelta(part.index, "".join(part.waiting)))
                part.waiting = []
        if part.citations:
            self._events += [CitationDelta(part.index, each) for each in part.citations]
            part.citations = []

    def cite(self, part: Spoken, citation: Citation) -> None:
        """Add a citation to a text block."""
        part.citations.append(citation)
        if part.index is not None:
            self._stream_text(part)

    def _close_text(self, part: Spoken) -> None:
        index = part.index
        if index is None:  # pragma: no cover - `_stream_text` came before
            return
        if part.carry:
            self._events.append(TextDelta(index, clean_text(part.carry)))
            part.carry = ""
        opaque = part.opaque
        if opaque is None and isinstance(part.block, ReasoningBlock):
            opaque = replay_token(part.details, part.block.field)
        if opaque is not None:
            self._events.append(OpaqueDelta(index, opaque))
        self._events.append(BlockStop(index))

    def _stream_call(self, call: Call) -> bool:
        """Send what the call has; False when it cannot begin because its name is still to come."""
        origin = self._names.origin(call.name) if call.name else None
        if origin is None:
            return False
        if call.index is None:
            call.id = self._distinct_id(call)
            stub = self._names.call_stub(call.name, call_id=call.id)
            call.index = self._begin(msgspec.structs.replace(stub, custom=stub.custom or call.custom))
        if not (origin.wrapped or call.holds_placeholder):
            self._send_arguments(call)
        return True

    def _send_arguments(self, call: Call) -> None:
        fresh = "".join(call.arguments[call.sent :])
        call.sent = len(call.arguments)
        if fresh and call.index is not None:
            self._events.append(ArgumentsDelta(call.index, fresh))

    def _close_call(self, call: Call) -> None:
        index = call.index or 0
        arguments = "".join(call.arguments)
        if not call.custom:
            _refuse_merged(arguments)
        if self._names.origin(call.name).wrapped:
            self._events.append(ArgumentsDelta(index, unwrap_input(arguments)))
        else:
            self._send_arguments(call)
        if call.opaque is not None:
            self._events.append(OpaqueDelta(index, call.opaque))
        self._events.append(BlockStop(index))
        call.closed = True

    def _drop_nameless(self, call: Call) -> None:
        if call.arguments:
            raise BrokenStream("The provider called a tool without naming it; try again.")
        self._queue.popleft()
        self.called = any(isinstance(each, Call) for each in self._queue) or bool(self._ids)

    def _distinct_id(self, call: Call) -> str:
        call_id, attempt = call.upstream_id, 0
        while not call_id or call_id in self._ids:
            seed = f"{self.seed}:{self._blocks}:{call.name}:{attempt}"
            call_id = f"call_{hashlib.sha256(seed.encode('utf-8', 'replace')).hexdigest()[:24]}"
            attempt += 1
        self._ids.add(call_id)
        return call_id


def _begins_another(call: Call, fragment: Fragment, name: str, text: str) -> bool:
    """Tell whether a fragment with a known index begins a new call all the same.

    Seen at Gemini's compatible endpoint: parallel calls all have index 0, each with its own id.
    """
    if not name:
        return False
    if fragment.id and call.upstream_id:
        return fragment.id != call.upstream_id and (not call.arguments or call.closed or call.is_complete())
    return text.lstrip().startswith("{") and (call.closed or call.is_complete())


def _refuse_merged(arguments: str) -> None:
    """Refuse `{"a":1}{"b":2}`: two calls in one, of which SDKs silently keep the first (vector 106).

    Arguments that are merely broken or cut off stay as they are: the caller sees what the model wrote.
    """
    try:
        _, end = _first_value.raw_decode(arguments.lstrip())
    except (ValueError, RecursionError):
        return
    if arguments.lstrip()[end:].strip():
        raise BrokenStream("The provider merged the arguments of several tool calls into one; try again.")


def _signature(extra: msgspec.Raw) -> Opaque | None:
    """Read Gemini's thought signature from a call's `extra_content` (`google`, or `vertex` at one gateway)."""
    value = decoded(extra)
    for vendor in ("google", "vertex"):
        inner = value.get(vendor) if isinstance(value, dict) else None
        signature = inner.get("thought_signature") if isinstance(inner, dict) else None
        if isinstance(signature, str) and signature:
            return Opaque(kind="gemini_signature", data=signature)
    return None
