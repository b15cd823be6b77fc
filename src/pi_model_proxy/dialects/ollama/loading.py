"""A request without a message: Ollama then only loads the model into memory, or takes it out.

Nothing is loaded here, and nothing is asked of a provider; clients that warm a model up are told
what they expect. Source: Ollama's API reference ("Load a model", "Unload a model").
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.ollama.words import Form, moment
from pi_model_proxy.wire import ascii_json, members_of

__all__ = ["Load", "encode_load", "read_load"]

_EMPTY: Final = frozenset({b"", b"null", b"[]", b'""'})
_ASKED: Final[dict[Form, tuple[str, ...]]] = {
    "chat": ("messages",),
    "generate": ("prompt", "images", "suffix"),
}
_UNLOADS: Final = frozenset({b"0", b"0.0", b'"0"', b'"0s"', b'"0m"'})
"""Every spelling of no time at all (ollama-python sends `0.0`)."""
_LONG: Final = 16
"""Bytes; whatever is empty is shorter."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What such a request asks for."""

    model: str | None
    unloads: bool = False


def read_load(body: bytes, form: Form) -> Load | None:
    """Return what a request without a message asks for; None for every other body, broken ones too."""
    try:
        members = members_of(body)
        if any(_text(members.get(name)) not in _EMPTY for name in _ASKED[form]):
            return None
        named = members.get("model") or members.get("name")
        model = msgspec.json.decode(named, type=str | None) if named else None
    except (ValueError, RecursionError):
        return None  # whoever reads the whole request says what is wrong with it
    return Load(model=model, unloads=_text(members.get("keep_alive")) in _UNLOADS)


def _text(member: msgspec.Raw | None) -> bytes:
    """Return a short member's JSON text without blanks; of a long one any text that is not empty."""
    if member is None:
        return b""
    return bytes(member).replace(b" ", b"") if len(member) < _LONG else b"long"


def encode_load(load: Load, form: Form, *, name: str, now_s: float) -> bytes:
    """Return the answer; `name` is the model's as the caller wrote it, `now_s` seconds since the epoch."""
    said = {"message": {"role": "assistant", "content": ""}} if form == "chat" else {"response": ""}
    ending = {"done": True, "done_reason": "unload" if load.unloads else "load"}
    return ascii_json({"model": name, "created_at": moment(now_s), **said, **ending})
