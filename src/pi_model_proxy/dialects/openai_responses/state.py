"""What a request takes for granted that somebody has kept: earlier responses, conversations, items by id.

OpenAI keeps them; no other API does. So a request that names them must be resolved before it is
decoded: `read_state` tells what it asks for, `resumed` writes the same request with everything in
it. What is left unresolved is refused, never answered as if it were the whole conversation
(dialects.md §10, vector 40).

Source: OpenAI's guide "Conversation state"; openai-python 3.54.0 `types/responses/response_create_params.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.reading import Fields, decode, raw_members
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.wire import edit_object, join_array, raw_array

__all__ = ["State", "input_items", "is_reference", "read_state", "refuse_state", "resolved", "resumed"]

NOT_FOUND: Final = "previous_response_not_found"
"""OpenAI's code; clients answer it by sending the whole conversation (pi 1.5.2, Codex CLI)."""
_REFERENCE: Final = "item_reference"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks of a store."""

    model: str | None = None
    """Whom it is for; None when the request does not say."""
    previous_response_id: str | None = None
    """The response whose input and output come before this input."""
    conversation_id: str | None = None
    """The conversation whose items come before this input, and that the answer is added to."""
    references: tuple[str, ...] = ()
    """Ids of items that the input only names."""
    stores: bool = True
    """Whether the answer shall be kept: `store`, which is true when absent."""
    background: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether the request cannot be understood without a store."""
        return bool(self.previous_response_id or self.conversation_id or self.references)


class _Conversation(msgspec.Struct):
    id: str


class _Members(msgspec.Struct):
    model: str | None = None
    previous_response_id: str | None = None
    conversation: str | _Conversation | None = None
    store: bool | None = None
    background: bool | None = None
    input: msgspec.Raw = msgspec.Raw(b"null")


class _Item(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    id: str | None = None


_members_decoder = msgspec.json.Decoder(_Members)
_items_decoder = msgspec.json.Decoder(list[_Item])
_item_decoder = msgspec.json.Decoder(_Item)


def read_state(body: bytes) -> State:
    """Return what a request asks of a store; cheap for requests that ask for nothing.

    Raises:
        BadRequest: names the JSON path.
    """
    members = decode(body, _members_decoder)
    conversation = members.conversation
    return State(
        model=members.model,
        previous_response_id=members.previous_response_id or None,
        conversation_id=conversation.id if isinstance(conversation, _Conversation) else conversation or None,
        references=_references(bytes(members.input)),
        stores=members.store is not False,
        background=members.background is True,
    )


def _references(raw: bytes) -> tuple[str, ...]:
    if not raw.startswith(b"[") or b'"id"' not in raw:
        return ()
    try:
        items = _items_decoder.decode(raw)
    except (msgspec.ValidationError, UnicodeDecodeError):
        return ()  # decoding the whole request says what is wrong with the items
    return tuple(item.id for item in items if item.id and is_reference(item.type, item.role))


def is_reference(type_: str | None, role: str | None) -> bool:
    """Tell whether an item only names another: its `type` may be left out, a message's too, but that has a `role`."""
    return type_ == _REFERENCE or (type_ is None and role is None)


def resumed(body: bytes, earlier: Iterable[bytes], items: Mapping[str, bytes] | None = None) -> bytes:
    """Return the request with what came before written into its `input`, and without the names for it.

    Args:
        body: The caller's request.
        earlier: The items before this input, oldest first, as JSON text.
        items: Stored items by id, for the references in the input; one that is missing stays a reference.

    Raises:
        BadRequest: names the JSON path.
    """
    members = raw_members(body)
    known = items or {}
    own = [resolved(item, known) for item in input_items(body)]
    put = {"input": join_array([*earlier, *own])}
    return edit_object(members, put=put, remove=("previous_response_id", "conversation"))


def resolved(item: bytes, known: Mapping[str, bytes]) -> bytes:
    """Return the stored item that a reference names; any other item, and a reference to none, as it is."""
    if not known:
        return item
    try:
        told = _item_decoder.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return item
    return known.get(told.id, item) if told.id and is_reference(told.type, told.role) else item


def input_items(body: bytes) -> list[bytes]:
    """Return a request's input as items in JSON text; a string is one message of the user, no input none.

    Raises:
        BadRequest: `input` is neither a string nor an array.
    """
    raw = raw_members(body).get("input", b"null")
    if raw == b"null":
        return []
    if raw.startswith(b'"'):
        content = b'[{"type":"input_text","text":' + raw + b"}]"
        return [b'{"type":"message","role":"user","content":' + content + b"}"]
    if not raw.startswith(b"["):
        raise BadRequest("input: must be a string or an array of items.", param="input")
    return raw_array(raw)


def refuse_state(request: Fields) -> None:
    """Refuse what no store has resolved.

    Raises:
        UnsupportedFeature: the request goes on from what only a store knows, or shall run in the background.
        BadRequest: names the JSON path.
    """
    previous = request.text("previous_response_id")
    if previous:
        error = UnsupportedFeature(
            f"previous_response_id: the response `{previous[:80]}` is not known here; "
            "send the whole conversation as `input`.",
            param="previous_response_id",
        )
        error.code = NOT_FOUND
        raise error
    if request.values.get("conversation") is not None:
        raise UnsupportedFeature(
            "conversation: it is not known here; send the whole conversation as `input`.",
            param="conversation",
        )
    if request.flag("background"):
        raise UnsupportedFeature(
            "background: answers are given while the caller waits; leave it out, and use `stream`.",
            param="background",
        )
