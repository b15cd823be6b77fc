"""CPU time per request of our HTTP server and of uvicorn, in turns, in front of the same trivial handler.

`ours` is `server.http1`. `adapter` is uvicorn in front of that handler through `server.asgi`, as in a mounted gateway;
`bare` is uvicorn in front of the same few lines written for ASGI, without disconnects, limits and deadlines. Each
server is a process of its own; what is measured is that process's CPU time. uvicorn is measured when it is installed.
Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import re
import selectors
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pi_model_proxy.server.asgi import serve_scope
from pi_model_proxy.server.http1 import Http1Server, Limits

if TYPE_CHECKING:
    from pi_model_proxy.server.line import Line

ANSWER: Final = b'{"id":"chatcmpl-1","object":"chat.completion","choices":[' + b"x" * 900 + b"]}"
EVENT: Final = b"data: " + b"x" * 180 + b"\n\n"
EVENTS: Final = 20
HEADERS: Final = {
    "content-type": "application/json",
    "x-request-id": "req_0123456789abcdef01234567",
    "vary": "origin",
}
BODY: Final = b'{"model":"bench","messages":[{"role":"user","content":"' + b"word " * 180 + b'"}]}'
MAX_BODY: Final = 32 * 1024 * 1024
KINDS: Final = {"plain": b"/plain", "20 events": b"/stream", "new headers each time": b"/varied"}


async def handle(line: Line) -> None:
    """Answer at once, or with events that leave one by one."""
    await line.body(MAX_BODY)
    if line.head.path != "/stream":
        line.answer(200, ANSWER, HEADERS)
        return
    line.start(200, HEADERS)
    for _ in range(EVENTS):
        line.write(EVENT)
        await line.drain()
        await asyncio.sleep(0)
    line.write(b"", last=True)


async def adapter(scope: Any, receive: Any, send: Any) -> None:
    """Answer the same through our adapter."""
    await serve_scope(handle, scope, receive, send)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer the same as an ASGI application of its own."""
    while (await receive())["more_body"]:
        pass
    stream = scope["path"] == "/stream"
    headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    if not stream:
        headers.append((b"content-length", str(len(ANSWER)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(EVENTS if stream else 0):
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"" if stream else ANSWER, "more_body": False})


async def serve_ours(port: int) -> None:
    """Serve until killed."""
    server = Http1Server(handle, limits=Limits, most_connections=lambda: 10_000, request_id=lambda: "req_")
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
    await listener.serve_forever()


def serve(name: str, loop: str, port: int) -> None:
    """Serve until killed."""
    if name == "ours":
        factory = None
        if loop == "uvloop":
            import uvloop  # noqa: PLC0415 - only where it is asked for

            factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve_ours(port))
        return
    import uvicorn  # noqa: PLC0415 - only where it is asked for

    app = adapter if name == "adapter" else bare
    uvicorn.run(
        app,
        port=port,
        loop=loop,
        http="httptools",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
    )


def request(path: bytes, number: int) -> bytes:
    """Return one request, as an SDK would send it."""
    varied = b"X-Request-Id: r%d\r\n" % number if path == b"/varied" else b""
    return (
        b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:9876\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n"
        b"User-Agent: OpenAI/Python 1.99\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
        b"Content-Type: application/json\r\nX-Stainless-Lang: python\r\nConnection: keep-alive\r\n"
        b"%sContent-Length: %d\r\n\r\n%b" % (path, varied, len(BODY), BODY)
    )


def is_whole(heard: bytes) -> bool:
    """Tell whether an answer has ended."""
    if heard.endswith(b"\r\n0\r\n\r\n"):
        return True
    head, found, body = heard.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(found) and length is not None and len(body) == int(length[1])


def load(port: int, path: bytes, connections: int, requests: int) -> None:
    """Ask so often over so many connections, each asking again as soon as it is answered."""
    asked, answered = 0, 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(request(path, asked))
            asked += 1
            selector.register(sock, selectors.EVENT_READ, bytearray())
        while answered < requests:
            for key, _ in selector.select():
                heard: bytearray = key.data
                sock = key.fileobj  # type: ignore[assignment] # sockets are what was registered
                data = sock.recv(65_536)
                if not data:
                    raise RuntimeError("the server has closed")
                heard += data
                if is_whole(bytes(heard)):
                    if not heard.startswith(b"HTTP/1.1 200"):
                        raise RuntimeError(bytes(heard[:200]))
                    heard.clear()
                    answered += 1
                    sock.sendall(request(path, asked))
                    asked += 1
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr] # see above


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far, to the nanosecond: `utime` counts in ticks."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when somebody listens."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server does not start")


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", nargs=3, metavar=("SERVER", "LOOP", "PORT"))
    args = parser.parse_args()
    if args.serve:
        serve(args.serve[0], args.serve[1], int(args.serve[2]))
        return
    names = ("ours", "adapter", "bare") if importlib.util.find_spec("uvicorn") else ("ours",)
    servers: dict[tuple[str, str], tuple[subprocess.Popen[bytes], int]] = {}
    samples: dict[tuple[str, str, str], list[float]] = {}
    try:
        for loop in ("uvloop", "asyncio"):
            for name in names:
                port = free_port()
                command = [sys.executable, __file__, "--serve", name, loop, str(port)]
                servers[loop, name] = subprocess.Popen(command), port
                wait_for(port)
        for number in range(args.rounds + 1):
            for (loop, name), (process, port) in servers.items():
                for kind, path in KINDS.items():
                    before_s = cpu_s(process.pid)
                    load(port, path, args.connections, args.requests)
                    if number:  # the first round warms up
                        spent = (cpu_s(process.pid) - before_s) / args.requests * 1e6
                        samples.setdefault((kind, loop, name), []).append(spent)
    finally:
        for process, _ in servers.values():
            process.kill()
            process.wait()
    print(
        f"{args.connections} connections, {args.requests} requests, {args.rounds} rounds; CPU µs per request"
    )
    for (kind, loop, name), values in sorted(samples.items()):
        print(
            f"{kind:22} {loop:8} {name:8} {statistics.median(values):6.1f}  ({min(values):.1f}-{max(values):.1f})"
        )


if __name__ == "__main__":
    main()
