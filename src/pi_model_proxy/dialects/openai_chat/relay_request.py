"""A caller's own chat request on its way to a chat upstream: every byte kept that need not change.

What changes: the model's name, fields that would steer our transport, `stream_options` (usage is
always asked for), a level in the model's name, and what a quirk of the provider demands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.losses import STEERING_FIELDS, Losses
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.quirks import Quirks, quirks_of
from pi_model_proxy.dialects.openai_chat.relay_messages import relay_messages, relay_tools
from pi_model_proxy.dialects.openai_chat.request_out import (
    PATH,
    affinity_headers,
    routing_fields,
    sampling_overrides,
)
from pi_model_proxy.dialects.openai_chat.thinking import VENDOR_FIELDS, is_unsaid, thinking_fields
from pi_model_proxy.dialects.reading import Fields, too_deep
from pi_model_proxy.dialects.reasoning import LEVELS, LevelChoice, choose_level
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import ReasoningWish, Request, Target
from pi_model_proxy.wire import compact_json, edit_object, raw_object

__all__ = ["is_understood", "passed_headers", "places_marks", "relay_request"]

PASSED_HEADER: Final = "openai-beta"
"""The one of the format itself; organisation and project would steer whose account pays."""
_NO_HEADERS: Final[Mapping[str, str]] = {}

_Json = dict[str, Any]


def relay_request(
    body: bytes,
    target: Target,
    headers: Mapping[str, str],
    read: Mapping[str, msgspec.Raw] | None = None,
) -> Outgoing:
    """Return the caller's own body, edited where it must be; `read` are its members, where they are known already.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something had to be removed and the caller asked for strictness.
    """
    members = _members(body) if read is None else {name: bytes(raw) for name, raw in read.items()}
    if "messages" not in members:
        raise BadRequest("messages: must be an array with at least one message.", param="messages")
    # No hub request exists on this way; its empty stand-in lets losses be listed and refused as ever.
    losses = Losses(Request(dialect=DIALECT, model=None), target)
    editor = _Editor(members, target, losses)
    editor.edit()
    session = editor.top.text("prompt_cache_key")
    return Outgoing(
        path=PATH,
        body=edit_object(members, put=editor.put, remove=editor.remove),
        headers={**passed_headers(headers), **affinity_headers(editor.quirks, session)},
        dropped=losses.paths,
        stream=editor.stream,
    )


def passed_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the caller's headers that belong to the format itself."""
    return {PASSED_HEADER: headers[PASSED_HEADER]} if PASSED_HEADER in headers else _NO_HEADERS


def places_marks(target: Target, quirks: Quirks) -> bool:
    """Tell whether prompt-cache marks are placed for callers that have placed none."""
    return quirks.cache_control_format == "anthropic" and target.auto_cache


def _members(body: bytes) -> dict[str, bytes]:
    try:
        members = raw_object(body)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:  # msgspec's DecodeError, and text that is no UTF-8
        mended = mend_body(body)
        if mended is body:
            raise BadRequest(f"The body is not a JSON object: {error}.") from error
        return _members(mended)
    return members


def _read(name: str, raw: bytes) -> object:
    try:
        return msgspec.json.decode(mend_body(raw))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # a number of 5,000 digits, say
        raise BadRequest(f"{name}: cannot be read ({error}).", param=name) from error


