"""A caller's own request on its way to an upstream of this format: every byte kept that need not change.

What changes: the model's name, fields that would steer our transport, a level in the model's name,
reasoning that this upstream cannot read, and what its quirks or its login demand. `store` and
`previous_response_id` are between caller and upstream.

Sources: dialects.md §1.1 (CX), §3.2; pi 1.5.2 `dist/api/openai-responses.js` (`buildParams`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.losses import STEERING_FIELDS, Losses
from pi_model_proxy.dialects.openai_responses.quirks import Quirks, quirks_of
from pi_model_proxy.dialects.openai_responses.relay_input import relay_input, renamed_tools
from pi_model_proxy.dialects.openai_responses.state import refuse_state
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.openai_responses.variants import CODEX, OPENAI, session_headers, variant_of
from pi_model_proxy.dialects.reading import Fields, raw_members
from pi_model_proxy.dialects.reasoning import LEVELS, choose_level
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import ReasoningWish, Request, Target
from pi_model_proxy.wire import compact_json, edit_object, raw_array

__all__ = ["is_relayable", "relay_request"]

PASSED_HEADERS: Final = ("openai-beta",)
"""Headers of the format itself; organisation and project would steer whose account pays."""

_READ: Final = frozenset({
    "stream", "store", "reasoning", "include", "instructions", "previous_response_id", "prompt_cache_key",
})  # fmt: skip
_SOURCES: Final = frozenset({"input", "previous_response_id", "conversation", "prompt"})
_ENCRYPTED: Final = "reasoning.encrypted_content"
_OPENAI_ONLY: Final = frozenset({
    "custom", "namespace", "apply_patch", "shell", "local_shell", "tool_search",
    "custom_tool_call", "custom_tool_call_output", "apply_patch_call", "apply_patch_call_output", "shell_call",
    "shell_call_output", "local_shell_call", "local_shell_call_output", "additional_tools", "configuration_update",
    "tool_search_call", "tool_search_output",
})  # fmt: skip
"""Types of tools and items that only OpenAI's own models know, and that can be said in other words."""
_NEEDLES: Final = tuple(b'"%b"' % name.encode() for name in _OPENAI_ONLY)


class _Typed(msgspec.Struct):
    type: str | None = None


_typed_decoder: Final = msgspec.json.Decoder(_Typed)


def is_relayable(body: bytes, target: Target) -> bool:
    """Tell whether `target` reads all of the request itself.

    Codex and others send tools that only OpenAI's models know. Where they would be refused, the
    request goes through the hub, from this format to this, which says them in other words.
    """
    if target.hosted_by_vendor or variant_of(target) is not OPENAI:
        return True
    if quirks_of(target.compat).takes_custom_tools:
        return True
    if not any(needle in body for needle in _NEEDLES):
        return True
    try:
        members = raw_members(body)
        listed = [raw for name in ("tools", "input") if (raw := members.get(name, b"")).startswith(b"[")]
        return not any(
            _typed_decoder.decode(each).type in _OPENAI_ONLY for raw in listed for each in raw_array(raw)
        )
    except (BadRequest, ValueError, RecursionError):
        return True  # whoever decodes it says what is wrong


def relay_request(body: bytes, target: Target, headers: Mapping[str, str]) -> Outgoing:
    """Return the caller's own body, edited where it must be.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something had to be removed and the caller asked for strictness.
    """
    members = raw_members(body)
    if not _SOURCES & members.keys():
        raise BadRequest("input: must be a string or an array of items; it is missing.", param="input")
    # No hub request exists on this way; its empty stand-in lets losses be listed and refused as ever.
    losses = Losses(Request(dialect=DIALECT, model=None), target)
    editor = _Editor(members, target, losses)
    editor.edit()
    return Outgoing(
        path=editor.variant.path_for(target),
        body=edit_object(members, put=editor.put, remove=editor.remove),
        headers={
            **{name: headers[name] for name in PASSED_HEADERS if name in headers},
            **editor.session_headers(),
        },
        dropped=losses.paths,
        stream=editor.stream,
    )


def _read(name: str, raw: bytes) -> object:
    try:
        return msgspec.json.decode(mend_body(raw))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{name}: cannot be read ({error}).", param=name) from error


