"""A provider's endpoints beside chat: embeddings, pictures, sound; it notes what arrives, byte for byte."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

__all__ = ["SIDE_KEY", "SOUND", "VECTOR", "Arrival", "SideProvider"]

SIDE_KEY: Final = "sk-side-0123456789"
VECTOR: Final = (0.25, -1.5, 3.0)
SOUND: Final = bytes(range(256)) * 300
"""What is said, as bytes that are no text."""


@dataclass(frozen=True, slots=True)
class Arrival:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class SideProvider:
    """Running on loopback, in a thread of its own."""

    origin: str
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def last(self) -> Arrival:
        return self.arrivals[-1]

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[SideProvider]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        provider = cls(f"http://127.0.0.1:{server.server_port}")
        _Handler.arrivals = provider.arrivals
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    arrivals: list[Arrival]

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # type: ignore[explicit-override] # typing.override came with 3.12
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.arrivals.append(Arrival(self.path, headers, body))
        if headers.get("authorization") != f"Bearer {SIDE_KEY}":
            self._json(401, {"error": {"message": "no such key", "code": "invalid_api_key"}})
        elif b"web page" in body:
            self._whole(200, "text/html; charset=utf-8", b"<script>fetch('/v1/models')</script>")
        elif b"limited" in body:
            self._json(429, {"error": {"message": "slower, please", "type": "rate_limit_error"}})
        else:
            endpoint = self.path.rpartition("/v1/")[2].replace("/", "_")
            getattr(self, f"_{endpoint}", self._nothing)(body)

    def _nothing(self, _: bytes) -> None:
        self._json(404, {"error": {"message": "no such endpoint"}})

    def _embeddings(self, body: bytes) -> None:
        asked = json.loads(body)
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        sent: Any = list(VECTOR)
        if asked.get("encoding_format") == "base64" and "floats-only" not in asked["model"]:
            sent = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
        data = [{"object": "embedding", "index": index, "embedding": sent} for index in range(len(texts))]
        usage = {"prompt_tokens": 4 * len(texts), "total_tokens": 4 * len(texts)}
        self._json(200, {"object": "list", "data": data, "model": asked["model"], "usage": usage})

    def _images_generations(self, body: bytes) -> None:
        asked = json.loads(body)
        usage = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}
        if not asked.get("stream"):
            picture = base64.b64encode(SOUND).decode()
            self._json(200, {"created": 1, "data": [{"b64_json": picture}], "usage": usage})
            return
        events = [
            {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": "QUJD"},
            {"type": "image_generation.completed", "b64_json": "REVG", "usage": usage},
        ]
        self._pieces(
            "text/event-stream", [f"data: {json.dumps(event)}\n\n".encode() for event in events], body
        )

    def _chat_completions(self, body: bytes) -> None:
        asked = json.loads(body)
        if "flux" in asked["model"] and asked["modalities"] != ["image"]:
            self._json(
                404, {"error": {"message": "No endpoints found for these output modalities", "code": 404}}
            )
            return
        url = "data:image/png;base64," + base64.b64encode(SOUND).decode()
        message: dict[str, Any] = {"role": "assistant", "content": "Here you are."}
        if "words" not in asked["messages"][0]["content"][0]["text"]:
            message["images"] = [{"type": "image_url", "image_url": {"url": url}}]
        usage = {"prompt_tokens": 6, "completion_tokens": 1290, "total_tokens": 1296}
        self._json(200, {"id": "gen-1", "created": 7, "choices": [{"message": message}], "usage": usage})

    def _audio_transcriptions(self, body: bytes) -> None:
        if b'name="stream"' in body:
            said: list[dict[str, Any]] = [
                {"type": "transcript.text.delta", "delta": "Hello"},
                {
                    "type": "transcript.text.done",
                    "text": "Hello",
                    "usage": {"type": "duration", "seconds": 1},
                },
            ]
            self._pieces(
                "text/event-stream", [f"data: {json.dumps(each)}\n\n".encode() for each in said], body
            )
        elif b"\r\n\r\nvtt\r\n" in body:
            self._whole(200, "text/vtt; charset=utf-8", b"WEBVTT\n\nHello\n")
        else:
            self._json(
                200, {"text": "Hello", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 3}}
            )

    _audio_translations = _audio_transcriptions

    def _audio_speech(self, body: bytes) -> None:
        pieces = [SOUND[start : start + 9000] for start in range(0, len(SOUND), 9000)]
        self._pieces("audio/mpeg", pieces, body)

    def _json(self, status: int, value: Any) -> None:
        self._whole(status, "application/json", json.dumps(value).encode())

    def _whole(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-ratelimit-remaining-requests", "7")
        # What must stay between gateway and provider.
        self.send_header("set-cookie", "provider=cookie")
        self.send_header("access-control-allow-origin", "*")
        self.send_header("location", "https://evil.example/")
        self.end_headers()
        self.wfile.write(body)

    def _pieces(self, kind: str, pieces: list[bytes], asked: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        broken = b"broken" in asked
        for piece in pieces[:1] if broken else pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        if broken:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")
