"""`make demo`: the product on a fresh machine, without any login.

Starts the installed `pi-model-proxy --demo` with a scratch home below `.demo/` on port 9876, or a free one when that
is taken; holds one OpenAI and one Anthropic conversation with it, streamed so that it can be watched; shows the log's
lines; then serves until Ctrl-C. `make demo ONCE=1` ends after the conversations, with exit status 0.

Only the standard library: this is what any client does, byte for byte.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRATCH = ROOT / ".demo"
USUAL_PORT = 9876
READY_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0

CONVERSATIONS = 2
SHOWN_MODELS = 4
# Each API asks a model whose upstream speaks the other one: both answers are translated.
OPENAI_MODEL = "demo/messages-text"
ANTHROPIC_MODEL = "demo/chat-text"
OPENAI_QUESTION = "Hello! What are you?"
ANTHROPIC_QUESTION = "And the same by the other API, please."


class DemoFailedError(Exception):
    """A step did not do what the demo shows; the message says which, and what was seen."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running command: its process, port and the file that it logs to."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path


def say(text: str = "", end: str = "\n") -> None:
    """Print at once."""
    print(text, end=end, flush=True)


def choose_port() -> int:
    """Return 9876 when it is free, any free one otherwise."""
    for wanted in (USUAL_PORT, 0):
        try:
            with socket.create_server(("127.0.0.1", wanted)) as probe:
                port: int = probe.getsockname()[1]
                return port
        except OSError:
            say(f"Port {wanted} is taken; using another one.")
    raise DemoFailedError("no free port on 127.0.0.1")


def start() -> Gateway:
    """Start the command with a scratch home, so that nothing of the user's is read or written."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    home = SCRATCH / "home"
    agent = home / ".pi" / "agent"
    agent.mkdir(parents=True)
    log = SCRATCH / "log.jsonl"
    port = choose_port()
    command = [str(Path(sys.executable).parent / "pi-model-proxy"), "serve", "--demo", "--port", str(port)]
    command += ["--agent-dir", str(agent), "--log-path", str(log)]
    say(f"$ {' '.join(['pi-model-proxy', *command[1:]])}\n")
    environment = {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    # A session of its own: Ctrl-C reaches this script, which then stops the server in order.
    return Gateway(subprocess.Popen(command, env=environment, start_new_session=True), port, log)


def wait_until_ready(gateway: Gateway) -> None:
    """Poll `/readyz`; what the command printed stands above on the terminal already."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and gateway.process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise DemoFailedError(
        f"the server was not ready within {READY_TIMEOUT_S:.0f} s (its own words are above)"
    )


