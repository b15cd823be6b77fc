"""A caller may leave at any moment: nothing stays behind, and the next request is served."""

from __future__ import annotations

import asyncio

import pytest

from pi_model_proxy.transport.http1 import Http1Transport
from unit.transport.raw_upstream import (
    DEADLINES,
    Run,
    ask,
    post,
    read_request,
    transport,
    upstream,
    whole,
)

PIECES = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-",
    b"encoding: chunked\r\n\r\n2\r\nhi\r\n",
    b"3\r\n yo\r\n",
    b"0\r\n\r\n",
)


async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        for piece in PIECES:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
            await asyncio.sleep(0)


async def one(client: Http1Transport, url: str, body: bytes) -> bytes:
    response = await client.open(post(url, body), DEADLINES)
    try:
        return await whole(response)
    finally:
        response.release()


async def cancelled_after(turns: int, client: Http1Transport, url: str, body: bytes) -> bool:
    """Cancel a request after so many turns of the loop; tell whether it was still running."""
    task = asyncio.ensure_future(one(client, url, body))
    for _ in range(turns):
        await asyncio.sleep(0)
        if task.done():
            assert task.result() == b"hi yo"
            return False
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return True


@pytest.mark.parametrize("body", [b"{}", b"x" * 1024 * 1024], ids=["short", "long"])
@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "pooled"])
def test_a_request_cancelled_at_any_moment_leaves_nothing_behind(run: Run, body: bytes, warm: bool) -> None:
    async def main() -> int:
        turns = 0
        async with upstream(dribble, limit=4 * 1024 * 1024) as url:
            running = True
            while running:
                async with transport() as client:
                    if warm:
                        assert (await ask(client, url))[1] == b"hi yo"
                    running = await cancelled_after(turns, client, url, body)
                    turns += 1
                    for _ in range(5):
                        await asyncio.sleep(0)
                    assert len(client._connections) <= 1
                    assert client._connections == {c for idle in client._pool._idle.values() for c in idle}
                    assert await ask(client, url) == (200, b"hi yo")
                assert not [task for task in asyncio.all_tasks() if "src/pi_model_proxy" in repr(task)]
        return turns

    assert run(main()) > 10


def test_a_read_cancelled_at_any_moment_loses_no_bytes(run: Run) -> None:
    async def main() -> None:
        async with upstream(dribble) as url, transport() as client:
            for turns in range(1, 12):
                response = await client.open(post(url), DEADLINES)
                body = b""
                while True:
                    reading = asyncio.ensure_future(response.read())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    if not reading.done():
                        reading.cancel()
                    try:
                        data = await reading
                    except asyncio.CancelledError:
                        await asyncio.sleep(0)
                        continue
                    if not data:
                        break
                    body += data
                response.release()
                assert body == b"hi yo"

    run(main())
