"""Conversations: `/v1/conversations`, one of them, and its items. All of them are kept here, whatever the model.

Source: OpenAI's Conversations reference; openai-python 3.54.0 `resources/conversations/`.
"""

from __future__ import annotations

import re
import time
from typing import Final

from pi_model_proxy.dialects.openai_responses import item_array, listed_item
from pi_model_proxy.dialects.reading import Fields, read_json
from pi_model_proxy.errors import BadRequest, ResponseNotFound
from pi_model_proxy.gateway import Call, items_of
from pi_model_proxy.server.exchange import Exchange
from pi_model_proxy.server.responses import JSON, answer_with_list, memory_of
from pi_model_proxy.server.state import ServerState
from pi_model_proxy.storage import Item, KeptConversation, ResponseStore
from pi_model_proxy.wire import ascii_json, escape_separators

__all__ = [
    "add_items",
    "create_conversation",
    "delete_conversation",
    "delete_item",
    "list_items",
    "show_conversation",
    "show_item",
    "update_conversation",
]

MAX_PAIRS: Final = 16
MAX_ITEMS: Final = 20
"""Items that may be sent at once, as at OpenAI."""
_PATH: Final = re.compile(r"conversations/([^/]+)(?:/items/([^/]+))?")


async def create_conversation(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /v1/conversations`.

    Raises:
        BadRequest: names the JSON path.
        StorageFailed: nothing can be kept.
    """
    store, ids = _store(state), state.gateway.ids
    request = read_json(call.body or b"{}")
    made = KeptConversation(id=f"conv_{ids.hex(24)}", created=int(time.time()), metadata=_metadata(request))
    await store.begin(made, _items(state, call, request))
    _answer(made, exchange)


async def show_conversation(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `GET /v1/conversations/{id}`.

    Raises:
        ResponseNotFound: it is not kept.
    """
    conversation_id, _ = _ids(call)
    _answer(_found(await _store(state).conversation(conversation_id), conversation_id), exchange)


async def update_conversation(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /v1/conversations/{id}`.

    Raises:
        ResponseNotFound: it is not kept.
        BadRequest: names the JSON path.
    """
    conversation_id, _ = _ids(call)
    metadata = _metadata(read_json(call.body))
    described = await _store(state).describe(conversation_id, metadata)
    _answer(_found(described, conversation_id), exchange)


async def delete_conversation(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `DELETE /v1/conversations/{id}`.

    Raises:
        ResponseNotFound: it is not kept.
    """
    conversation_id, _ = _ids(call)
    if not await _store(state).delete_conversation(conversation_id):
        raise _not_found(conversation_id)
    gone = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    exchange.answer(200, ascii_json(gone), JSON)


async def add_items(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /v1/conversations/{id}/items` with the items that were added.

    Raises:
        ResponseNotFound: there is no such conversation.
        BadRequest: names the JSON path.
    """
    conversation_id, _ = _ids(call)
    items = _items(state, call, read_json(call.body))
    if not items:
        raise BadRequest("items: must be an array with an item in it.", param="items")
    if not await _store(state).add(conversation_id, items):
        raise _not_found(conversation_id)
    answer_with_list(items, call, exchange, order="asc")


async def list_items(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `GET /v1/conversations/{id}/items`.

    Raises:
        ResponseNotFound: there is no such conversation.
        BadRequest: the query names no page.
    """
    answer_with_list(await _kept_items(state, call), call, exchange)


async def show_item(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `GET /v1/conversations/{id}/items/{id}`.

    Raises:
        ResponseNotFound: there is no such item.
    """
    conversation_id, item_id = _ids(call)
    found = [item for item in await _kept_items(state, call) if item.id == item_id]
    if not found:
        raise _no_item(conversation_id, item_id)
    body = listed_item(found[-1].id, found[-1].body)
    exchange.answer(200, escape_separators(body), JSON)


async def delete_item(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `DELETE /v1/conversations/{id}/items/{id}` with the conversation.

    Raises:
        ResponseNotFound: there is no such item.
    """
    conversation_id, item_id = _ids(call)
    store = _store(state)
    conversation = _found(await store.conversation(conversation_id), conversation_id)
    if not await store.delete_item(conversation_id, item_id):
        raise _no_item(conversation_id, item_id)
    _answer(conversation, exchange)


async def _kept_items(state: ServerState, call: Call) -> list[Item]:
    conversation_id, _ = _ids(call)
    items = await _store(state).conversation_items(conversation_id)
    if items is None:
        raise _not_found(conversation_id)
    return items


def _store(state: ServerState) -> ResponseStore:
    store = memory_of(state).store
    if not store.keeps:
        raise ResponseNotFound("Nothing is kept here: storeMaxResponses is 0.")
    return store


def _ids(call: Call) -> tuple[str, str]:
    match = _PATH.search(call.path)
    return ("", "") if match is None else (match[1], match[2] or "")


def _metadata(request: Fields) -> bytes:
    metadata = request.object("metadata")
    if metadata is None:
        return b"{}"
    if len(metadata.values) > MAX_PAIRS:
        raise BadRequest(f"metadata: must have at most {MAX_PAIRS} pairs.", param="metadata")
    for name in metadata.values:
        metadata.needed_text(name)
    return ascii_json(metadata.values)


def _items(state: ServerState, call: Call, request: Fields) -> tuple[Item, ...]:
    """Return the items in a request, each under an id."""
    if len(request.objects("items")) > MAX_ITEMS:
        raise BadRequest(f"items: must be at most {MAX_ITEMS} at once.", param="items")
    return items_of(item_array(call.body, "items"), state.gateway.ids)


def _answer(conversation: KeptConversation, exchange: Exchange) -> None:
    body = b'{"id":%b,"object":"conversation","created_at":%d,"metadata":%b}' % (
        ascii_json(conversation.id),
        conversation.created,
        conversation.metadata,
    )
    exchange.answer(200, body, JSON)


def _found(conversation: KeptConversation | None, conversation_id: str) -> KeptConversation:
    if conversation is None:
        raise _not_found(conversation_id)
    return conversation


def _not_found(conversation_id: str) -> ResponseNotFound:
    return ResponseNotFound(f"Conversation with id '{conversation_id[:80]}' not found.")


def _no_item(conversation_id: str, item_id: str) -> ResponseNotFound:
    return ResponseNotFound(
        f"Item with id '{item_id[:80]}' not found in conversation '{conversation_id[:80]}'."
    )
