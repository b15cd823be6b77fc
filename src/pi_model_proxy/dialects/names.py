"""Tool names and call ids as an upstream accepts them, and the way back.

Each request has its own `ToolNames`: the client half builds it while it encodes, `Outgoing`
carries it, and the decoder of the same exchange reads the answer with it. So two streams never
see each other's names.

Source: every vendor's function-calling reference: names are `^[a-zA-Z0-9_-]{1,64}$` at OpenAI and
Bedrock (Anthropic allows 128), call ids `^[a-zA-Z0-9_-]+$` at Anthropic and at most 40 characters
in OpenAI's chat completions, 64 in its responses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.hub import Tool, ToolCallBlock

__all__ = [
    "NO_NAMES",
    "CallIds",
    "ToolNames",
    "ToolOrigin",
    "distinct_tools",
    "legal_id",
    "unwrap_input",
    "wrap_input",
    "wrapped_schema",
]

MAX_NAME_LENGTH: Final = 64
MAX_ID_LENGTH: Final = 64
_HASH_LENGTH: Final = 8
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_-]")
_NAMESPACE_JOINT: Final = "__"
_INPUT: Final = "input"


class ToolOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller calls a tool that the upstream knows by another name."""

    name: str
    namespace: str | None = None
    wrapped: bool = False
    """True for a custom tool that went out as a function with one string, `input`."""


class ToolNames:
    """A per-request bijection between the caller's tool names and those on the wire.

    Names that are legal already keep themselves; of several that become equal, the first keeps
    the short form and the others get a hash of their full name, so the result does not depend on
    anything but the request (prompt caches stay valid from turn to turn).
    """

    def __init__(
        self,
        tools: Iterable[Tool] = (),
        *,
        max_length: int = MAX_NAME_LENGTH,
        casing: Iterable[str] = (),
        wraps_custom: bool = True,
    ) -> None:
        """Assign a wire name to each of `tools`.

        Args:
            tools: The request's tools; `server` tools are left out, their names are not ours to choose.
            max_length: Longest name the upstream accepts.
            casing: Names that, compared without case, are sent in exactly this spelling.
            wraps_custom: Whether custom tools go out as functions with one string property.
        """
        self._max_length = max_length
        self._casing = {name.lower(): name for name in casing}
        self._wire: dict[tuple[str | None, str], str] = {}
        self._origins: dict[str, ToolOrigin] = {}
        named = [tool for tool in tools if tool.kind != "server"]
        # A name that needs no change must not lose it to one that is merely shortened to the same.
        named.sort(key=lambda tool: self._spell(tool.namespace, tool.name) != tool.name)
        for tool in named:
            wrapped = wraps_custom and tool.kind == "custom"
            self._assign(ToolOrigin(name=tool.name, namespace=tool.namespace, wrapped=wrapped))

    def wire(self, name: str, namespace: str | None = None) -> str:
        """Return the name the upstream sees; a name not among the tools (old history) is made legal too."""
        known = self._wire.get((namespace, name))
        if known is None and namespace is None:
            known = next((wire for (_, each), wire in self._wire.items() if each == name), None)
        return known if known is not None else self._assign(ToolOrigin(name=name, namespace=namespace))

    def original(self, wire_name: str) -> str:
        """Return the caller's name of a tool the upstream called; an unknown name is returned as it is."""
        return self.origin(wire_name).name

    def origin(self, wire_name: str) -> ToolOrigin:
        """Return name, namespace and wrapping of a tool the upstream called."""
        return self._origins.get(wire_name) or ToolOrigin(name=wire_name)

    def call_stub(self, wire_name: str, *, call_id: str, item_id: str | None = None) -> ToolCallBlock:
        """Return the block that a call of `wire_name` begins, named as the caller names it."""
        origin = self.origin(wire_name)
        return ToolCallBlock(
            id=call_id, name=origin.name, namespace=origin.namespace, custom=origin.wrapped, item_id=item_id
        )

    def _assign(self, origin: ToolOrigin) -> str:
        key = (origin.namespace, origin.name)
        known = self._wire.get(key)
        if known is not None:
            return known
        plain = self._spell(*key)
        wire, attempt = plain, 0
        while wire in self._origins:
            attempt += 1
            wire = _with_hash(plain, f"{attempt}:{origin.namespace}:{origin.name}", self._max_length)
        self._wire[key] = wire
        self._origins[wire] = origin
        return wire

    def _spell(self, namespace: str | None, name: str) -> str:
        full = f"{namespace}{_NAMESPACE_JOINT}{name}" if namespace else name
        legal = _legal(full, self._max_length) or _with_hash("tool", full, self._max_length)
        return self._casing.get(legal.lower(), legal)


