"""What every codec offers: a server half towards callers, a client half towards upstreams, a relay between equals.

All of it is pure: bytes and values in, bytes and values out. The gateway opens connections, keeps
time and decides; a codec only knows its format.

Two ways through, one shape (`Pipe`): *translation* joins a `StreamDecoder` of one dialect to a
`StreamEncoder` of another; a *relay* passes same-dialect traffic event by event, untouched but for
what must change. The gateway sees upstream bytes go in and caller bytes come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.errors import GatewayError, UpstreamError
from pi_model_proxy.hub import Event, Finish, Message, Request, Target, Usage

__all__ = [
    "AnswerContext",
    "ClientHalf",
    "ErrorAnswer",
    "Facts",
    "Outgoing",
    "Peek",
    "Pipe",
    "Relay",
    "ServerHalf",
    "StreamDecoder",
    "StreamEncoder",
]


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway must know of a body before it chooses a target."""

    model: str | None
    """None when the field is absent."""
    stream: bool
    wants_usage: bool = True
    """Chat: `stream_options.include_usage`."""
    members: dict[str, msgspec.Raw] | None = None
    """The body's members as JSON text, for whoever encodes the request; None where it had to be mended to be read."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A request ready for the wire, but for address and credential."""

    path: str
    """Appended to the target's base URL; begins with `/`, may hold a query."""
    body: bytes
    headers: Mapping[str, str] = {}
    """Headers the format itself asks for (`anthropic-version`, `anthropic-beta`), names in lower case."""
    dropped: tuple[str, ...] = ()
    """JSON paths, in the caller's request, of what the target cannot say."""
    stream: bool = True
    """Whether the upstream was asked to stream."""
    names: ToolNames = NO_NAMES
    """How tool names and ids were spelt for this upstream, so that the answer can be read back."""
    stop_here: tuple[str, ...] = ()
    """Stop sequences that this format cannot say: the answer's events go through a `stopping.StopFilter`."""


