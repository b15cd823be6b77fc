"""One request past the socket: who it is, what is logged of it, how it is answered; implements `gateway.Caller`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from pi_model_proxy.gateway import IdSource
from pi_model_proxy.ledger import Entry, moment_text
from pi_model_proxy.server.admission import Admission
from pi_model_proxy.server.line import Line
from pi_model_proxy.wire import SharedHeaders

__all__ = ["CLIENT_LEFT", "Exchange"]

CLIENT_LEFT: Final = 499
"""What the log says when the caller left before an answer began (nginx's number)."""


class Exchange:
    """A request and the way back to its caller; adds what every answer carries."""

    __slots__ = ("admission", "arrived_s", "congested", "entry", "extra", "line", "request_id")

    def __init__(self, line: Line, admission: Admission, ids: IdSource) -> None:
        self.line = line
        self.admission = admission
        self.arrived_s = time.monotonic()
        self.request_id = admission.given_id or f"req_{ids.hex(12)}"
        self.congested = False
        """See `Caller.congested`; a caller that has caught up meanwhile is noticed by `drain`."""
        self.extra: dict[str, str] = {}
        """Further headers of whatever answer comes, set by whoever knows them."""
        self.entry = Entry(
            request_id=self.request_id,
            timestamp=moment_text(time.time()),
            method=line.head.method[:20],
            path=admission.path,
            client=admission.client or None,
        )

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """See `Caller.start`."""
        self.entry.status = status
        self.line.start(status, self._complete(headers), self.request_id)

    def write(self, data: bytes, *, last: bool = False) -> None:
        """See `Caller.write`."""
        line = self.line
        line.write(data, last=last)
        self.congested = line.congested

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """See `Caller.answer`."""
        self.entry.status = status
        self.line.answer(status, body, self._complete(headers), self.request_id)

    def _complete(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        admission = self.admission
        if self.extra or type(headers) is not SharedHeaders:
            return {**headers, **self.extra, **admission.cors}
        completed = admission.completed.get(id(headers))
        if completed is None or completed[0] is not headers:
            completed = admission.complete(headers)
        return completed[1]

    def abandon(self) -> None:
        """Break off an answer that has begun; see `Line.abandon`."""
        self.line.abandon()

    async def drain(self) -> None:
        """See `Caller.drain`."""
        await self.line.drain()
        self.congested = self.line.congested
