"""The one repeat this format needs: the same request without reasoning that the upstream cannot read.

Encrypted reasoning is bound to the organisation and model that made it. A conversation that moved
from another account carries blobs that are refused as a whole request; nothing in them tells
beforehand (Wei-Shaw/sub2api#3138, can1357/oh-my-pi#290).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.wire import edit_object, join_array, raw_array, raw_object

__all__ = ["refuses_reasoning", "without_reasoning"]

_CODE: Final = "invalid_encrypted_content"
_TEXTS: Final = ("encrypted content", "encrypted_content")


def refuses_reasoning(error: UpstreamError) -> bool:
    """Tell whether `error` is about encrypted reasoning, so that `without_reasoning` may help, once."""
    if error.code == _CODE:
        return True
    return error.kind == "bad_request" and any(text in error.message.lower() for text in _TEXTS)


def without_reasoning(body: bytes) -> bytes:
    """Return a request body of this format without reasoning items, and without the ids that tie others to them.

    All else keeps its bytes. The very same object comes back when there is nothing to remove.

    Raises:
        msgspec.DecodeError: not the JSON of a request.
    """
    members = raw_object(body)
    items = raw_array(members.get("input", b"[]"))
    kept = [_without_id(item) for item in items if _type(item) != "reasoning"]
    if len(kept) == len(items):
        return body
    return edit_object(members, put={"input": join_array(kept)})


class _Typed(msgspec.Struct):
    type: str = ""
    id: str | None = None


_item_decoder = msgspec.json.Decoder(_Typed)


def _type(item: bytes) -> str:
    return _item_decoder.decode(item).type


def _without_id(item: bytes) -> bytes:
    return edit_object(raw_object(item), put={}, remove=["id"]) if _item_decoder.decode(item).id else item