class AnswerContext(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer must carry whoever wrote it."""

    model: str
    """The model name the caller sees."""
    answer_id: str
    """A fresh random part for ids (`chatcmpl-...`, `msg_...`) when the upstream's own does not fit."""
    created: int
    """Seconds since the epoch."""
    wants_usage: bool = True
    """Chat streams: whether the caller asked for the usage chunk."""
    shows_reasoning: bool = True
    """Whether the caller is shown the model's thinking (Messages: only when asked for)."""
    names: ToolNames = NO_NAMES
    """How the request spelt tool names (`Outgoing.names`), for a relay to restore them."""
    legacy_functions: bool = False
    """Chat: whether the caller speaks of `functions`, not of tools (`hub.Request.legacy_functions`)."""
    body: bytes = b""
    """The caller's own request: Responses repeats parts of it in every answer. Empty: their defaults."""
    stored: bool = False
    """Responses: whether the answer is kept, so that a later request can go on from it."""
    clock: Callable[[], float] | None = None
    """Tells the seconds since the epoch when the answer is complete (`completed_at`); None leaves that out."""
    ticks: Callable[[], float] | None = None
    """A monotonic clock in seconds, for formats that tell how long an answer took; None: not measured."""
    arrived_s: float = 0.0
    """When the request came, by `ticks`."""
    target: Target


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An error in the caller's dialect, before any byte of an answer has left."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    """`retry-after`, `x-should-retry`, `allow`; names in lower case."""


class Facts(msgspec.Struct, kw_only=True):
    """What a pipe has learnt so far; the gateway and the recorder read it."""

    began: bool = False
    """The first real event is through: from here on an error can only be told inside the stream."""
    done: bool = False
    """The terminal event is through: stop reading, do not wait for the end of the connection."""
    failure: UpstreamError | None = None
    """Why the answer broke off."""
    finish: Finish | None = None
    usage: Usage | None = None
    """None until the upstream said something about it."""
    upstream_model: str = ""
    upstream_id: str = ""


class Pipe(Protocol):
    """Upstream bytes in, caller bytes out; one object a stream."""

    facts: Facts

    def feed(self, chunk: bytes) -> bytes:
        """Return what `chunk` lets us say; `b""` when nothing. Never raises on bad bytes: sets `facts.failure`.

        When `facts.failure` is set by this call, the bytes returned are what is still good *before*
        it; the error itself has not been written: the gateway either answers with a status or calls `fail`.
        """
        ...

    def close(self) -> bytes:
        """The upstream ended: return the last bytes, or set `facts.failure` when it stopped half-way."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """Return the dialect's error frame for an answer that has begun, open parts closed as the dialect asks."""
        ...

    def ping(self) -> bytes:
        """Return a sign of life that every SDK of the dialect skips."""
        ...


class StreamEncoder(Protocol):
    """Hub events to a caller's stream; one object a stream."""

    def feed(self, event: Event) -> bytes:
        """Return the frames for `event`; `Failure` gives the dialect's error frame."""
        ...

    def ping(self) -> bytes: ...


class StreamDecoder(Protocol):
    """An upstream's stream to hub events; one object a stream.

    Bytes may be split anywhere. Failures are events (`Failure`), never exceptions. Bounded: a line
    past `wire.sse.MAX_LINE_BYTES` is a `Failure`.
    """

    done: bool
    """The upstream's own terminal event has been seen."""

    def feed(self, chunk: bytes) -> list[Event]: ...

    def close(self) -> list[Event]:
        """End of the connection: `Finish` if all that was missing is the terminator's formality, else `Failure`."""
        ...


class ServerHalf(Protocol):
    """Speaks a format to callers. Pure."""

    dialect: str

    def peek(self, body: bytes) -> Peek:
        """Return what routing needs.

        Raises:
            BadRequest: not JSON, not an object, `model` or `stream` of the wrong type; names the JSON path.
        """
        ...

    def decode_request(self, body: bytes) -> Request:
        """Return the whole request.

        Raises:
            BadRequest: names the JSON path. Lenient: unknown fields are kept or listed, never refused.
        """
        ...

    def shows_reasoning(self, request: Request) -> bool:
        """Tell whether this caller is to see the model's thinking."""
        ...

    def stream_encoder(self, context: AnswerContext) -> StreamEncoder: ...

    def encode_message(self, message: Message, context: AnswerContext) -> bytes: ...

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorAnswer: ...


class ClientHalf(Protocol):
    """Speaks a format to an upstream. Pure."""

    kind: str
    """pi's API kind."""
    dialect: str

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        """Return the request for `target`, always asking for a stream and for usage.

        Raises:
            UnsupportedFeature: the target cannot say something without which the answer would not
                be what was asked (or, with `target.strict`, anything).
        """
        ...

    def stream_decoder(self, target: Target, names: ToolNames) -> StreamDecoder: ...

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:
        """Return the events of a plain (not streamed) answer: some upstreams ignore `stream`."""
        ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Return what an error answer means; accepts any body (HTML, text, empty, foreign JSON)."""
        ...

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """Return a body that may be accepted where `body` met `error`, or None: one more try, before any byte."""
        ...


class Relay(Protocol):
    """The same dialect on both sides: bytes are kept, only what must change is changed. Pure."""

    dialect: str

    def suits(self, body: bytes, target: Target) -> bool:
        """Tell whether the request can be passed on; else it is translated, from this format to the same."""
        ...

    def encode_request(
        self, body: bytes, target: Target, headers: Mapping[str, str], peek: Peek | None = None
    ) -> Outgoing:
        """Return the caller's own body with model, quirks and transport fields seen to.

        `headers` are the caller's (lower case); the format's own ones (`anthropic-beta`) are passed on.
        `Outgoing.stream` says what the caller asked for. `peek` is what the server half read from this
        very body, so that it need not be read again.

        Raises:
            BadRequest: names the JSON path.
        """
        ...

    def stream_pipe(self, context: AnswerContext) -> Pipe: ...

    def message(self, body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
        """Return a plain answer with the model name replaced, and what it says; `failure` set when it is none."""
        ...