def request(gateway: Gateway, method: str, path: str, body: object = None) -> http.client.HTTPResponse:
    """Send one request and return the open answer; anything but 200 ends the demo."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=ANSWER_TIMEOUT_S)
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"} if body else {}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    if answer.status != http.HTTPStatus.OK:
        raise DemoFailedError(f"{method} {path} answered {answer.status}: {answer.read(500)!r}")
    return answer


def events(answer: http.client.HTTPResponse) -> Iterator[dict[str, object]]:
    """Yield the JSON of each server-sent event until the stream ends."""
    for line in answer:
        data = line.decode().rstrip("\r\n").removeprefix("data:").strip()
        if line.startswith(b"data:") and data != "[DONE]":
            yield json.loads(data)


def list_models(gateway: Gateway) -> list[str]:
    """Return the names of the scripted models, showing how many there are and the first few."""
    listed = json.load(request(gateway, "GET", "/v1/models"))["data"]
    names = [str(model["id"]) for model in listed if model["id"].startswith("demo/")]
    if not names:
        raise DemoFailedError("GET /v1/models lists no demo/ model")
    say(f"\n$ curl http://127.0.0.1:{gateway.port}/v1/models")
    say(
        f"{', '.join(names[:SHOWN_MODELS])}{', …' if len(names) > SHOWN_MODELS else ''} ({len(names)} models)"
    )
    return names


def choose(names: list[str], wanted: str) -> str:
    """Return the wanted model; the first one when the demo has been rearranged."""
    return wanted if wanted in names else names[0]


def talk_openai(gateway: Gateway, model: str) -> None:
    """One streamed Chat Completions conversation, printed as it comes."""
    say(f"\n--- OpenAI Chat Completions: POST /v1/chat/completions, {model}\n> {OPENAI_QUESTION}\n< ", end="")
    body = {
        "model": model,
        "messages": [{"role": "user", "content": OPENAI_QUESTION}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    text, usage = "", None
    for chunk in events(request(gateway, "POST", "/v1/chat/completions", body)):
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or []:  # type: ignore[attr-defined]  # JSON
            piece = choice["delta"].get("content") or ""
            text += piece
            say(piece, end="")
    say(f"\n  usage: {json.dumps(usage)}")
    if not text or not usage:
        raise DemoFailedError("the OpenAI stream ended without text or without usage")


def talk_anthropic(gateway: Gateway, model: str) -> None:
    """One streamed Messages conversation, printed as it comes."""
    say(f"\n--- Anthropic Messages: POST /v1/messages, {model}\n> {ANTHROPIC_QUESTION}\n< ", end="")
    body = {
        "model": model,
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": ANTHROPIC_QUESTION}],
        "stream": True,
    }
    text, usage, stopped = "", None, False
    for event in events(request(gateway, "POST", "/v1/messages", body)):
        if event["type"] == "content_block_delta":
            piece = event["delta"].get("text") or ""  # type: ignore[attr-defined]  # JSON
            text += piece
            say(piece, end="")
        usage = event.get("usage") or usage
        stopped = stopped or event["type"] == "message_stop"
    say(f"\n  usage: {json.dumps(usage)}")
    if not text or not stopped:
        raise DemoFailedError("the Anthropic stream ended without text or without message_stop")


def show_log(gateway: Gateway) -> None:
    """Show the lines of the two conversations; the log is written beside the answers, so wait for them a moment."""
    deadline = time.monotonic() + 5
    lines: list[str] = []
    while len(lines) < CONVERSATIONS and time.monotonic() < deadline:
        written = gateway.log.read_text().splitlines() if gateway.log.exists() else []
        lines = [line for line in written if json.loads(line)["method"] == "POST"]
        time.sleep(0.05)
    if len(lines) < CONVERSATIONS:
        raise DemoFailedError(f"{gateway.log} has {len(lines)} lines for {CONVERSATIONS} conversations")
    say("\n--- Each request leaves one line in the log (never a prompt, never a key):")
    say("\n".join(lines))


def stop(gateway: Gateway) -> int:
    """Ask the server to end and return its exit status."""
    gateway.process.send_signal(signal.SIGTERM)
    try:
        return gateway.process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        gateway.process.kill()
        return gateway.process.wait()


def show(gateway: Gateway, *, once: bool) -> None:
    """Hold the conversations, then serve until Ctrl-C unless it was to be `once`."""
    wait_until_ready(gateway)
    names = list_models(gateway)
    talk_openai(gateway, choose(names, OPENAI_MODEL))
    talk_anthropic(gateway, choose(names, ANTHROPIC_MODEL))
    show_log(gateway)
    if not once:
        say(f"\nServing on http://127.0.0.1:{gateway.port}; try it from another terminal. Ctrl-C ends it.")
        gateway.process.wait()


def main() -> int:
    """Run the demo; exit status 0 when everything shown was right and the server ended in order."""
    parser = argparse.ArgumentParser(description="Show pi-model-proxy with its scripted models.")
    parser.add_argument("--once", action="store_true", help="end after the conversations")
    once = parser.parse_args().once
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped then as well
    gateway = start()
    failure = ""
    try:
        show(gateway, once=once)
    except KeyboardInterrupt:
        say()
    except (DemoFailedError, OSError, http.client.HTTPException) as error:
        failure = str(error)
    finally:
        status = stop(gateway)
    if failure or status:
        print(f"demo: {failure or f'the server ended with exit status {status}'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
