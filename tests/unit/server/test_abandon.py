"""An answer that cannot be completed is broken off where we are mounted, too."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from pi_model_proxy.server.asgi import serve_scope
from pi_model_proxy.server.line import Line

SCOPE = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": []}


def test_the_outer_server_is_never_told_the_end() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def serve(line: Line) -> None:
        await line.body(10)
        line.start(200, {"content-type": "audio/mpeg"})
        line.write(b"half")
        line.abandon()
        assert line.finished

    asyncio.run(serve_scope(serve, SCOPE, receive, send))
    assert [message.get("body") for message in sent] == [None, b"half"]
    assert sent[-1]["more_body"] is True
