"""Further requests of the format: the count of a request's input, and a conversation made short.

OpenAI has endpoints for both. For other models the count is estimated, and the conversation is made short by the model
itself: a summary takes the place of everything but the user's own messages. It travels in an envelope of ours, since
callers send `compaction` items back as they got them.

Source: OpenAI's reference of `POST /v1/responses/input_tokens` and `/compact`; openai-python 3.54.0
`types/responses/{input_token_count_params,response_compact_params,compacted_response}.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.openai_responses.envelope import pack_summary
from pi_model_proxy.dialects.openai_responses.kept import head_of
from pi_model_proxy.dialects.openai_responses.relay_request import relay_request
from pi_model_proxy.dialects.reading import raw_members
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import Target
from pi_model_proxy.wire import ascii_json, edit_object, join_array, raw_object

__all__ = [
    "compacted",
    "decode_count",
    "encode_compaction",
    "encode_count",
    "is_of_user",
    "summary_request",
    "write_count",
]

_COUNTED: Final = frozenset({
    "model", "input", "instructions", "conversation", "previous_response_id", "parallel_tool_calls", "personality",
    "reasoning", "text", "tool_choice", "tools", "truncation",
})  # fmt: skip
_COMPACTED: Final = frozenset({
    "model", "input", "instructions", "previous_response_id", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "service_tier", "image",
})  # fmt: skip
"""Members that each endpoint takes."""
_OF_SUMMARY: Final = ("model", "prompt_cache_key", "service_tier", "tools")
_PATH: Final = "/responses"
SUMMARISE: Final = (
    "The conversation above has become too long and will be replaced by a summary of it that you write now. Whoever "
    "goes on from it sees only the user's messages and your summary. Say what the task is, what has been decided, done "
    "and found out (names, paths, figures and exact wording where they matter), what failed, and what is to be done "
    "next. Answer with the summary only, and call no tool."
)


class _Count(msgspec.Struct):
    input_tokens: int


class _Part(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Item(msgspec.Struct):
    type: str = ""
    content: list[_Part] = []


class _Answer(msgspec.Struct):
    output: list[_Item]
    usage: msgspec.Raw
    created_at: float = 0.0


_count_decoder: Final = msgspec.json.Decoder(_Count)
_answer_decoder: Final = msgspec.json.Decoder(_Answer)


def encode_count(body: bytes, target: Target, headers: Mapping[str, str]) -> Outgoing:
    """Return the request for a count of this request's input.

    Raises:
        BadRequest: names the JSON path.
    """
    return _further(relay_request(body, target, headers), "/input_tokens", _COUNTED)


def encode_compaction(body: bytes, target: Target, headers: Mapping[str, str]) -> Outgoing:
    """Return the request that makes a conversation short, to a provider that has such requests.

    Raises:
        BadRequest: names the JSON path.
    """
    return _further(relay_request(body, target, headers), "/compact", _COMPACTED)


def _further(outgoing: Outgoing, path: str, known: frozenset[str]) -> Outgoing:
    members = raw_object(outgoing.body)
    whole = outgoing.path.replace(_PATH, _PATH + path, 1)
    body = edit_object(members, put={}, remove=members.keys() - known)
    return msgspec.structs.replace(outgoing, path=whole, body=body, stream=False)


def decode_count(body: bytes) -> int | None:
    """Return the count in a provider's answer; None when there is none."""
    try:
        return _count_decoder.decode(body).input_tokens
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_count(tokens: int) -> bytes:
    """Return the answer to a request for a count."""
    return b'{"object":"response.input_tokens","input_tokens":%d}' % tokens


def summary_request(body: bytes, items: Sequence[bytes]) -> bytes:
    """Return the request by which a model sums up `items`; `body` is the caller's request.

    Raises:
        BadRequest: names the JSON path.
    """
    members = raw_members(body)
    asked: dict[str, bytes] = {name: members[name] for name in _OF_SUMMARY if name in members}
    ask = ascii_json({"type": "message", "role": "user", "content": SUMMARISE})
    put = {"input": join_array([*items, ask]), "store": b"false", "stream": b"false"}
    if "tools" in asked:
        put["tool_choice"] = b'"none"'
    if "instructions" in members:
        put["instructions"] = members["instructions"]
    return edit_object(asked, put=put)


def compacted(answer: bytes, messages: Iterable[bytes], ids: tuple[str, str]) -> bytes:
    """Return the short conversation: the user's messages, and the summary that `answer`, a Response object, holds.

    Args:
        answer: What the model said to `summary_request`.
        messages: What the user said, as lists show it.
        ids: For the whole, and for the summary.

    Raises:
        BrokenStream: the model said nothing.
    """
    said = _answer_decoder.decode(answer)
    text = "".join(part.text for item in said.output for part in item.content if part.type == "output_text")
    if not text.strip():
        raise BrokenStream("The model summed nothing up; try again, or with another model.")
    whole_id, item_id = ids
    summary = {"id": item_id, "type": "compaction", "encrypted_content": pack_summary(text)}
    return b'{"id":%b,"object":"response.compaction","created_at":%d,"output":%b,"usage":%b}' % (
        ascii_json(whole_id),
        int(said.created_at),
        join_array([*messages, ascii_json(summary)]),
        bytes(said.usage),
    )


def is_of_user(item: bytes) -> bool:
    """Tell whether an item is a message of the user's."""
    head = head_of(item)
    return head.role == "user" and head.type in {None, "message"}