class _Editor:
    """Collects the edits of one request."""

    def __init__(self, members: dict[str, bytes], target: Target, losses: Losses) -> None:
        self.members = members
        self.target = target
        self.losses = losses
        self.quirks: Quirks = quirks_of(target.compat)
        self.variant = variant_of(target)
        self.put: dict[str, bytes] = {"model": compact_json(target.identity.deployment or target.model)}
        self.remove: set[str] = set()
        self.top = Fields({name: _read(name, raw) for name, raw in members.items() if name in _READ})
        """The members that are read here; input and tools stay text."""
        self._keeps_nothing = self.variant is CODEX
        """The backend only streams, and wants `store` to be false."""
        self.stream = self._keeps_nothing or self.top.flag("stream") or False
        self._stores = not self._keeps_nothing and self.top.flag("store") is not False
        self._omitted = self.variant.omitted_fields | target.identity.omitted_fields
        self._level: str | None = None

    def session_headers(self) -> dict[str, str]:
        """Return the headers by which the provider keeps a conversation at one machine."""
        session = session_of(
            Request(dialect=DIALECT, model=None, cache_key=self.top.text("prompt_cache_key"))
        )
        return session_headers(self.variant, self.quirks, session)

    def edit(self) -> None:
        for name in [name for name in self.members if name in STEERING_FIELDS]:
            self._drop(name)
        if "previous_response_id" in self._omitted and self.top.text("previous_response_id"):
            refuse_state(self.top)
        if not self.quirks.takes_max_output and "max_output_tokens" in self.members:
            self._drop("max_output_tokens")
        if self.quirks.cache_key_mode == "disabled" and "prompt_cache_key" in self.members:
            self._drop("prompt_cache_key")
        self._think()
        self._suit_backend()
        self._keep_thinking()
        said = relay_input(
            self.members.get("input", b"null"), self.target, self.quirks, self.losses, stores=self._stores
        )
        if said is not None:
            self.put["input"] = said
        if self.variant.takes_sampling_params:
            self._override()
        for name in sorted(self._omitted & (self.members.keys() | self.put.keys())):
            self.put.pop(name, None)
            if self.members.get(name, b"null") != b"null":
                self.losses.path(name)
            self.remove.add(name)

    def _override(self) -> None:
        """Put in what the model's owner wants to be said in every request."""
        target = self.target
        by_level = target.sampling_params_by_level.get(self._level or "off", {})
        for name, value in {**target.sampling_params, **by_level}.items():
            self._set(name, value)

    def _suit_backend(self) -> None:
        """Say what a variant of the format must be told."""
        for name, value in self.variant.constants.items():
            if self.members.get(name, b"null") == b"null":
                self._set(name, value)
        if self.variant.default_instructions and not self.top.text("instructions"):
            self._set("instructions", self.variant.default_instructions)
        if self._keeps_nothing:
            if self.top.flag("store"):
                self.losses.path("store")
            self._set("store", value=False)
            self._set("stream", value=True)
        tools = renamed_tools(self.members.get("tools", b""), self.variant.tool_aliases)
        if tools is not None:
            self.put["tools"] = tools

    def _drop(self, name: str) -> None:
        self.losses.path(name)
        self.remove.add(name)

    def _set(self, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        self.put[name] = compact_json(value)
        self.remove.discard(name)

    def _think(self) -> None:
        """Say a level from the model's name, or the caller's effort, in the provider's words."""
        reasoning = self.top.object("reasoning")
        effort = reasoning.text("effort") if reasoning is not None else None
        if self.target.level is None and effort is None:
            return
        choice = choose_level(_wish(effort), self.target)
        if choice is None:
            if self.target.level is not None:
                self.losses.path("model", why="the model does not think")
            return  # the provider may know the caller's word, or how to refuse it
        self._level = choice.level
        if choice.clamped:
            self.losses.path("model" if self.target.level is not None else "reasoning.effort")
        word = choice.word or ("none" if choice.level == "off" else choice.level)
        if word != effort:
            said = reasoning.values if reasoning is not None else {}
            self._set("reasoning", {**said, "effort": word})

    def _keep_thinking(self) -> None:
        """Ask for thinking in the form that can come back, where the provider keeps nothing: as pi does."""
        include = self.top.array("include")
        if not include and "include" in self.put:
            return  # one of the variant's constants
        if self._stores or not self.target.reasoning or self._level == "off" or _ENCRYPTED in include:
            return
        self._set("include", [*include, _ENCRYPTED])


def _wish(effort: str | None) -> ReasoningWish | None:
    if effort in {"none", "off"}:
        return ReasoningWish(mode="off")
    return ReasoningWish(mode="level", level=effort) if effort in LEVELS else None
