from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pi_model_proxy.dialects.base import Facts
from pi_model_proxy.errors import BrokenStream, GatewayError, UpstreamError, UpstreamTimeout
from pi_model_proxy.gateway.stream import Pacing, Stream
from pi_model_proxy.hub import Finish


class Upstream:
    """Gives what it is told to; `...` stands for silence."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, *pieces: Any) -> None:
        self.pieces = list(pieces)
        self.aborted = 0
        self.released = 0
        self.delivery: asyncio.Task[Any] | None = None

    async def read(self) -> bytes:
        piece = self.pieces[0] if self.pieces else b""
        if piece is ...:
            await asyncio.Event().wait()
        if isinstance(piece, Exception):
            raise piece
        if self.pieces:
            self.pieces.pop(0)
        return bytes(piece)

    async def deliver(self, take: Callable[[bytes], bool]) -> bool:
        self.delivery = asyncio.current_task()
        while True:
            try:
                piece = await self.read()
            except asyncio.CancelledError:
                if self.aborted:
                    raise BrokenStream("aborted") from None
                raise
            if not piece:
                return True
            if not take(piece):
                return False

    def abort(self) -> None:
        self.aborted += 1
        if self.delivery is not None and self.delivery is not asyncio.current_task():
            self.delivery.cancel()  # what waits for the next piece learns of it

    def release(self) -> None:
        self.released += 1

    def whole(self) -> bytes | None:
        return None if self.pieces else b""

    def pause(self) -> None:
        raise AssertionError("a stream that is to wait is left, not paused")

    def resume(self) -> None:
        raise AssertionError("what was not paused cannot go on")


class Pipe:
    """Passes text on; `E` in it is an error of the upstream's, `.` its end."""

    def __init__(self) -> None:
        self.facts = Facts()

    def feed(self, chunk: bytes) -> bytes:
        good, _, broken = chunk.partition(b"E")
        if broken or b"E" in chunk:
            self.facts.failure = UpstreamError("no", status=529)
        self.facts.began = self.facts.began or bool(good)
        if good.endswith(b"."):
            self.facts.done, self.facts.finish = True, Finish(reason="stop")
        return good

    def close(self) -> bytes:
        self.facts.failure = BrokenStream("cut")
        return b""

    def fail(self, error: GatewayError) -> bytes:
        return b"<" + error.message.encode() + b">"

    def ping(self) -> bytes:
        return b"?"


class Diary:
    """A caller that writes down what it is sent."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.said = b""
        self.ended = False
        self.congested = False
        self.slow_s: float | None = None
        self.drained = 0

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status

    def write(self, data: bytes, *, last: bool = False) -> None:
        assert self.status is not None, "bytes before the status"
        assert not self.ended, "bytes after the end"
        self.said += data
        self.ended = last
        self.congested = self.slow_s is not None

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.start(status, headers)
        self.write(body, last=True)

    async def drain(self) -> None:
        await asyncio.sleep(self.slow_s or 0)
        self.drained += 1
        self.congested = False


def carry(
    upstream: Upstream, *, slow: bool = False, slow_s: float = 0.0, **pacing: Any
) -> tuple[Diary, GatewayError | None]:
    diary = Diary()
    diary.slow_s = slow_s if slow else None
    values: dict[str, Any] = {"silence_s": 0.05, "ping_s": 10.0} | pacing

    async def run() -> GatewayError | None:
        return await Stream(Pipe(), diary, {}, Pacing(**values), redact=lambda error: None).run(upstream)

    return diary, asyncio.run(run())


def test_a_whole_answer_is_passed_on_and_its_connection_kept() -> None:
    upstream = Upstream(b"ab", b"c.")
    diary, error = carry(upstream)
    assert (diary.status, diary.said, diary.ended, error) == (200, b"abc.", True, None)
    assert (upstream.released, upstream.aborted) == (1, 0)


def test_an_upstream_that_stays_open_after_its_end_is_not_waited_for() -> None:
    upstream = Upstream(b"abc.", ...)
    diary, error = carry(upstream)
    assert (diary.said, diary.ended, error) == (b"abc.", True, None)
    assert upstream.aborted == 1


def test_an_error_as_first_event_is_a_status() -> None:
    upstream = Upstream(b"E")
    with pytest.raises(UpstreamError) as caught:
        carry(upstream)
    assert caught.value.status == 529
    assert upstream.aborted == 1


@pytest.mark.parametrize("pieces", [(b"ab", b"E"), (b"abE",)])
def test_an_error_after_the_first_event_is_told_in_the_stream_wherever_the_bytes_are_cut(pieces: Any) -> None:
    diary, error = carry(Upstream(*pieces))
    assert (diary.status, diary.said, diary.ended) == (200, b"ab<no>", True)
    assert isinstance(error, UpstreamError)


def test_an_end_without_the_terminal_event_is_an_error() -> None:
    diary, error = carry(Upstream(b"ab"))
    assert diary.said == b"ab<cut>"
    assert isinstance(error, BrokenStream)


def test_a_reset_in_mid_answer_is_an_error() -> None:
    diary, _ = carry(Upstream(b"ab", BrokenStream("reset")))
    assert diary.said == b"ab<reset>"


def test_silence_before_the_first_event_is_a_504() -> None:
    with pytest.raises(UpstreamTimeout, match="requestTimeoutMs"):
        carry(Upstream(...))


def test_silence_in_mid_answer_ends_the_stream_with_an_error() -> None:
    upstream = Upstream(b"ab", ...)
    diary, error = carry(upstream)
    assert diary.said.startswith(b"ab<The provider was silent for 0.05 s")
    assert isinstance(error, UpstreamTimeout)
    assert upstream.aborted


def test_a_silent_upstream_keeps_its_caller_alive_with_pings() -> None:
    diary, _ = carry(Upstream(b"ab", ...), silence_s=0.1, ping_s=0.02)
    assert diary.said.startswith(b"ab??")


def test_pings_commit_an_answer_whose_headers_came_but_nothing_else() -> None:
    diary, error = carry(Upstream(...), silence_s=0.1, ping_s=0.02)
    assert diary.status == 200
    assert diary.said.startswith(b"?")
    assert diary.said.endswith(b">")
    assert isinstance(error, UpstreamTimeout)


def test_the_total_limit_ends_an_answer_that_goes_on_and_on() -> None:
    diary, error = carry(Upstream(b"ab", ...), silence_s=10.0, total_until_s=0.0)
    assert b"totalTimeoutMs" in diary.said or isinstance(error, UpstreamTimeout)


def test_a_caller_that_does_not_read_is_waited_for_and_nothing_is_lost() -> None:
    upstream = Upstream(b"a", b"b", b"c.")
    diary, error = carry(upstream, slow=True)
    assert (diary.said, diary.ended, error) == (b"abc.", True, None)
    assert diary.drained == 2


def test_waiting_for_a_slow_caller_is_not_the_upstreams_silence() -> None:
    upstream = Upstream(b"a", b"b.")
    diary, error = carry(upstream, slow=True, slow_s=0.15)
    assert (diary.said, error) == (b"ab.", None)
