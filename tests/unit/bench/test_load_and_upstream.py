"""The load generator and the scripted upstream understand each other, and the generator sees what is wrong."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from arena import upstream_running
from certificates import make_certificates
from dialects import DIALECTS
from loads import Load, put_under
from processes import Cores
from systems import Route

if sys.platform != "linux":
    pytest.skip("the benchmark needs epoll and /proc", allow_module_level=True)

CORES = Cores.of_this_machine()
BAD_ANSWERS = {
    "a status": b"HTTP/1.1 503 Busy\r\ncontent-length: 15\r\n\r\nbench-answer-ok",
    "another content": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "a stream cut short": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n14\r\n@0000000000000000001\r\n0\r\n\r\n",
    "no answer": b"",
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with upstream_running(tmp_path_factory.mktemp("bench"), CORES, None) as arena:
        yield arena.upstream.port


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that answers one connection always the same, or closes it when that is nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as connected:
                while connected.recv(65536) and answer:
                    connected.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("interval_us", [0, 1, 2_000], ids=["in one piece", "in a burst", "paced"])
def test_every_chunk_of_a_stream_is_counted_once_in_every_dialect(
    port: int, dialect: str, interval_us: int
) -> None:
    load = Load(connections=3, warm_s=0.05, seconds=0.2, chunks=20, interval_us=interval_us)
    outcome = put_under(load, Route(port=port, dialect=dialect), 0, CORES)
    assert outcome.errors == 0, outcome.first_error
    assert outcome.answers >= 3
    # Streams that were open when counting began or ended count in part.
    assert abs(outcome.chunks - outcome.answers * 20) <= 3 * 20
    assert (outcome.delay_p50_us is not None) == (interval_us == 2_000)


@pytest.mark.parametrize("body_bytes", [1_024, 3_000_000])
def test_plain_answers_are_counted_whatever_the_body_weighs(port: int, body_bytes: int) -> None:
    load = Load(connections=2, warm_s=0.05, seconds=0.2, body_bytes=body_bytes)
    outcome = put_under(load, Route(port=port), 0, CORES)
    assert outcome.errors == 0, outcome.first_error
    assert outcome.answers > 0


def test_large_bodies_beside_streams_are_counted_by_themselves(port: int) -> None:
    load = Load(connections=2, warm_s=0.05, seconds=0.2, chunks=20, interval_us=2_000, beside_bytes=2_000_000)
    outcome = put_under(load, Route(port=port), 0, CORES)
    assert outcome.errors == 0, outcome.first_error
    assert outcome.beside_answers > 0


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
@pytest.mark.parametrize("chunks", [0, 5], ids=["plain", "stream"])
def test_a_wrong_answer_is_an_error_and_not_an_answer(answer: bytes, chunks: int) -> None:
    with answering(answer) as wrong:
        load = Load(connections=1, warm_s=0.05, seconds=0.1, chunks=chunks, interval_us=2_000)
        outcome = put_under(load, Route(port=wrong), 0, CORES)
    assert (outcome.answers, outcome.errors) == (0, 1)
    assert outcome.first_error


def test_a_generator_that_fails_is_an_error() -> None:
    outcome = put_under(Load(connections=1, warm_s=0, seconds=0.1), Route(port=1, dialect="none"), 0, CORES)
    assert outcome.errors == 1
    assert "dialect" in outcome.first_error


def test_certificates_are_made_for_loopback(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    assert b"PRIVATE KEY" in made.server.read_bytes()
    assert b"PRIVATE KEY" not in made.authority.read_bytes()
