"""How the tokens of reasoning travel through a chat client: in `reasoning_details`, and back.

Chat completions have no field for them, but clients that echo messages echo this one: OpenRouter
made it (https://openrouter.ai/docs/use-cases/reasoning-tokens), pi, Cline and others send it back
unmodified. `format` says whose token it is; ours are named after `Opaque.kind`, so that a relay can
tell them from a provider's own. `origin` names the model that made it.

LiteLLM's `thinking_blocks` are read as well, and the plain text fields of other servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

import msgspec

from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import Opaque, ReasoningBlock

__all__ = [
    "OUR_FORMATS",
    "REASONING_FIELDS",
    "TEXT_FIELDS",
    "details_of",
    "list_unread",
    "merge_detail",
    "read_reasoning",
    "replay_fields",
    "replay_token",
]

TEXT_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")
"""Where servers put visible reasoning: DeepSeek's and vLLM's name, OpenRouter's, Copilot's."""
REASONING_FIELDS: Final = frozenset({*TEXT_FIELDS, "reasoning_details", "thinking_blocks"})
"""Every member of an assistant message that may hold reasoning; several of them say the same thing twice."""

_OF_ENTRY: Final = frozenset({
    "type", "text", "thinking", "summary", "data", "signature", "format", "origin", "id", "index",
})  # fmt: skip
"""`index` is left over from a stream."""

_Kind = Literal[
    "anthropic_signature",
    "anthropic_redacted",
    "openai_encrypted",
    "gemini_signature",
    "pi_signature",
    "pi_redacted",
]

OUR_FORMATS: Final[frozenset[str]] = frozenset(get_args(_Kind))

_ENCRYPTED: Final[dict[str, _Kind]] = {
    "anthropic_redacted": "anthropic_redacted",
    "openai_encrypted": "openai_encrypted",
    "gemini_signature": "gemini_signature",
    "pi_redacted": "pi_redacted",
    "anthropic-claude-v1": "anthropic_redacted",
    "openai-responses-v1": "openai_encrypted",
    "azure-openai-responses-v1": "openai_encrypted",
    "xai-responses-v1": "openai_encrypted",
    "google-gemini-v1": "gemini_signature",
}
"""What `reasoning.encrypted` of each `format` is: ours, then OpenRouter's."""
_SIGNED: Final[dict[str, _Kind]] = {
    "": "anthropic_signature",
    "unknown": "anthropic_signature",
    "anthropic_signature": "anthropic_signature",
    "anthropic-claude-v1": "anthropic_signature",
    "pi_signature": "pi_signature",
}
"""Whose `signature` stands beside the text of each `format`: Claude's, unless pi's own gateway passed it on."""
_OF_TEXT: Final = frozenset(_SIGNED.values())
"""Tokens that vouch for a text, which must travel with them."""


def replay_token(entries: list[dict[str, Any]], field: str) -> Opaque | None:
    """Return what lets an upstream's reasoning be given back to it: its `reasoning_details`, else the field's name.

    Plain reasoning has no token of its own. Its field's name, a JSON string in the place of the
    list, makes it one, so that every dialect carries it and only the model that made it gets it.
    """
    data: list[dict[str, Any]] | str = entries or field
    return Opaque(kind="reasoning_details", data=msgspec.json.encode(data).decode()) if data else None


def replay_fields(blocks: Sequence[ReasoningBlock]) -> dict[str, Any]:
    """Return the message fields that give an upstream the reasoning back whose tokens `replay_token` made."""
    tokens = [
        block.opaque.data for block in blocks if block.opaque and block.opaque.kind == "reasoning_details"
    ]
    entries = [entry for token in tokens for entry in _list_in(token)]
    if entries:
        return {"reasoning_details": entries}
    field = next((name for token in tokens if (name := _name_in(token)) in TEXT_FIELDS), "")
    text = "\n".join(block.text for block in blocks if block.text.strip())
    return {field: text} if field and text else {}


def _name_in(data: str) -> str:
    try:
        return msgspec.json.decode(data, type=str)
    except ValueError:
        return ""


def details_of(block: ReasoningBlock, *, origin: str, index: int) -> list[dict[str, Any]]:
    """Return the entries of `reasoning_details` that carry the block's token; empty when it has none.

    Ours are numbered from `index`, each with a number of its own: openai-python's stream helper joins
    entries of one number, strings end to end.
    """
    opaque = block.opaque
    if opaque is None:
        return []
    if opaque.kind == "reasoning_details":
        return _list_in(opaque.data)
    common = {"format": opaque.kind, "origin": opaque.origin or origin}
    if opaque.item_id is not None and opaque.kind not in _OF_TEXT:
        common["id"] = opaque.item_id
    entries: list[dict[str, Any]] = []
    if opaque.kind in _OF_TEXT:
        entries.append({"type": "reasoning.text", "text": block.text, "signature": opaque.data})
    else:
        if opaque.kind == "openai_encrypted" and block.text:
            entries.append({"type": "reasoning.summary", "summary": block.text})
        entries.append({"type": "reasoning.encrypted", "data": opaque.data})
    return [{**entry, **common, "index": number} for number, entry in enumerate(entries, index)]


