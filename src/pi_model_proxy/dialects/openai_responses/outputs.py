"""The items of one answer and the blocks they become, whatever order their events come in.

What a `...done` event or the terminal event repeats is compared with what the deltas said: only
the missing end is passed on (Soju06/codex-lb#504, databricks/databricks-ai-bridge#464).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.lanes import MAX_HELD_CHARS, Lane, Lanes
from pi_model_proxy.dialects.names import ToolNames, unwrap_input
from pi_model_proxy.dialects.openai_responses.output import CALLS, Output, Part, Said
from pi_model_proxy.dialects.openai_responses.payloads import Content, Item, citation, read
from pi_model_proxy.dialects.openai_responses.sealed import BETWEEN_PARTS, sealed
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    CitationDelta,
    Event,
    Opaque,
    OpaqueDelta,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextDelta,
    ToolCallBlock,
)

__all__ = ["DIALECT", "Outputs"]

DIALECT: Final = "openai_responses"
_TRANSLATED: Final = CALLS | {"message", "reasoning"}


class Outputs:
    """Collects items; `take` hands out the hub events they have become."""

    def __init__(self, names: ToolNames, *, tells_tokens_late: bool = False) -> None:
        self._names = names
        self._tells_tokens_late = tells_tokens_late
        self._tokenless: list[Output] = []
        """Complete thinking whose token may still come; what follows it waits, but for text."""
        self._lanes = Lanes()
        self._all: list[Output] = []
        self._by_number: dict[int, Output] = {}
        self._call_chars = 0
        self._call_ids: set[str] = set()
        self.has_call = False
        self.has_refusal = False

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        return self._lanes.take()

    # What arrives.

    def begin(self, raw: msgspec.Raw, number: int | None) -> None:
        """An item was added."""
        item = self._read(raw)
        if item is None:
            return
        known = self._by_number.get(number) if number is not None else None
        if known is not None and not known.done and known.type == item.type and item.id in known.ids:
            return  # announced twice
        output = self._add(item.type, number, item)
        if output.type in CALLS and item.name:
            self._open_call(output, item)

    def find(self, type_: str, number: int | None, item_id: str | None) -> Output | None:
        """Return the item that a delta belongs to."""
        if number is not None:
            found = self._by_number.get(number)
            return found if found is not None and found.type == type_ else None
        same = [output for output in self._all if output.type == type_ and not output.done]
        return next(
            (output for output in reversed(same) if item_id in output.ids), same[-1] if same else None
        )

    def say(self, type_: str, number: int | None, item_id: str | None, *, part: Part, text: str) -> None:
        """A delta of text came, of a message or of reasoning; without its item, one is begun."""
        output = self.find(type_, number, item_id) or self._add(type_, number, Item(id=item_id))
        if not output.done:
            self._write(output, part, text)

    def say_all(self, type_: str, number: int | None, item_id: str | None, *, part: Part, text: str) -> None:
        """The whole of a part came."""
        output = self.find(type_, number, item_id) or self._add(type_, number, Item(id=item_id))
        if not output.done:
            self._complete(output, part, text)

    def cite(self, number: int | None, item_id: str | None, index: int, raw: msgspec.Raw) -> None:
        """A citation of a message's text came."""
        output = self.find("message", number, item_id)
        if output is not None and output.lane is not None:
            self._cite(output, ("output_text", index), raw)

    def argue(self, type_: str, number: int | None, item_id: str | None, text: str) -> None:
        """A delta of a call's arguments or input came; of a call nobody announced, it waits for the item itself."""
        output = self.find(type_, number, item_id)
        if output is not None and not output.done:
            self._argue(output, text)

    def argue_all(self, type_: str, number: int | None, item_id: str | None, text: str) -> None:
        """The whole arguments or input of a call came."""
        output = self.find(type_, number, item_id)
        if output is not None and not output.done:
            self._argue(output, output.rest(text))

    def end(self, raw: msgspec.Raw, number: int | None) -> None:
        """An item is complete."""
        item = self._read(raw)
        if item is None:
            return
        output = self._by_number.get(number) if number is not None else self._unfinished(item)
        if output is None or output.type != item.type or output.done:
            output = self._add(item.type, number, item)
        self._finish(output, item, raw)

    def reconcile(self, raws: list[msgspec.Raw]) -> None:
        """Take what the terminal event says of all items; the n-th of a type is the n-th that came."""
        counts: dict[str, int] = {}
        for raw in raws:
            item = self._read(raw)
            if item is None:
                continue
            nth = counts.get(item.type, 0)
            counts[item.type] = nth + 1
            same = [output for output in self._all if output.type == item.type]
            output = same[nth] if nth < len(same) else self._add(item.type, None, item)
            self._finish(output, item, raw)

    def end_all(self, *, cut: bool) -> None:
        """The answer is over: close what is open.

        Raises:
            BrokenStream: a call is incomplete although the answer was not `cut`.
        """
        for output in self._all:
            if output.done:
                continue
            if not cut and output.type in CALLS and not output.is_whole:
                raise BrokenStream(
                    "The provider ended its answer in the middle of a tool call; it must not be run. Try again."
                )
            self._close(output)

    # Items.

    def _read(self, raw: msgspec.Raw) -> Item | None:
        """Return the item; of a type that we do not translate only the type counts."""
        typed = read(raw, _Typed)
        if typed is None:
            return None
        if typed.type not in _TRANSLATED:
            return Item(type=typed.type)
        item = read(raw, Item)
        if item is None:
            raise BrokenStream(
                f"The provider sent a `{typed.type}` item of another form than its format has."
            )
        return item

    def _add(self, type_: str, number: int | None, item: Item) -> Output:
        output = Output(type_, number)
        output.ids.update(each for each in (item.id, item.call_id) if each)
        self._all.append(output)
        if number is not None:
            self._by_number[number] = output
        return output

    def _unfinished(self, item: Item) -> Output | None:
        """Return the first item of this type that is not complete, preferably with the same id."""
        same = [output for output in self._all if output.type == item.type and not output.done]
        by_id = (output for output in same if item.id in output.ids or item.call_id in output.ids)
        return next(by_id, same[0] if same else None)

    def _finish(self, output: Output, item: Item, raw: msgspec.Raw) -> None:
        if output.done:
            return
        match output.type:
            case "message":
                self._finish_message(output, item)
            case "reasoning":
                self._finish_reasoning(output, item)
                if self._waits_for_token(output, item):
                    return
            case "function_call" | "custom_tool_call":
                self._finish_call(output, item)
            case type_:
                data = bytes(raw).decode("utf-8", "replace")
                output.lane = self._open(RawBlock(dialect=DIALECT, type_name=type_, data=data))
        self._close(output)

    def _waits_for_token(self, output: Output, item: Item) -> bool:
        """Tell whether thinking stays open for a token that only the terminal event will bring."""
        waits = (
            self._tells_tokens_late
            and not item.encrypted_content
            and output.lane is not None
            and output not in self._tokenless
        )
        if waits:
            self._tokenless.append(output)
        return waits

    def _finish_message(self, output: Output, item: Item) -> None:
        for index, content in enumerate(item.content or ()):
            if content.refusal is not None:
                self._complete(output, ("refusal", index), content.refusal)
            elif content.text is not None:
                part = ("output_text", index)
                self._complete(output, part, content.text)
                self._cite_rest(output, part, content)

    def _cite_rest(self, output: Output, part: Part, content: Content) -> None:
        if output.open_part == part:
            for raw in (content.annotations or [])[output.cited.get(part, 0) :]:
                self._cite(output, part, raw)

    def _finish_reasoning(self, output: Output, item: Item) -> None:
        for kind, contents in (("summary", item.summary), ("content", item.content)):
            for index, content in enumerate(contents or ()):
                self._complete(output, (kind, index), content.text or "")
        if not item.encrypted_content:
            return
        if output.lane is None:
            if output.said:
                return  # its block has been closed (see `_make_room`): too late for a token
            output.lane = self._open(ReasoningBlock(summary=True))
        parts = [part.text or "" for part in item.summary or ()]
        is_summary = not any(kind == "content" for kind, _index in output.said)
        data = sealed(item.encrypted_content, parts, is_summary=is_summary)
        opaque = Opaque(kind="openai_encrypted", data=data, item_id=item.id)
        self._lanes.add(output.lane, OpaqueDelta(output.lane.index, opaque), chars=len(opaque.data))

    def _finish_call(self, output: Output, item: Item) -> None:
        if output.call is None:
            self._open_call(output, item)
        told = item.input if output.type == "custom_tool_call" else item.arguments
        if isinstance(told, dict):
            told = msgspec.json.encode(told).decode()
        if told:
            self._argue(output, output.rest(told))

    def _close(self, output: Output) -> None:
        output.done = True
        self._close_lane(output)

    def _close_lane(self, output: Output) -> None:
        if output.lane is not None:
            if output.wrapped:
                whole = unwrap_input("".join(output.pieces))
                self._lanes.add(output.lane, ArgumentsDelta(output.lane.index, whole), chars=len(whole))
            self._lanes.close(output.lane)
        output.lane = output.open_part = None

    # Blocks.

    def _open(self, stub: Block) -> Lane:
        self._make_room()
        return self._lanes.open(stub)

    def _make_room(self) -> None:
        """Close what a server that does not number its items has left open: it says `done` of all at the end."""
        for output in self._all:
            unnumbered = output.lane is not None and output.number is None
            if unnumbered and (output.type not in CALLS or output.is_whole):
                self._close_lane(output)

    def _write(self, output: Output, part: Part, text: str) -> None:
        if not text or (output.type == "reasoning" and output.tells_again(part)):
            return
        if output.lane is None or (output.open_part != part and output.type == "message"):
            if output.type == "message":
                # Nobody is to wait for text; calls may wait, nobody runs them before the end.
                while self._tokenless:
                    self._close(self._tokenless.pop(0))
            self._close_lane(output)
            output.lane = self._open(_stub(part))
            self.has_refusal |= part[0] == "refusal"
        elif output.open_part != part:
            self._lanes.add(output.lane, TextDelta(output.lane.index, BETWEEN_PARTS))
        output.open_part = part
        said = output.said.get(part) or output.said.setdefault(part, Said())
        said.add(text)
        self._lanes.add(output.lane, TextDelta(output.lane.index, text), chars=len(text))

    def _complete(self, output: Output, part: Part, text: str) -> None:
        said = output.said.get(part)
        self._write(output, part, said.missing(text) if said else text)

    def _cite(self, output: Output, part: Part, raw: msgspec.Raw) -> None:
        output.cited[part] = output.cited.get(part, 0) + 1
        found = citation(raw, DIALECT)
        if found is not None and output.lane is not None:
            self._lanes.add(output.lane, CitationDelta(output.lane.index, found), chars=len(found.raw))

    def _open_call(self, output: Output, item: Item) -> None:
        origin = self._names.origin(item.name or "")
        output.wrapped = origin.wrapped and output.type == "function_call"
        output.call = ToolCallBlock(
            id=self._call_id(item),
            name=origin.name,
            namespace=item.namespace or origin.namespace,
            custom=output.wrapped or output.type == "custom_tool_call",
            item_id=item.id,
        )
        self.has_call = True
        output.lane = self._open(output.call)

    def _call_id(self, item: Item) -> str:
        """Return the call's id, another one when an earlier call of this answer has it already."""
        given = item.call_id or item.id or "call"
        call_id = given
        while call_id in self._call_ids:
            call_id = f"{given}_{len(self._call_ids)}"
        self._call_ids.add(call_id)
        return call_id

    def _argue(self, output: Output, text: str) -> None:
        if not text:
            return
        self._call_chars += len(text)
        if self._call_chars > MAX_HELD_CHARS:
            raise BrokenStream(
                "The provider's tool calls grew past what a request can hold; the answer was given up."
            )
        output.pieces.append(text)
        if output.lane is not None and not output.wrapped:
            self._lanes.add(output.lane, ArgumentsDelta(output.lane.index, text), chars=len(text))


class _Typed(msgspec.Struct):
    type: str


def _stub(part: Part) -> Block:
    match part[0]:
        case "refusal":
            return RefusalBlock(text="")
        case "output_text":
            return TextBlock(text="")
        case kind:
            return ReasoningBlock(summary=kind == "summary")
