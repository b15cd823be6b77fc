"""A caller's own body on its way to an upstream of the same format: kept, but for what must change.

Sources: dialects.md §1.2 (last row), §7 (pass-through caution), §10 vectors 21, 22, 43, 44;
pi.md §5.2 (subscription logins).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.headers import (
    COUNT_PATH,
    MESSAGES_PATH,
    joined,
    relayed_headers,
    session_header,
)
from pi_model_proxy.dialects.anthropic_messages.quirks import quirks_of
from pi_model_proxy.dialects.anthropic_messages.relay_blocks import BlockSurgeon
from pi_model_proxy.dialects.anthropic_messages.relay_messages import settle_messages
from pi_model_proxy.dialects.anthropic_messages.relay_thinking import settle_sampling, settle_thinking
from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.anthropic_messages.user_id import session_of_user
from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.losses import STEERING_FIELDS, Losses
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.reading import raw_members
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.errors import BadRequest, ThreadNotFound
from pi_model_proxy.hub import Request, Target, Tool
from pi_model_proxy.wire import compact_json, edit_object, join_array, raw_array

__all__ = ["encode_count", "encode_request"]

MAX_NAME_LENGTH: Final = 128
BETA_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "context_management": ("context-management", "compact"),
    "compaction": ("compact",),
    "fallbacks": ("server-side-fallback",),
    "fallback_credit_token": ("server-side-fallback",),
    "billing_policy": ("server-side-fallback",),
    "speed": ("fast-mode",),
    "thread": ("message-threads",),
}
"""Body fields that exist only under a beta: where the beta is taken out, so are they."""
UNCOUNTED_FIELDS: Final = frozenset({
    "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k", "metadata", "service_tier",
    "container", "inference_geo", "fallbacks", "diagnostics",
})  # fmt: skip
"""What `count_tokens` refuses and some clients send all the same."""


def encode_request(
    body: bytes,
    target: Target,
    headers: Mapping[str, str],
    read: Mapping[str, msgspec.Raw] | None = None,
) -> Outgoing:
    """Return the caller's body for `target`; `read` are its members, where they are known already.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something must go, and the caller asked for strictness or cannot do without it.
    """
    members = raw_members(body) if read is None else {name: bytes(raw) for name, raw in read.items()}
    return _encoded(members, target, headers, counts=False)


def encode_count(body: bytes, target: Target, headers: Mapping[str, str]) -> Outgoing:
    """Return the caller's body for the target's `count_tokens`.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: as `encode_request`.
    """
    return _encoded(raw_members(body), target, headers, counts=True)


def _encoded(
    members: dict[str, bytes], target: Target, headers: Mapping[str, str], *, counts: bool
) -> Outgoing:
    streams = members.get("stream") == b"true"
    try:
        relayed = _RelayedRequest(members, target)
        relayed.settle(joined(headers.get("anthropic-beta", "")))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRequest(f"The request is not what the Messages format allows ({error}).") from error
    own_headers, stripped = relayed_headers(headers, by_vendor=target.hosted_by_vendor)
    if stripped:
        relayed.losses.path("anthropic-beta")
    if counts:
        members = {name: value for name, value in members.items() if name not in UNCOUNTED_FIELDS}
    return Outgoing(
        path=COUNT_PATH if counts else MESSAGES_PATH,
        body=edit_object(members, put={}),
        headers={**own_headers, **session_header(relayed.quirks, _session(members))},
        dropped=relayed.losses.paths,
        stream=streams and not counts,
        names=relayed.names,
    )


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Named(msgspec.Struct):
    name: str | None = None
    type: str | None = None


class _Text(msgspec.Struct):
    text: str | None = None


_named_decoder = msgspec.json.Decoder(_Named)
_metadata_decoder = msgspec.json.Decoder(_Metadata | None)
_text_decoder = msgspec.json.Decoder(_Text)


class _RelayedRequest:
    """Edits `members` in place."""

    def __init__(self, members: dict[str, bytes], target: Target) -> None:
        self._members = members
        self._target = target
        self.quirks = quirks_of(target.compat)
        self.losses = Losses(Request(dialect=DIALECT, model=None), target)
        self._tools = raw_array(members["tools"]) if members.get("tools", b"null") != b"null" else []
        self.names = self._tool_names()

    def _tool_names(self) -> ToolNames:
        casing = self._target.identity.tool_names
        known = {name.lower() for name in casing}
        named = [_named_decoder.decode(tool) for tool in self._tools] if casing else []
        tools = [Tool(name=tool.name) for tool in named if tool.name and tool.name.lower() in known]
        return ToolNames(tools, max_length=MAX_NAME_LENGTH, casing=casing)

    def settle(self, betas: list[str]) -> None:
        """Make every change.

        Args:
            betas: Those the caller asked for.
        """
        members, target, quirks = self._members, self._target, self.quirks
        self._take_out()
        if not target.hosted_by_vendor:
            self._take_out_vendor_fields(betas)
        members["model"] = compact_json(target.model)
        surgeon = BlockSurgeon(target, quirks, self.names, self.losses)
        if "messages" in members:
            members["messages"] = settle_messages(members["messages"], surgeon, quirks, self.losses)
        self._settle_tools(surgeon)
        self._settle_system(surgeon)
        thinks = settle_thinking(members, target, quirks, self.losses)
        settle_sampling(members, quirks, self.losses, thinks=thinks)

    def _take_out(self) -> None:
        for name in [
            name for name in self._members if name in STEERING_FIELDS | self._target.identity.omitted_fields
        ]:
            self.losses.path(name)
            del self._members[name]

    def _take_out_vendor_fields(self, betas: list[str]) -> None:
        """Take out what exists only under betas that this upstream does not know; it would refuse them."""
        for name, needed in BETA_FIELDS.items():
            raw = self._members.get(name)
            if raw is None or (name == "fallbacks" and self.quirks.fallback_models):
                continue
            if name == "thread" and b'"continue"' in raw:
                raise ThreadNotFound(
                    "thread: the earlier part of this conversation is kept by Anthropic; send all of it, without `thread`.",
                    param="thread",
                )
            if any(beta.startswith(needed) for beta in betas) or name == "thread":
                self.losses.path(name, why="only Anthropic knows it")
                del self._members[name]

    def _settle_tools(self, surgeon: BlockSurgeon) -> None:
        members = self._members
        if not self._target.identity.tool_names and not surgeon.is_needed(members.get("tools", b"")):
            return
        if self._tools:
            members["tools"] = join_array(surgeon.tool(tool) for tool in self._tools)
        if members.get("tool_choice", b"null") != b"null":
            members["tool_choice"] = surgeon.choice(members["tool_choice"])

    def _settle_system(self, surgeon: BlockSurgeon) -> None:
        members, introduction = self._members, self._target.identity.system_text
        system = members.get("system", b"null")
        is_list = system.startswith(b"[")
        if is_list and surgeon.is_needed(system):
            system = join_array(surgeon.blocks(raw_array(system), "system", []))
            members["system"] = system
        if introduction is None:
            return
        blocks = raw_array(system) if is_list else _as_blocks(system)
        if not blocks or _text_decoder.decode(blocks[0]).text != introduction:
            blocks.insert(0, compact_json({"type": "text", "text": introduction}))
        members["system"] = join_array(blocks)


def _session(members: Mapping[str, bytes]) -> str:
    """Return the conversation's name as a header can carry it; empty when the caller names none."""
    try:
        metadata = _metadata_decoder.decode(members.get("metadata", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""  # the upstream says what is wrong with it
    session = session_of_user(metadata.user_id) if metadata is not None else None
    return session_of(Request(dialect=DIALECT, model=None, session=session))


def _as_blocks(system: bytes) -> list[bytes]:
    """Return a system prompt that is a string (or absent) as blocks."""
    if system in {b"null", b'""'}:
        return []
    return [b'{"type":"text","text":' + system + b"}"]