def _list_in(data: str) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(data, type=list[dict[str, Any]])
    except (ValueError, RecursionError):
        return []


def merge_detail(entries: list[dict[str, Any]], entry: dict[str, Any]) -> None:
    """Add a streamed entry: pieces of text or summary continue the entry before them (as pi does)."""
    field = {"reasoning.text": "text", "reasoning.summary": "summary"}.get(str(entry.get("type")))
    last = entries[-1] if entries else {}
    if field is None or last.get("type") != entry.get("type"):
        entries.append(dict(entry))
        return
    last[field] = f"{last.get(field) or ''}{entry.get(field) or ''}"
    for name, value in entry.items():
        if name != field and last.get(name) is None:
            last[name] = value


def read_reasoning(message: dict[str, Any], *, at: str) -> tuple[ReasoningBlock, ...]:
    """Return the reasoning in a caller's assistant message, from whichever field has it; `at` is its JSON path."""
    field, text = _spoken(message)
    entries = message.get("reasoning_details")
    if isinstance(entries, list) and entries and all(isinstance(each, dict) for each in entries):
        return _from_details(entries, field=field, text=text, at=f"{at}.reasoning_details")
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list) and blocks:
        return tuple(_from_thinking_blocks(blocks, at=f"{at}.thinking_blocks"))
    return (ReasoningBlock(text=text, field=field, at=f"{at}.{field}"),) if text else ()


def list_unread(message: Fields, paths: list[str]) -> None:
    """Add to `paths` what an assistant message says of reasoning that `read_reasoning` has no use for."""
    for name in ("reasoning_details", "thinking_blocks"):
        entries = message.values.get(name)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            at = f"{message.path(name)}[{index}]"
            if isinstance(entry, dict):
                Fields(entry, at).unread(_OF_ENTRY, paths)
            else:
                paths.append(at)


def _spoken(message: dict[str, Any]) -> tuple[str, str]:
    """Return name and value of the first plain text field that says something."""
    for name in TEXT_FIELDS:
        if text := _text(message, name):
            return name, text
    return "", ""


def _from_details(
    entries: list[dict[str, Any]], *, field: str, text: str, at: str
) -> tuple[ReasoningBlock, ...]:
    blocks: list[ReasoningBlock] = []
    summary = ""
    for entry in entries:
        if entry.get("type") == "reasoning.summary":
            summary += _text(entry, "summary")
            continue
        block = _from_detail(entry, summary, at=at)
        if block is None:
            whole = msgspec.json.encode(entries).decode()
            return (
                ReasoningBlock(
                    text=text, field=field, opaque=Opaque(kind="reasoning_details", data=whole), at=at
                ),
            )
        summary = "" if block.summary else summary
        blocks.append(block)
    if summary:
        blocks.append(ReasoningBlock(text=summary, summary=True, at=at))
    return _with_spoken_summary(blocks, text)


def _with_spoken_summary(blocks: Sequence[ReasoningBlock], text: str) -> tuple[ReasoningBlock, ...]:
    """Give the plain text to a first block that came without its summary."""
    if text and blocks and blocks[0].summary and not any(block.text for block in blocks):
        return (msgspec.structs.replace(blocks[0], text=text), *blocks[1:])
    return tuple(blocks)


def _from_detail(entry: dict[str, Any], summary: str, *, at: str) -> ReasoningBlock | None:
    """Return the block for one entry, or None when it is of a format that only its provider reads."""
    form = _text(entry, "format")
    if entry.get("type") == "reasoning.text":
        signature = _text(entry, "signature")
        signed = _SIGNED.get(form)
        if signature and signed is None:
            return None
        opaque = _opaque(signed, signature, entry) if signature and signed is not None else None
        return ReasoningBlock(text=_text(entry, "text"), opaque=opaque, at=at)
    kind = _ENCRYPTED.get(form)
    if entry.get("type") != "reasoning.encrypted" or kind is None:
        return None
    is_summary = kind == "openai_encrypted"
    opaque = _opaque(kind, _text(entry, "data"), entry)
    return ReasoningBlock(text=summary if is_summary else "", summary=is_summary, opaque=opaque, at=at)


def _opaque(kind: _Kind, data: str, entry: dict[str, Any]) -> Opaque:
    item_id = _text(entry, "id") if kind == "openai_encrypted" else ""
    return Opaque(kind=kind, data=data, item_id=item_id or None, origin=_text(entry, "origin"))


def _from_thinking_blocks(blocks: list[Any], *, at: str) -> list[ReasoningBlock]:
    found: list[ReasoningBlock] = []
    for block in blocks:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "redacted_thinking":
            opaque = Opaque(kind="anthropic_redacted", data=_text(block, "data"))
            found.append(ReasoningBlock(opaque=opaque, at=at))
        else:
            signature = _text(block, "signature")
            found.append(
                ReasoningBlock(
                    text=_text(block, "thinking"),
                    opaque=Opaque(kind="anthropic_signature", data=signature) if signature else None,
                    at=at,
                )
            )
    return found


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""
