"""An upstream's stream on its way to a caller of the same format, event by event.

Framing is ours; the JSON inside stays as it is but for the model's name in the events that carry
the whole response, and for item ids that change from event to event (GitHub Copilot's do), which
SDKs take for another item. The first events are held until the answer begins: OpenAI sends
`response.created` at once and tells of an overload right after it, when it can still be a status.

A server that does not number its events (llama.cpp b11434 numbers neither events nor items) is read
and written anew: callers could not tell its items apart.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.openai_responses.decoder import FAMILY
from pi_model_proxy.dialects.openai_responses.payloads import Response, read
from pi_model_proxy.dialects.openai_responses.relay_ids import ItemIds, RelayedEvent
from pi_model_proxy.dialects.openai_responses.relay_response import Renamer, finish_of, item_types
from pi_model_proxy.dialects.openai_responses.rewriting import Rewriting
from pi_model_proxy.dialects.openai_responses.server_errors import failed_error
from pi_model_proxy.dialects.openai_responses.server_stream import PING_FRAME, ResponsesStreamEncoder
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, GatewayError, UpstreamError
from pi_model_proxy.wire import (
    Frame,
    FrameDecoder,
    ascii_json,
    edit_object,
    encode_frame,
    escape_separators,
    join_array,
    raw_object,
)

__all__ = ["ResponsesPipe"]

MAX_HELD_FRAMES: Final = 16
"""Events before the first item that are held back."""
MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Items kept for an answer that may still break off; past it, it is told without them."""
_CUT_SHORT: Final = "The provider closed the connection before its answer was complete; try again."
_BEGINNINGS: Final = frozenset({"response.created", "response.in_progress", "response.queued"})
_ENDS: Final = {
    "response.completed": "completed",
    "response.done": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
"""`response.done` is the ChatGPT backend's other word for `response.completed`."""
_FAILED: Final = frozenset({"failed", "cancelled"})
_NOISE: Final = ("codex.",)
"""Events of the ChatGPT backend about itself (vector 87)."""
_DONE: Final = b"[DONE]"


class _Delta(msgspec.Struct):
    """A delta, checked to be JSON and otherwise hardly looked into."""

    type: str
    item_id: str
    output_index: int
    sequence_number: int


_delta_decoder: Final = msgspec.json.Decoder(_Delta)
_event_decoder: Final = msgspec.json.Decoder(RelayedEvent)


class ResponsesPipe:
    """Implements `Pipe` for one answer."""

    def __init__(self, context: AnswerContext) -> None:
        self.facts = Facts()
        self._context = context
        self._frames = FrameDecoder()
        self._renamer = Renamer(context)
        self._ids = ItemIds(f"{context.target.provider}/{context.target.model}")
        self._rewriting: Rewriting | None = None
        """Reads and writes a stream that is not numbered."""
        self._first = True
        self._held: list[bytes] = []
        self._response_id = ""
        self._last = b""
        """The newest event that holds the whole response, as the caller is to see it."""
        self._done_items: list[bytes] = []
        self._kept_bytes = 0
        self._types: list[str] = []
        self._refused = False
        self._number = -1
        """Of the last event."""

    def feed(self, chunk: bytes) -> bytes:
        """See `Pipe.feed`."""
        if self._is_over:
            return b""
        out: list[bytes] = []
        try:
            self._relay(self._frames.feed(chunk), out)
        except UpstreamError as error:
            self.facts.failure = error
        except (ValueError, RecursionError) as error:
            self.facts.failure = BrokenStream(f"The provider sent an event that cannot be read ({error}).")
        return b"".join(out)

    def close(self) -> bytes:
        """See `Pipe.close`."""
        if self._is_over:
            return b""
        out: list[bytes] = []
        try:
            self._relay(self._frames.close(), out)
            if self._rewriting is not None and not self._is_over:
                out.append(self._rewriting.close(self.facts))
            elif not self._is_over:
                raise BrokenStream(_CUT_SHORT)
        except UpstreamError as error:
            self.facts.failure = error
        except (ValueError, RecursionError) as error:
            self.facts.failure = BrokenStream(f"The provider sent an event that cannot be read ({error}).")
        return b"".join(out)

    def ping(self) -> bytes:
        """See `Pipe.ping`."""
        return PING_FRAME

    def fail(self, error: GatewayError) -> bytes:
        """See `Pipe.fail`: the response as far as it came, as one that failed."""
        if self._rewriting is not None:
            return self._rewriting.encoder.fail(error)
        if not self._last:
            return ResponsesStreamEncoder(self._context).fail(error)
        put = {
            "status": b'"failed"',
            "error": failed_error(error),
            "incomplete_details": b"null",
            "completed_at": b"null",
            "output": join_array(self._done_items),
        }
        response = edit_object(raw_object(raw_object(self._last)["response"]), put=put)
        members = b'{"type":"response.failed","response":%b,"sequence_number":%d}' % (
            response,
            self._number + 1,
        )
        held, self._held = self._held, []
        return b"".join((*held, encode_frame(members, event=b"response.failed")))

    @property
    def _is_over(self) -> bool:
        return self.facts.done or self.facts.failure is not None

    def _relay(self, frames: list[Frame], out: list[bytes]) -> None:
        """Pass events on.

        Raises:
            UpstreamError: the answer broke off.
        """
        for frame in frames:
            if self._is_over:
                return
            if self._rewriting is not None:
                out.append(self._rewriting.feed(frame, self.facts))
            elif not (self.facts.began and frame.event.endswith(".delta") and self._delta(frame, out)):
                self._event(frame, out)

    def _delta(self, frame: Frame, out: list[bytes]) -> bool:
        """Pass on by far the most events; False when there is more to do about one."""
        delta = _read_delta(frame.data)
        if delta is None:
            return False
        if delta.type != frame.event or self._ids.known.get(delta.output_index) != delta.item_id:
            return False
        self._number = delta.sequence_number
        self._refused = self._refused or frame.event == "response.refusal.delta"
        out.append(encode_frame(escape_separators(frame.data), event=frame.event.encode()))
        return True

    def _event(self, frame: Frame, out: list[bytes]) -> None:
        data = frame.data
        if data.strip() in {b"", _DONE}:
            return
        event, data = _read_event(frame)
        name = event.type or frame.event
        if name in {"error", ""}:
            payload = read(data, object)
            if name or (isinstance(payload, dict) and payload.get("error")):
                raise error_from_payload(payload, family=FAMILY)
            return
        if name.startswith(_NOISE):
            return
        if name == "keepalive":
            out += [PING_FRAME] if self.facts.began else []
            return
        if self._first and event.sequence_number is None:
            self._rewriting = Rewriting(self._context)
            out.append(self._rewriting.feed(frame, self.facts))
            return
        self._first = False
        if event.sequence_number is not None:
            self._number = event.sequence_number
        if name in _BEGINNINGS:
            self._beginning(name, event, data, out)
        elif name in _ENDS:
            self._end(name, event, data, out)
        else:
            self._begin(out)
            out.append(_framed(name, self._item_event(name, event, data)))

    def _begin(self, out: list[bytes]) -> None:
        self.facts.began = True
        out += self._held
        self._held = []

    def _item_event(self, name: str, event: RelayedEvent, data: bytes) -> bytes:
        """Return an event about an item as the caller is to see it, and remember what it says."""
        item = bytes(event.item)
        if name == "response.output_item.added":
            self._ids.learn(event.output_index, item)
            self._types += item_types([event.item]) if item else []
            return data
        if name == "response.output_item.done":
            item = self._ids.item(event.output_index, item)
            self._keep(item)
        self._refused = self._refused or name == "response.refusal.delta"
        return self._ids.settled(event, data, item)

    def _keep(self, item: bytes) -> None:
        """Remember a complete item, should the rest of the answer not come."""
        self._kept_bytes += len(item)
        if item and self._kept_bytes <= MAX_KEPT_BYTES:
            self._done_items.append(item)

    # The response as a whole.

    def _beginning(self, name: str, event: RelayedEvent, data: bytes, out: list[bytes]) -> None:
        response = _response(name, event)
        facts = self.facts
        facts.upstream_id = facts.upstream_id or response.id or ""
        facts.upstream_model = facts.upstream_model or response.model or ""
        self._response_id = self._response_id or response.id or ""
        edited = self._edited(event, data, response, name)
        if facts.began:
            out.append(_framed(name, edited))
        elif len(self._held) < MAX_HELD_FRAMES:
            self._held.append(_framed(name, edited))

    def _edited(self, event: RelayedEvent, data: bytes, response: Response, name: str) -> bytes:
        """Return an event that holds the response, as the caller is to see it."""
        lacks_items = not response.output and bool(self._done_items)
        same = response.id == self._response_id and name == event.type and not lacks_items
        if same and not self._ids.changed:
            in_place = self._renamer.in_place(data, bytes(event.response), response.model or "")
            if in_place is not None:
                self._last = in_place
                return in_place
        put = {"id": ascii_json(self._response_id)} if self._response_id else {}
        if lacks_items:
            put["output"] = join_array(
                self._done_items
            )  # the ChatGPT backend says it all in `done` events only
        elif self._ids.changed and response.output is not None:
            put["output"] = self._ids.output(response.output)
        edited = self._renamer.edited(bytes(event.response), put)
        self._last = edit_object(raw_object(data), put={"type": ascii_json(name), "response": edited})
        return self._last

    def _end(self, name: str, event: RelayedEvent, data: bytes, out: list[bytes]) -> None:
        response = _response(name, event)
        facts = self.facts
        facts.upstream_id = facts.upstream_id or response.id or ""
        facts.upstream_model = facts.upstream_model or response.model or ""
        facts.usage = response.counts or facts.usage
        self._response_id = self._response_id or response.id or ""
        word = response.status or _ENDS[name]
        error = read(response.error, object)
        if word in _FAILED or _ENDS[name] in _FAILED or (error and not response.output):
            self._last = b'{"response":%b}' % self._renamer.edited(bytes(event.response))
            said = error or {
                "message": f"The provider's answer ended as `{word}` without saying why; try again."
            }
            raise error_from_payload(said, family=FAMILY)
        types = [*self._types, *item_types(response.output or ())]
        facts.finish = finish_of(response, word, types, refused=self._refused)
        cut = facts.finish.reason in {"length", "content_filter"}
        own = "response.incomplete" if cut else "response.completed"
        self._begin(out)
        out.append(_framed(own, self._edited(event, data, response, own)))
        facts.done = True


def _framed(name: str, data: bytes) -> bytes:
    return encode_frame(escape_separators(data), event=name.encode())


def _read_delta(data: bytes) -> _Delta | None:
    """Return a delta; one with half an emoji is one all the same, the other half may come next."""
    try:
        return _delta_decoder.decode(data)
    except (ValueError, RecursionError):
        mended = mend_body(data)
        return None if mended is data else read(mended, _Delta)


def _read_event(frame: Frame) -> tuple[RelayedEvent, bytes]:
    """Return an event and its JSON, mended where it must be; one of an odd form is read by its type alone.

    Raises:
        BrokenStream: no JSON object.
    """
    try:
        return _event_decoder.decode(frame.data), frame.data
    except (ValueError, RecursionError):
        data = mend_body(frame.data)  # a lone surrogate is valid JSON to most, but not to msgspec
    event = read(data, RelayedEvent)
    if event is not None:
        return event, data
    payload = read(data, dict[str, object])
    if payload is None:
        raise BrokenStream("The provider sent an event that is no JSON object; the answer was given up.")
    name = payload.get("type") or frame.event
    number = payload.get("sequence_number")
    known = isinstance(number, int) and not isinstance(number, bool)
    return RelayedEvent(
        type=name if isinstance(name, str) else "", sequence_number=int(str(number)) if known else None
    ), data


def _response(name: str, event: RelayedEvent) -> Response:
    response = read(event.response, Response)
    if response is None:
        raise BrokenStream(f"The provider's `{name}` holds no response; the answer was given up.")
    return response
