from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.demo import open_demo
from pi_model_proxy.server import create_app
from pi_model_proxy.server.build import MountedApp

Message = MutableMapping[str, Any]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MountedApp:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PI_CODING_AGENT_DIR", "PI_MODEL_PROXY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return create_app(more_sources=open_demo)


def scope(method: str, path: str, **fields: Any) -> Message:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers, **fields}


async def ask(app: MountedApp, asked: Message, body: bytes = b"") -> tuple[int, bytes]:
    sent: list[Message] = []
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if given:
            return given.pop()
        await asyncio.Event().wait()
        raise AssertionError("never")

    async def send(message: Message) -> None:
        sent.append(message)

    await app(asked, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def ask_until_ready(app: MountedApp, asked: Message, body: bytes = b"") -> tuple[int, bytes]:
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.01)
            status, answer = await ask(app, dict(asked), body)
            if status != 503:
                return status, answer


async def with_lifespan(app: MountedApp, story: Any) -> Any:
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    serving = asyncio.get_running_loop().create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    result = await story()
    await inbox.put({"type": "lifespan.shutdown"})
    assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
    await serving
    return result


def test_a_mounted_gateway_answers_with_its_lifespan(app: MountedApp) -> None:
    body = json.dumps({"model": "demo/chat-text", "messages": [{"role": "user", "content": "hi"}]}).encode()

    async def story() -> tuple[int, bytes]:
        return await ask_until_ready(app, scope("POST", "/v1/chat/completions"), body)

    status, answer = asyncio.run(with_lifespan(app, story))
    assert (status, json.loads(answer)["model"]) == (200, "demo/chat-text")


def test_a_mounting_application_leaves_its_prefix_in_root_path(app: MountedApp) -> None:
    async def story() -> tuple[int, bytes]:
        return await ask_until_ready(app, scope("GET", "/llm/v1/models", root_path="/llm"))

    status, answer = asyncio.run(with_lifespan(app, story))
    assert status == 200
    assert b'"demo/chat-text"' in answer


def test_without_a_lifespan_it_starts_at_the_first_request(app: MountedApp) -> None:
    async def story() -> int:
        status, _ = await ask(app, scope("GET", "/health"))
        await app._house.__aexit__()
        return status

    assert asyncio.run(story()) == 200
