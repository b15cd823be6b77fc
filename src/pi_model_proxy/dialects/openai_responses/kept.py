"""Requests and responses on their way into a store of ours, and out of it: JSON text in, JSON text out.

Source: OpenAI's guide "Conversation state" and its reference of `GET /v1/responses/{id}` and
`GET /v1/responses/{id}/input_items`; openai-python 3.54.0 `types/responses/response_item.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pi_model_proxy.dialects.openai_responses.state import input_items, resolved, resumed
from pi_model_proxy.dialects.openai_responses.variants import AZURE, OPENAI
from pi_model_proxy.dialects.reading import raw_members
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import Target
from pi_model_proxy.wire import ascii_json, compact_json, edit_object, join_array, raw_array, raw_object

__all__ = [
    "KEPT_FIELDS",
    "Continued",
    "Head",
    "continued",
    "head_of",
    "id_of",
    "item_array",
    "keeps_responses",
    "listed_item",
    "prefix_for",
    "put_together",
    "taken_apart",
]

KEPT_FIELDS: Final = ("previous_response_id", "conversation")
"""Members of a request that only a store can resolve."""
_PREFIXES: Final = {
    "message": "msg_",
    "reasoning": "rs_kept_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "compaction": "cmp_",
}
"""How the ids of items begin, by type; what OpenAI does for the first half of them."""
_EMPTY: Final = b"[]"
_NULL: Final = b"null"


class Head(msgspec.Struct):
    """What an item says of itself."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


_head_decoder: Final = msgspec.json.Decoder(Head)


class Continued(msgspec.Struct, frozen=True):
    """A request that needs no store any more."""

    body: bytes
    own: tuple[bytes, ...]
    """What this request itself brought, references resolved."""


def keeps_responses(target: Target) -> bool:
    """Tell whether a model's provider keeps responses itself, so that ids are between caller and provider.

    OpenAI and Azure do. Others answer as if there were no such field (llama.cpp), or refuse it (the ChatGPT backend,
    OpenRouter), or are no Responses servers at all.
    """
    return target.kind == AZURE.kind or (target.kind == OPENAI.kind and target.hosted_by_vendor)


def continued(body: bytes, earlier: Sequence[bytes], items: Mapping[str, bytes]) -> Continued:
    """Return the request with what came before in its input, to an upstream that shall keep nothing.

    Args:
        body: The caller's request.
        earlier: The items before this input, oldest first.
        items: Kept items by id, for the references in the input.

    Raises:
        BadRequest: names the JSON path.
    """
    own = tuple(resolved(item, items) for item in input_items(body))
    whole = resumed(body, earlier, items) if earlier or items else body
    return Continued(edit_object(raw_members(whole), put={"store": b"false"}, remove=KEPT_FIELDS), own)


def head_of(item: bytes) -> Head:
    """Return what an item says of itself; nothing when it is none."""
    try:
        return _head_decoder.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Head()


def id_of(item: bytes) -> str:
    """Return an item's own id; empty when it has none."""
    return head_of(item).id or ""


def item_array(body: bytes, name: str) -> list[bytes]:
    """Return the items in a member of a body, as JSON text; none when it is absent or null.

    Raises:
        BadRequest: not JSON, or no array.
    """
    raw = raw_members(body).get(name, _NULL) if body else _NULL
    if raw == _NULL:
        return []
    if not raw.startswith(b"["):
        raise BadRequest(f"{name}: must be an array of items.", param=name)
    return raw_array(raw)


def prefix_for(item: bytes) -> str:
    """Return how a new id for an item begins."""
    head = head_of(item)
    return _PREFIXES.get(head.type or "message", "item_")


def taken_apart(response: bytes, put: Mapping[str, bytes]) -> tuple[bytes, bytes, list[bytes]]:
    """Return a Response object with `put` in it, the same without its output, and that output.

    Raises:
        msgspec.DecodeError: it is no object.
    """
    members = raw_object(response)
    edited = edit_object(members, put=put)
    output = members.get("output", _NULL)
    return (
        edited,
        edit_object(members, put={**put, "output": _EMPTY}),
        [] if output == _NULL else raw_array(output),
    )


def put_together(response: bytes, output: Sequence[bytes]) -> bytes:
    """Return a Response object with its output in place."""
    return edit_object(raw_object(response), put={"output": join_array(output)})


class _Said(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    content: msgspec.Raw = msgspec.Raw(_NULL)
    status: str | None = None


def listed_item(item_id: str, item: bytes) -> bytes:
    """Return an item as lists show it: with its id and type, a message's content as parts."""
    put = {"id": ascii_json(item_id)}
    try:
        said, members = msgspec.json.decode(item, type=_Said), raw_object(item)
    except (msgspec.DecodeError, ValueError):
        return item
    if said.type in {None, "message"}:
        put["type"] = b'"message"'
        put["status"] = ascii_json(said.status or "completed")
        content = bytes(said.content)
        if content.startswith(b'"'):
            kind = b"output_text" if said.role == "assistant" else b"input_text"
            rest = b',"annotations":[],"logprobs":[]' if said.role == "assistant" else b""
            put["content"] = b'[{"type":"%b","text":%b%b}]' % (kind, content, rest)
    elif said.status is None and said.type in _WITH_STATUS:
        put["status"] = compact_json("completed")
    return edit_object({"id": b"", **members}, put=put)


_WITH_STATUS: Final = frozenset({
    "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
})  # fmt: skip