class _Editor:
    """Collects the edits of one request."""

    def __init__(self, members: dict[str, bytes], target: Target, losses: Losses) -> None:
        self.members = members
        self.target = target
        self.losses = losses
        self.quirks = quirks_of(target.compat)
        self.put: dict[str, bytes] = {"model": compact_json(target.identity.deployment or target.model)}
        self.remove: set[str] = set()
        small = {name: _read(name, raw) for name, raw in members.items() if name in _READ}
        self.top = Fields(small)
        """The members that are read here; messages and tools stay text."""
        self.stream = self.top.flag("stream") or False

    def edit(self) -> None:
        for name in self.members:
            if name in STEERING_FIELDS:
                self._drop(name)
        self._usage()
        self._limit()
        self._think()
        marks = places_marks(self.target, self.quirks) and not any(
            b'"cache_control"' in self.members.get(name, b"") for name in ("messages", "tools")
        )
        messages = relay_messages(
            self.members["messages"], self.target, self.quirks, self.losses, marks=marks
        )
        if messages is not None:
            self.put["messages"] = messages
        tools = relay_tools(self.members.get("tools"), marks=marks)
        if tools is not None:
            self.put["tools"] = tools
        if tools is not None or self.members.get("tools", b"null") != b"null":
            self._default("tool_stream", True if self.quirks.zai_tool_stream else None)
        for name, value in routing_fields(self.quirks).items():
            self._default(name, value)
        level = self._choice.level if self._choice else None
        for name, value in sampling_overrides(self.target, level).items():
            self._set(name, value)
        for name in sorted(self.target.identity.omitted_fields & (self.members.keys() | self.put.keys())):
            self.put.pop(name, None)
            if name in self.members:
                self._drop(name)

    def _drop(self, name: str) -> None:
        self.losses.path(name)
        self.remove.add(name)

    def _set(self, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        self.put[name] = compact_json(value)
        self.remove.discard(name)

    def _default(self, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Set a field that the caller has not set."""
        if value is not None and name not in self.members:
            self._set(name, value)

    def _usage(self) -> None:
        """Always ask for usage: the log needs it; the pipe hides what the caller did not ask for."""
        if not self.quirks.supports_usage_in_streaming:
            if "stream_options" in self.members:
                self._drop("stream_options")
            return
        if not self.stream:
            return
        options = self.top.object("stream_options")
        if options is None:
            self._set("stream_options", {"include_usage": True})
        elif options.flag("include_usage") is not True:
            self._set("stream_options", {**options.values, "include_usage": True})

    def _limit(self) -> None:
        """Rename the output limit to the one name the provider knows."""
        known = self.quirks.max_tokens_field
        other = "max_tokens" if known == "max_completion_tokens" else "max_completion_tokens"
        if self.top.values.get(other) is None:
            return
        # Only OpenAI's reasoning models refuse the old name; everybody else knows it, and some only that.
        if known == "max_completion_tokens" and not (self.target.hosted_by_vendor and self.target.reasoning):
            return
        if self.top.values.get(known) is None:
            self.put[known] = self.members[other]
        self.remove.add(other)

    def _think(self) -> None:
        """Say a level from the model's name, or the caller's `reasoning_effort`, in the provider's words."""
        self._choice: LevelChoice | None = None
        effort = self.top.values.get("reasoning_effort")
        vendor = VENDOR_FIELDS & self.members.keys()
        if self.target.level is not None:
            self._choice = choose_level(None, self.target)
            if self._choice is None:
                self.losses.path("model", why="the model does not think")
                return
            self.remove |= (vendor - _TEMPLATES) | {"reasoning_effort"}
        elif isinstance(effort, str) and not vendor:
            self._choice = choose_level(_wish(effort), self.target)
            if self._choice is None or _is_said(effort, self._choice, self.quirks):
                return  # the provider may know the word, or how to refuse it
            self.remove.add("reasoning_effort")
        limit = self.top.number("max_completion_tokens") or self.top.number("max_tokens")
        fields = thinking_fields(
            self._choice, self.quirks, self.target, max_output=int(limit) if limit else None
        )
        if self._choice is None:
            fields = {name: value for name, value in fields.items() if name not in self.members}
        elif not fields and is_unsaid(self._choice, self.quirks):
            asked_at = "model" if self.target.level is not None else "reasoning_effort"
            self.losses.path(asked_at, why="the provider cannot be told an amount")
        for name, value in fields.items():
            own = self.top.values.get(name) if name in _TEMPLATES else None
            self._set(name, {**own, **value} if isinstance(own, dict) else value)


_TEMPLATES: Final = frozenset({"chat_template_kwargs", "chat_template_args"})
"""Objects that speak of more than thinking."""
_READ: Final = frozenset({
    "stream", "stream_options", "max_tokens", "max_completion_tokens", "reasoning_effort", "prompt_cache_key",
    "chat_template_kwargs", "chat_template_args",
})  # fmt: skip


def _wish(effort: str) -> ReasoningWish | None:
    if effort in {"none", "off"}:
        return ReasoningWish(mode="off")
    return ReasoningWish(mode="level", level=effort) if effort in LEVELS else None


def is_understood(effort: str, target: Target, quirks: Quirks) -> bool:
    """Tell whether the caller's own `reasoning_effort` is already what the provider is to hear, or a word nobody knows."""
    choice = choose_level(_wish(effort), target)
    return choice is None or _is_said(effort, choice, quirks)


def _is_said(effort: str, choice: LevelChoice, quirks: Quirks) -> bool:
    if quirks.thinking_format != "openai" or not quirks.supports_reasoning_effort:
        return False
    if choice.level == "off":
        return choice.word in {None, effort}
    return effort == (choice.word or choice.level)
