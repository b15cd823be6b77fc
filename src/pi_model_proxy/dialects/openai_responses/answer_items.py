"""The items of an answer, as JSON text.

Source: openai-python 3.54.0 `types/responses/response_output_item.py`; dialects.md §2.3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.names import legal_id
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.hub import Citation, ToolCallBlock
from pi_model_proxy.wire import ascii_json, escape_separators, join_array

__all__ = [
    "annotation_json",
    "call_id_of",
    "call_item",
    "item_id_of",
    "message_item",
    "reasoning_item",
    "refusal_part",
    "text_part",
]

MAX_ID: Final = 64
"""Characters; OpenAI refuses longer ids in the next request."""
_PREFIXES: Final = {True: "ctc_", False: "fc_"}


def call_id_of(call: ToolCallBlock, number: int, context: AnswerContext) -> str:
    """Return the id that the call's result will name; one that is too long is shortened the same way every time."""
    if not call.id:
        return f"call_{context.answer_id}{number:x}"
    return call.id if len(call.id) <= MAX_ID else legal_id(call.id, max_length=MAX_ID)


def item_id_of(call: ToolCallBlock, number: int, context: AnswerContext, *, taken: Collection[str]) -> str:
    """Return the id of a call's item: its own if it is one of this format and not `taken`, else a fresh one."""
    prefix, own = _PREFIXES[call.custom], call.item_id
    if own is not None and own.startswith(prefix) and len(own) <= MAX_ID and own not in taken:
        return own
    return f"{prefix}{context.answer_id}{number:x}"


def call_item(call: ToolCallBlock, ids: tuple[bytes, bytes], *, status: str, told: bytes) -> bytes:
    """Return a call; `ids` are its item's and its own, `told` its arguments or input, all as JSON text."""
    item_id, call_id = ids
    space = b',"namespace":' + ascii_json(call.namespace) if call.namespace else b""
    name = ascii_json(call.name)
    if call.custom:
        return b'{"id":%b,"type":"custom_tool_call","status":"%b","call_id":%b,"name":%b%b,"input":%b}' % (
            item_id, status.encode(), call_id, name, space, told,
        )  # fmt: skip
    return b'{"id":%b,"type":"function_call","status":"%b","call_id":%b,"name":%b%b,"arguments":%b}' % (
        item_id, status.encode(), call_id, name, space, told,
    )  # fmt: skip


def message_item(item_id: bytes, parts: Sequence[bytes], *, status: str) -> bytes:
    """Return a message of the model."""
    return b'{"id":%b,"type":"message","status":"%b","role":"assistant","content":%b}' % (
        item_id, status.encode(), join_array(parts),
    )  # fmt: skip


def text_part(text: bytes, annotations: Sequence[bytes] = ()) -> bytes:
    """Return a part of a message; `text` and `annotations` are JSON text."""
    return b'{"type":"output_text","text":%b,"annotations":%b,"logprobs":[]}' % (
        text,
        join_array(annotations),
    )


def refusal_part(text: bytes) -> bytes:
    """Return a part in which the model declines."""
    return b'{"type":"refusal","refusal":%b}' % text


def reasoning_item(
    item_id: bytes,
    *,
    summary: Sequence[bytes] = (),
    content: bytes | None = None,
    encrypted: str | None = None,
) -> bytes:
    """Return the model's thinking; texts are JSON text."""
    parts = join_array(b'{"type":"summary_text","text":%b}' % text for text in summary)
    said = b"" if content is None else b',"content":[{"type":"reasoning_text","text":%b}]' % content
    blob = b"" if encrypted is None else b',"encrypted_content":' + ascii_json(encrypted)
    return b'{"id":%b,"type":"reasoning","summary":%b%b%b}' % (item_id, parts, said, blob)


def annotation_json(citation: Citation, start: int, end: int) -> bytes | None:
    """Return a citation of the text from `start` to `end`; None for what is no web page."""
    if citation.dialect == DIALECT and citation.raw:
        return escape_separators(citation.raw.encode())
    if not citation.url:
        return None
    return ascii_json(
        {
            "type": "url_citation",
            "start_index": start,
            "end_index": end,
            "url": citation.url,
            "title": citation.title or "",
        }
    )
