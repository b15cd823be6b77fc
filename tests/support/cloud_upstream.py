"""A scripted upstream that keeps every request as it came, byte for byte, and answers what it is told to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from typing_extensions import override

__all__ = ["Arrived", "CloudUpstream", "Reply", "signature_fault"]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request; header names in lower case."""

    method: str
    target: str
    """Path and query as they stood in the request line."""
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


class CloudUpstream:
    """Use `with CloudUpstream.running() as upstream`; set `answer` first where the default will not do."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.arrived: list[Arrived] = []
        self.answer: Callable[[Arrived], Reply] = lambda arrived: Reply()

    @property
    def last(self) -> Arrived:
        return self.arrived[-1]

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[CloudUpstream]:
        upstream: CloudUpstream

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                arrived = Arrived(self.command, self.path, headers, body)
                upstream.arrived.append(arrived)
                reply = upstream.answer(arrived)
                self.send_response(reply.status)
                for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = _take  # noqa: N815 - the library's names

            @override
            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        upstream = cls(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def signature_fault(arrived: Arrived, origin: str, *, secret_key: str, region: str) -> str:
    """Return what is wrong with a request's Signature Version 4, by botocore's own reckoning; empty when it is right."""
    scheme, _, rest = arrived.headers.get("authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        return f"not signed: {scheme!r}"
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    access_key, _, scope = fields["Credential"].partition("/")
    signed = fields["SignedHeaders"].split(";")
    sent_in = {name for name in arrived.headers if name.startswith("x-amz-")} | {"host"}
    if not sent_in <= set(signed):
        return f"not among the signed headers: {sorted(sent_in - set(signed))}"
    request = AWSRequest(
        method=arrived.method,
        url=origin + arrived.target,
        data=arrived.body,
        headers={name: arrived.headers[name] for name in signed},
    )
    request.context["timestamp"] = arrived.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(access_key, secret_key), "bedrock", region)
    expected_scope = f"{request.context['timestamp'][:8]}/{region}/bedrock/aws4_request"
    if scope != expected_scope:
        return f"scope {scope}, not {expected_scope}"
    canonical = auth.canonical_request(request)
    path = urlsplit(arrived.target).path
    if "%" in path and path.replace("%", "%25") not in canonical:
        return "the canonical path is not encoded twice"
    right = auth.signature(auth.string_to_sign(request, canonical), request)
    return "" if right == fields["Signature"] else "the signature does not fit the request"
