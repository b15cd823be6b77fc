"""Which idle connections are kept, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from pi_model_proxy.transport.http1 import pool as pool_module
from unit.transport.raw_upstream import Run, ask, forever, read_request, transport, upstream


def test_an_idle_connection_is_closed_after_a_while(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_CONNECTION_S", 0.05)

    async def main() -> None:
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
            await writer.drain()
            try:
                await reader.read()
            finally:
                closed.set()

        async with upstream(script) as url, transport() as client:
            for _ in range(2):
                await ask(client, url)
                async with asyncio.timeout(5):
                    await closed.wait()
                closed.clear()
                assert not client._pool._idle
                assert client._pool._sweeper is None

    run(main())


def test_only_so_many_idle_connections_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_IDLE_PER_PLACE", 3)
    script, connections = forever()

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(2):
                await asyncio.gather(*(ask(client, url) for _ in range(8)))
            (idle,) = client._pool._idle.values()
            assert len(idle) == 3

    run(main())
    assert len(connections) == 8 + 5


def test_the_latest_used_connection_serves_first(run: Run) -> None:
    script, connections = forever()

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            await asyncio.gather(ask(client, url), ask(client, url))
            for _ in range(5):
                await ask(client, url)

    run(main())
    assert sorted(connections) == [1, 6]
