"""Stands before the caller of a response that goes on from another, or that is to be kept.

What names the response is made right, and the end of the answer waits until it is kept.
An answer is a stream of events or one object. Only events that hold the response as a whole are looked into; deltas
pass as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from pi_model_proxy.dialects.openai_responses import State, taken_apart
from pi_model_proxy.errors import StorageFailed
from pi_model_proxy.gateway.caller import Caller
from pi_model_proxy.gateway.headers import DROPPED_HEADER
from pi_model_proxy.gateway.memory_paths import InputPaths
from pi_model_proxy.wire import ascii_json, edit_object, encode_frame, escape_separators, raw_object

__all__ = ["Keep", "KeepingCaller"]

Keep = Callable[[bytes, list[bytes]], "asyncio.Future[None]"]
"""Keeps a Response object, without its output, and that output."""

_BEGINNINGS: Final = frozenset({b"response.created", b"response.in_progress", b"response.queued"})
_ENDS: Final = (b"event: response.completed\n", b"event: response.incomplete\n", b"event: response.failed\n")
_FAILED: Final = _ENDS[-1]
_GAP: Final = b"\n\n"


class KeepingCaller:
    """Implements `Caller` around another; `settled` is awaited after the answer."""

    def __init__(
        self, caller: Caller, state: State, response_id: str, keep: Keep | None, paths: InputPaths
    ) -> None:
        """`keep` is None for an answer that is not to be kept; it is told under the id its provider gave it."""
        self._caller = caller
        self._keep = keep
        self._paths = paths
        self._put: dict[str, bytes] = {"store": b"true" if keep is not None else b"false"}
        if keep is not None:
            self._put["id"] = ascii_json(response_id)
        if state.previous_response_id:
            self._put["previous_response_id"] = ascii_json(state.previous_response_id)
        if state.conversation_id:
            self._put["conversation"] = ascii_json({"id": state.conversation_id})
        self._is_beginning = True
        self._keeping: asyncio.Future[None] | None = None
        self._rest: Callable[[], None] | None = None
        """Tells the caller what waits until the answer is kept."""

    @property
    def congested(self) -> bool:
        """See `Caller.congested`."""
        return self._caller.congested

    @congested.setter
    def congested(self, value: bool) -> None:
        self._caller.congested = value

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """See `Caller.start`."""
        self._caller.start(status, self._own(headers))

    def write(self, data: bytes, *, last: bool = False) -> None:
        """See `Caller.write`; whole events, as encoders write them."""
        if self._rest is not None:
            return  # the answer's end is known; the empty piece that closes it comes with it
        if self._is_beginning and data:
            data = self._begun(data)
        at = _end_of(data)
        if at < 0:
            self._caller.write(data, last=last)
            return
        end = self._edited(data[at:])
        if at:
            self._caller.write(data[:at])
        self._hold(lambda: self._caller.write(end, last=True))

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """See `Caller.answer`."""
        edited = self._taken(body)
        told = self._own(headers)
        self._hold(lambda: self._caller.answer(status, edited, told))

    async def drain(self) -> None:
        """See `Caller.drain`."""
        await self._caller.drain()

    async def settled(self) -> None:
        """Return once the answer's end has been told."""
        if self._keeping is not None:
            await asyncio.wait((self._keeping,))
            self._release()

    def _own(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        dropped = headers.get(DROPPED_HEADER)
        return headers if dropped is None else {**headers, DROPPED_HEADER: self._paths.own(dropped)}

    # Keeping.

    def _hold(self, rest: Callable[[], None]) -> None:
        if self._keeping is None:
            rest()
            self._rest = _nothing
            return
        self._rest = rest
        self._keeping.add_done_callback(lambda _: self._release())

    def _release(self) -> None:
        rest, self._rest = self._rest, _nothing
        if rest is not None:
            rest()
        if self._keeping is not None and not self._keeping.cancelled():
            error = self._keeping.exception()
            # A store that fails has said so on the console; the answer is good all the same.
            if error is not None and not isinstance(error, StorageFailed):
                raise error

    def _taken(self, response: bytes) -> bytes:
        """Return the whole response as the caller is to see it; keep it."""
        edited, bare, output = taken_apart(response, self._put)
        if self._keep is not None:
            self._keeping = self._keep(bare, output)
        return escape_separators(edited)

    # Events.

    def _begun(self, data: bytes) -> bytes:
        """Return the first events, those that hold the response edited."""
        out: list[bytes] = []
        while data:
            frame, gap, rest = data.partition(_GAP)
            name = _name(frame)
            if name in _BEGINNINGS:
                out.append(self._edited(frame + gap))
            elif name:
                self._is_beginning = False
                out.append(data)
                break
            else:
                out.append(frame + gap)
            data = rest
        return b"".join(out)

    def _edited(self, frame: bytes) -> bytes:
        """Return an event whose response is edited; one that ends the answer is also kept."""
        name = _name(frame)
        members = raw_object(frame.partition(b"\ndata: ")[2])
        response = members["response"]
        if name in _BEGINNINGS or frame.startswith(_FAILED):
            told = edit_object(raw_object(response), put=self._put)
        else:
            told = self._taken(response)
        return encode_frame(escape_separators(edit_object(members, put={"response": told})), event=name)


def _nothing() -> None:
    """Nothing is left to be told."""


def _name(frame: bytes) -> bytes:
    return frame[7 : frame.find(b"\n")] if frame.startswith(b"event: ") else b""


def _end_of(data: bytes) -> int:
    """Return where the event begins that ends the answer; -1 when it is not in `data`.

    Inside of JSON a line never breaks, so only an event can begin like this.
    """
    for end in _ENDS:
        at = data.rfind(end)
        if at == 0 or (at > 0 and data[at - 1] == _GAP[0]):
            return at
    return -1