NO_NAMES: Final = ToolNames()
"""Nothing was renamed. Only for reading: a shared object must not learn one request's names."""


class CallIds:
    """The ids of one conversation's tool calls as an upstream accepts them: legal, short, distinct.

    Ask for calls and results in the order of the conversation. When two calls share an id, the
    second gets one of its own, and results answer the calls in turn.
    """

    def __init__(self, *, max_length: int = MAX_ID_LENGTH) -> None:
        self._max_length = max_length
        self._taken: set[str] = set()
        self._calls: dict[str, list[str]] = {}
        self._answered: dict[str, int] = {}

    def call(self, call_id: str) -> str:
        """Return the id for a call, which becomes one of those that `result` can answer."""
        wire = legal_id(call_id, max_length=self._max_length)
        attempt = 0
        while wire in self._taken:
            attempt += 1
            wire = _with_hash(_legal(call_id, self._max_length), f"{attempt}:{call_id}", self._max_length)
        self._taken.add(wire)
        self._calls.setdefault(call_id, []).append(wire)
        return wire

    def result(self, call_id: str) -> str:
        """Return the id for a result: that of the oldest call of this id without one, else of the last."""
        calls = self._calls.get(call_id)
        if calls is None:
            return legal_id(call_id, max_length=self._max_length)
        position = self._answered.get(call_id, 0)
        self._answered[call_id] = position + 1
        return calls[min(position, len(calls) - 1)]


def legal_id(call_id: str, *, max_length: int = MAX_ID_LENGTH) -> str:
    """Return `call_id` if it is of `[A-Za-z0-9_-]` and short enough, else one made from it with a hash."""
    legal = _ILLEGAL.sub("_", call_id)
    if legal == call_id and 0 < len(legal) <= max_length:
        return call_id
    return _with_hash(legal or "call", call_id, max_length)


def distinct_tools(tools: Iterable[Tool], losses: Losses) -> tuple[Tool, ...]:
    """Return the tools with each name once: of those that share one, the last counts (upstreams refuse repeats)."""
    by_name: dict[tuple[str | None, str, bool], Tool] = {}
    for tool in tools:
        key = (tool.namespace, tool.name, tool.kind == "server")
        if key in by_name:
            losses.path(by_name[key].at, why="a later tool has the same name")
        by_name[key] = tool
    return tuple(by_name.values())


def wrapped_schema() -> dict[str, Any]:
    """Return the arguments' schema of a custom tool sent as a function."""
    return {
        "type": "object",
        "properties": {_INPUT: {"type": "string", "description": "The tool's whole input, as plain text."}},
        "required": [_INPUT],
        "additionalProperties": False,
    }


def wrap_input(text: str) -> str:
    """Return a custom tool's input as the arguments (JSON text) of the function it went out as."""
    return msgspec.json.encode({_INPUT: text}).decode()


def unwrap_input(arguments: str) -> str:
    """Return a custom tool's input from a function call's arguments; text that is no such object is the input."""
    try:
        return _input_decoder.decode(arguments).input
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return arguments


class _Wrapped(msgspec.Struct):
    input: str


_input_decoder = msgspec.json.Decoder(_Wrapped)


def _legal(text: str, max_length: int) -> str:
    """Return `text` with illegal characters replaced and, when too long, cut with a hash at its end."""
    legal = _ILLEGAL.sub("_", text)
    return legal if len(legal) <= max_length else _with_hash(legal, text, max_length)


def _with_hash(text: str, full: str, max_length: int) -> str:
    digest = hashlib.sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    return f"{text[: max_length - _HASH_LENGTH - 1]}_{digest}"
