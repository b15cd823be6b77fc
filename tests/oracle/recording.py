"""An upstream on loopback that writes down what it is asked, and refuses it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

__all__ = ["Recorded", "RecordingUpstream"]

REFUSAL: Final = json.dumps({"error": {"message": "written down", "type": "invalid_request_error"}}).encode()
"""Nobody asks again after this: neither pi, which was told not to retry, nor a gateway."""


class Recorded(msgspec.Struct):
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    """Its JSON; the raw bytes in hexadecimal where it is compressed."""


class RecordingUpstream:
    """Any number of providers at once, each under a first path segment of its own."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.port = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, case: str) -> Recorded:
        """Return the first request for `case` (a second one would be a mended try)."""
        for request in self.requests:
            if request.path.startswith(f"/{case}/"):
                return request
        raise AssertionError(f"no request for {case} arrived")

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[RecordingUpstream]:
        """Listen on a free port until the block ends."""
        upstream = cls()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                upstream.requests.append(_read(self))
                self.send_response(400)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(REFUSAL)))
                self.end_headers()
                self.wfile.write(REFUSAL)

            def log_message(self, *said: object) -> None:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        upstream.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            server.server_close()
            thread.join(20)


def _read(handler: BaseHTTPRequestHandler) -> Recorded:
    headers = {name.lower(): value for name, value in handler.headers.items()}
    if "content-length" in headers:
        body = handler.rfile.read(int(headers["content-length"]))
    else:
        body = b"".join(_chunks(handler))
    if headers.get("content-encoding"):
        return Recorded(handler.path, headers, body.hex())
    return Recorded(handler.path, headers, json.loads(body) if body else None)


def _chunks(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    while size := int(handler.rfile.readline().split(b";")[0] or b"0", 16):
        yield handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
