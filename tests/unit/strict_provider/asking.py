"""A plain HTTP client for the provider's own tests: one request, one connection unless told otherwise."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final

from support.strict_provider import StrictProvider

PATHS: Final = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
DIALECTS: Final = tuple(PATHS)
TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["error"]
        return found

    @property
    def events(self) -> list[tuple[str | None, Any]]:
        """Name and data of each event; `[DONE]` stays text."""
        found = []
        for block in self.raw.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if line)
            if "data" in lines:
                data = lines["data"]
                found.append((lines.get("event"), data if data == "[DONE]" else json.loads(data)))
        return found

    @property
    def datas(self) -> list[Any]:
        """The data of each event but `[DONE]`."""
        return [data for _, data in self.events if data != "[DONE]"]


def body_for(dialect: str, prompt: str = "Hello", **more: Any) -> dict[str, Any]:
    """Return the smallest request of a dialect."""
    if dialect == "responses":
        return {"model": "vision", "input": prompt, **more}
    limit = {"max_tokens": 2_000} if dialect == "messages" else {}
    return {"model": "vision", "messages": [{"role": "user", "content": prompt}], **limit, **more}


def connect(provider: StrictProvider, timeout_s: float = TIMEOUT_S) -> http.client.HTTPConnection:
    """Return a connection that has not asked anything yet."""
    return http.client.HTTPConnection("127.0.0.1", provider.port, timeout=timeout_s)


def send(
    connection: http.client.HTTPConnection, path: str, body: Any, headers: dict[str, str] | None = None
) -> None:
    """Send one JSON request."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = {
        "content-type": "application/json",
        "authorization": "Bearer sk-stub",
        "anthropic-version": "2023-06-01",
    }
    connection.request("POST", path, raw, {**usual, **(headers or {})})


def receive(connection: http.client.HTTPConnection) -> Reply:
    """Read one whole reply."""
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def ask(
    provider: StrictProvider,
    path: str,
    body: Any,
    headers: dict[str, str] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Reply:
    """Ask once over a connection of its own. `path` is a path, or the name of a dialect."""
    connection = connect(provider, timeout_s)
    try:
        send(connection, PATHS.get(path, path), body, headers)
        return receive(connection)
    finally:
        connection.close()


def get(provider: StrictProvider, path: str, headers: dict[str, str] | None = None) -> Reply:
    """Send a GET."""
    connection = connect(provider)
    try:
        connection.request("GET", path, headers=headers or {})
        return receive(connection)
    finally:
        connection.close()


def text_of(dialect: str, body: Any) -> str:
    """The visible text of a whole answer."""
    if dialect == "chat":
        return str(body["choices"][0]["message"]["content"])
    if dialect == "messages":
        return "".join(block.get("text", "") for block in body["content"])
    return "".join(part["text"] for item in body["output"] for part in item.get("content", []))
