"""Responses and what is kept of them: `/v1/responses`, `/v1/responses/{id}` and its `input_items`.

Source: OpenAI's Responses reference; openai-python 3.54.0 `resources/responses/`; dialects.md §8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pi_model_proxy.dialects.openai_responses import listed_item, put_together
from pi_model_proxy.errors import BadRequest, ResponseNotFound
from pi_model_proxy.gateway import Call, Memory, compact
from pi_model_proxy.server.exchange import Exchange
from pi_model_proxy.server.query import read_query
from pi_model_proxy.server.state import ServerState
from pi_model_proxy.storage import Item
from pi_model_proxy.wire import ascii_json, escape_separators, join_array

__all__ = [
    "JSON",
    "answer_response",
    "answer_with_list",
    "compact_response",
    "count_input",
    "delete_response",
    "list_input_items",
    "memory_of",
    "show_response",
]

JSON: Final = {"content-type": "application/json"}
MAX_PAGE: Final = 100
DEFAULT_PAGE: Final = 20
_RESPONSE: Final = re.compile(r"responses/([^/]+)")
_COUNT: Final = re.compile(r"[0-9]{1,9}")


async def answer_response(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /v1/responses`."""
    if state.memory is None:
        await state.gateway.answer("openai_responses", call, exchange, exchange.entry)
    else:
        await state.memory.answer(call, exchange, exchange.entry)


async def count_input(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /v1/responses/input_tokens`."""
    exchange.answer(200, await memory_of(state).count(call, exchange.entry), JSON)


async def compact_response(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /v1/responses/compact`."""
    body = await compact(memory_of(state), state.gateway, call, exchange.entry)
    exchange.answer(200, body, JSON)


async def show_response(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `GET /v1/responses/{id}`.

    Raises:
        ResponseNotFound: it is not kept.
        BadRequest: it is asked for as a stream.
    """
    response_id = _id_in(call.path)
    if read_query(call.query).get("stream") == ["true"]:
        raise BadRequest(
            "stream: a response that is kept can only be had whole; leave it out.", param="stream"
        )
    kept = await memory_of(state).store.response(response_id)
    if kept is None:
        raise _not_found(response_id)
    body, output = kept
    exchange.answer(200, put_together(body, [item.body for item in output]), JSON)


async def delete_response(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `DELETE /v1/responses/{id}`.

    Raises:
        ResponseNotFound: it is not kept.
    """
    response_id = _id_in(call.path)
    if not await memory_of(state).store.delete_response(response_id):
        raise _not_found(response_id)
    gone = {"id": response_id, "object": "response", "deleted": True}
    exchange.answer(200, ascii_json(gone), JSON)


async def list_input_items(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `GET /v1/responses/{id}/input_items`.

    Raises:
        ResponseNotFound: it is not kept.
        BadRequest: the query names no page.
    """
    response_id = _id_in(call.path)
    items = await memory_of(state).store.input_items(response_id)
    if items is None:
        raise _not_found(response_id)
    answer_with_list(items, call, exchange)


def memory_of(state: ServerState) -> Memory:
    """Return what keeps responses.

    Raises:
        ResponseNotFound: nothing does.
    """
    if state.memory is None:
        raise ResponseNotFound("Nothing is kept here.")
    return state.memory


def answer_with_list(items: Sequence[Item], call: Call, exchange: Exchange, *, order: str = "desc") -> None:
    """Answer with a page of items; `order` (else as given), `after` and `limit` stand in the query.

    Raises:
        BadRequest: they name no page.
    """
    asked = {name: values[-1] for name, values in read_query(call.query).items()}
    order, limit = asked.get("order", order), asked.get("limit", str(DEFAULT_PAGE))
    if order not in {"asc", "desc"}:
        raise BadRequest("order: must be `asc` or `desc`.", param="order")
    # The length first: Python refuses to read a number of thousands of digits.
    if not _COUNT.fullmatch(limit) or not 1 <= int(limit) <= MAX_PAGE:
        raise BadRequest(f"limit: must be a whole number from 1 to {MAX_PAGE}.", param="limit")
    ordered = list(items) if order == "asc" else list(reversed(items))
    if after := asked.get("after"):
        places = [place for place, item in enumerate(ordered) if item.id == after]
        if not places:
            raise BadRequest(f"after: no item has the id {after[:80]!r}.", param="after")
        ordered = ordered[places[-1] + 1 :]
    page = ordered[: int(limit)]
    body = b'{"object":"list","data":%b,"first_id":%b,"last_id":%b,"has_more":%b}' % (
        join_array(listed_item(item.id, item.body) for item in page),
        ascii_json(page[0].id if page else None),
        ascii_json(page[-1].id if page else None),
        b"true" if len(page) < len(ordered) else b"false",
    )
    exchange.answer(200, escape_separators(body), JSON)


def _id_in(path: str) -> str:
    match = _RESPONSE.search(path)
    return match[1] if match is not None else ""


def _not_found(response_id: str) -> ResponseNotFound:
    return ResponseNotFound(f"Response with id '{response_id[:80]}' not found.")
