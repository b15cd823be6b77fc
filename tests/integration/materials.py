"""What the tests of this folder share: gateways before every stub model, and what callers send them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from support.agent_dir import STUB_KEY, agent_dir
from support.gateway_process import Answer, GatewayProcess, running_gateway
from support.strict_provider import Asked, StrictProvider
from support.strict_provider.glimpse import glimpse

__all__ = [
    "CHAT",
    "CHAT_TOOLS",
    "CITIES",
    "KINDS",
    "MESSAGES",
    "MESSAGES_TOOLS",
    "PDF",
    "PICTURE_URL",
    "PNG",
    "PNG_SEEN",
    "Kind",
    "as_base64",
    "dropped",
    "events",
    "heard",
    "logged",
    "serving",
    "weather_in",
]

Kind = Literal["chat", "responses", "messages"]
KINDS: Final[tuple[Kind, ...]] = ("chat", "responses", "messages")
"""The dialects of the upstreams; the model of a kind is `stub-<kind>/<name>`."""

CHAT: Final = "/v1/chat/completions"
MESSAGES: Final = "/v1/messages"

CITIES: Final = ("Paris", "München")
"""Whose weather the provider's parallel calls ask for, in this order."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG: Final = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\x00\x7f\x20\x10"))
    + _chunk(b"IEND", b"")
)
"""One brown pixel."""
PNG_SEEN: Final = f"image/png sha256:{hashlib.sha256(PNG).hexdigest()[:12]} ({len(PNG)} bytes)"
"""How the provider describes it once it has arrived unharmed."""
PICTURE_URL: Final = "https://pictures.example/brown.png"
PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

_CITY: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of the city"}},
    "required": ["city"],
}
_DESCRIPTION: Final = "Tell the weather of a city."
CHAT_TOOLS: Final[Any] = [
    {
        "type": "function",
        "function": {"name": "get_weather", "description": _DESCRIPTION, "parameters": _CITY},
    }
]
MESSAGES_TOOLS: Final[Any] = [
    {"name": "get_weather", "description": _DESCRIPTION, "input_schema": _CITY},
]


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def weather_in(city: str) -> str:
    """Return what the tool says."""
    return f"sunny in {city}"


@contextlib.contextmanager
def serving(provider: StrictProvider, root: Path, *flags: str, **config: Any) -> Iterator[GatewayProcess]:
    """Run the command before every stub model of `provider`; `config` is the configuration file."""
    files = agent_dir(root / "pi", provider.origin)
    home = root / "home"
    home.mkdir()
    with running_gateway(
        home, *flags, agent_dir=files.path, environment={"STUB_KEY": STUB_KEY}, config=config
    ) as running:
        yield running


def heard(provider: StrictProvider) -> Asked:
    """Return what the provider's newest request asked for, in no dialect's words."""
    arrival = provider.diary.last()
    assert arrival.dialect is not None
    return glimpse(arrival.dialect, arrival.body)


def dropped(answer: Answer) -> list[str]:
    """Return the JSON paths that the gateway says it could not pass on."""
    return [path for path in answer.headers.get("x-pi-model-proxy-dropped", "").split(", ") if path]


def logged(gateway: GatewayProcess, request_id: str) -> dict[str, Any]:
    """Return the line of the gateway's log about one request, once it is there."""
    mark = f'"{request_id}"'
    gateway.wait_for(
        lambda: any(mark in line and line.endswith("}\n") for line in _lines(gateway)),
        f"the line of {request_id}",
    )
    (line,) = [json.loads(line) for line in _lines(gateway) if mark in line]
    return dict(line)


def _lines(gateway: GatewayProcess) -> list[str]:
    return gateway.log_path.read_text().splitlines(keepends=True) if gateway.log_path.exists() else []


def events(answer: Answer) -> list[dict[str, Any]]:
    """Return the events of a stream, without chat's `[DONE]`."""
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]
