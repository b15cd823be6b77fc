"""The input of a relayed request: untouched as text, but for the items a rule is about.

Cheap tests first: most requests need nothing, and then not even the array is split.

Sources: dialects.md §3.2 (reasoning comes back whole, with the items it led to, or not at all) and
§10 vectors 31 and 33; pi 1.5.2 `dist/api/openai-responses-shared.js`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.openai_responses.envelope import (
    ENVELOPE,
    OWN_REASONING,
    is_envelope,
    open_reasoning,
    open_summary,
)
from pi_model_proxy.dialects.openai_responses.quirks import Quirks
from pi_model_proxy.dialects.openai_responses.sealed import unsealed
from pi_model_proxy.dialects.openai_responses.variants import CODEX, variant_of
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import Target
from pi_model_proxy.wire import compact_json, edit_object, join_array, raw_array, raw_object

__all__ = ["relay_input", "renamed_tools"]

_TIED: Final = frozenset({"message", "function_call", "custom_tool_call"})
"""Items whose id ties them to the reasoning before them; without an id they stand alone."""
_SUMMARIES: Final = frozenset({"compaction", "compaction_summary"})
_TURNS: Final = frozenset({"user", "system", "developer"})
_NO_ROLES: Final[dict[str, str]] = {}
_ROLES_AT_CODEX: Final = {"system": "developer"}
_ROLES_WITHOUT_DEVELOPER: Final = {"developer": "system"}
"""Roles that an upstream knows by another name."""


class _Text(msgspec.Struct):
    text: str = ""


class _Head(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    id: str | None = None
    encrypted_content: str | None = None
    summary: list[_Text] | None = None


_head_decoder: Final = msgspec.json.Decoder(_Head)


def relay_input(raw: bytes, target: Target, quirks: Quirks, losses: Losses, *, stores: bool) -> bytes | None:
    """Return the input as the provider takes it; None when it may stay as it is.

    Args:
        raw: The member's JSON text.
        target: Whom it goes to.
        quirks: How that differs.
        losses: Takes the paths of items left out.
        stores: Whether the provider keeps what it answers, so that it knows items by their ids.

    Raises:
        BadRequest: not an array of items.
    """
    if not raw.startswith(b"["):
        return None
    editor = _Items(target, quirks, losses, stores=stores)
    return editor.edited(raw) if editor.needs_reading(raw) else None


def renamed_tools(raw: bytes, aliases: Iterable[tuple[str, str]]) -> bytes | None:
    """Return the tools with hosted ones under the names they have by now; None when they may stay as they are.

    Raises:
        BadRequest: not an array of tools.
    """
    known = [(old, new) for old, new in aliases if f'"{old}'.encode() in raw]
    if not known:
        return None
    try:
        tools = raw_array(raw)
        kinds = [_head_decoder.decode(tool).type or "" for tool in tools]
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"tools: must be an array of tools ({error}).", param="tools") from error
    for index, kind in enumerate(kinds):
        new = next((new for old, new in known if kind.startswith(old)), None)
        if new is not None:
            tools[index] = edit_object(raw_object(tools[index]), put={"type": compact_json(new)})
    return join_array(tools)


class _Items:
    """The edits of one input."""

    def __init__(self, target: Target, quirks: Quirks, losses: Losses, *, stores: bool) -> None:
        self._target = target
        self._losses = losses
        self._stores = stores
        self._roles = _ROLES_AT_CODEX if variant_of(target) is CODEX else _NO_ROLES
        if not quirks.takes_developer_role:
            self._roles = _ROLES_WITHOUT_DEVELOPER
        self._untied = False
        """The reasoning that led to the items now coming has been left out."""

    def needs_reading(self, raw: bytes) -> bool:
        """Tell whether some item may have to change."""
        return (
            any(f'"{role}"'.encode() in raw for role in self._roles)
            or (b'"reasoning"' in raw and not self._stores)
            or ENVELOPE.encode() in raw
            or OWN_REASONING.encode() in raw
            or any(name.encode() in raw for name in self._target.identity.omitted_fields)
        )

    def edited(self, raw: bytes) -> bytes:
        try:
            items = raw_array(raw)
            heads = [_head_decoder.decode(item) for item in items]
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"input: must be an array of items ({error}).", param="input") from error
        kept: list[bytes] = []
        for index, (item, head) in enumerate(zip(items, heads, strict=True)):
            edited = self._item(item, head, f"input[{index}]")
            if edited is not None:
                kept.append(edited)
        return join_array(kept)

    def _item(self, item: bytes, head: _Head, at: str) -> bytes | None:
        if head.type in self._target.identity.omitted_fields:
            self._losses.path(at, why="the login's backend does not take it")
            return None
        if head.type == "reasoning":
            kept = self._reasoning(item, head, at)
            self._untied = kept is None
            return kept
        summary = open_summary(head.encrypted_content or "") if head.type in _SUMMARIES else None
        if summary is not None:
            self._untied = False
            return compact_json({"type": "message", "role": "user", "content": summary})
        if head.role in _TURNS:
            self._untied = False
        if head.role in self._roles:
            return edit_object(raw_object(item), put={"role": compact_json(self._roles[head.role])})
        if self._untied and head.id is not None and head.type in _TIED:
            return edit_object(raw_object(item), put={}, remove=("id",))
        return item

    def _reasoning(self, item: bytes, head: _Head, at: str) -> bytes | None:
        encrypted = head.encrypted_content or ""
        if is_envelope(encrypted):
            restored = self._restored(head, encrypted)
            if restored is None:
                self._losses.path(at, why="the thinking of another model")
            return restored
        if not encrypted and (not self._stores or (head.id or "").startswith(OWN_REASONING)):
            self._losses.path(at, why="thinking without the token it came with")
            return None
        return item

    def _restored(self, head: _Head, envelope: str) -> bytes | None:
        """Return the provider's own item from our envelope around it."""
        block = open_reasoning(envelope, head.id, [part.text for part in head.summary or ()], [])
        opaque = block.opaque
        own = f"{self._target.provider}/{self._target.model}"
        if opaque is None or opaque.kind != "openai_encrypted" or opaque.origin not in {"", own}:
            return None
        blob, parts = unsealed(opaque.data, block.text)
        return compact_json(
            {
                "type": "reasoning",
                "id": opaque.item_id,
                "summary": [{"type": "summary_text", "text": part} for part in parts],
                "encrypted_content": blob,
            }
        )
