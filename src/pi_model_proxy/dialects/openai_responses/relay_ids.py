"""Item ids that change from event to event, made to stay as they were first told.

GitHub Copilot gives an item another id in every event. SDKs know an item by its first one
(openai-python 3.54.0 raises "Completed output item identity changed"). A reasoning item's blob
counts only beside the id it came with, so id and blob go into an envelope, which
`relay_input` opens again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.openai_responses.envelope import pack_reasoning
from pi_model_proxy.dialects.openai_responses.payloads import Item, read
from pi_model_proxy.dialects.openai_responses.sealed import joined, sealed
from pi_model_proxy.hub import Opaque, ReasoningBlock
from pi_model_proxy.wire import ascii_json, edit_object, join_array, raw_object

__all__ = ["ItemIds", "RelayedEvent"]

MAX_ITEMS: Final = 10_000
"""An answer of more items is relayed with the ids it has."""


class RelayedEvent(msgspec.Struct):
    """Any event but a delta, as far as a relay looks into it."""

    type: str = ""
    sequence_number: int | None = None
    item_id: str | None = None
    output_index: int | None = None
    item: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()


class _Head(msgspec.Struct):
    id: str | None = None


class ItemIds:
    """The ids of one answer's items."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.known: dict[int, str] = {}
        """First id of each item, by `output_index`."""
        self.changed = False
        """Whether some id has changed."""

    def learn(self, index: int | None, item: bytes) -> None:
        """Remember the id that an item was announced with."""
        head = read(item, _Head) if item else None
        if head is not None and head.id and index is not None and len(self.known) < MAX_ITEMS:
            self.known.setdefault(index, head.id)

    def settled(self, event: RelayedEvent, data: bytes, item: bytes) -> bytes:
        """Return an event's JSON under the first id of the item it is about; `item` is that item, settled."""
        put: dict[str, bytes] = {}
        first = None if event.output_index is None else self.known.get(event.output_index)
        if first is not None and event.item_id not in {None, first}:
            self.changed = True
            put["item_id"] = ascii_json(first)
        if item != bytes(event.item):
            put["item"] = item
        return edit_object(raw_object(data), put=put) if put else data

    def item(self, index: int | None, raw: bytes) -> bytes:
        """Return an item under its first id; as it is when it has that."""
        first = None if index is None else self.known.get(index)
        head = read(raw, _Head) if raw else None
        if first is None or head is None or head.id in {None, first}:
            return raw
        self.changed = True
        put = {"id": ascii_json(first)}
        item = read(raw, Item)
        if item is not None and item.type == "reasoning" and item.encrypted_content:
            put["encrypted_content"] = ascii_json(self._enveloped(item, first))
        return edit_object(raw_object(raw), put=put)

    def _enveloped(self, item: Item, first: str) -> str:
        parts = [part.text or "" for part in item.summary or ()]
        blob = item.encrypted_content or ""
        opaque = Opaque(kind="openai_encrypted", data=sealed(blob, parts, is_summary=True), item_id=item.id)
        block = ReasoningBlock(text=joined(parts), summary=True, opaque=opaque)
        carried = pack_reasoning(block, origin=self._origin, item_id=first, shows="summary")
        return carried.encrypted or blob

    def output(self, items: list[msgspec.Raw]) -> bytes:
        """Return the output of the whole response, whose n-th item is the n-th that was begun."""
        order = sorted(self.known)
        places = [order[place] if place < len(order) else None for place in range(len(items))]
        return join_array(self.item(place, bytes(raw)) for place, raw in zip(places, items, strict=True))
