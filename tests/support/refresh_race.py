"""One login, about to lapse, wanted by the real pi and by us at the same moment.

pi is the full program, running in RPC mode; `pi_extension.ts` only leads its token requests to the
authorization server here and asks it for a credential on command. Everything else (its credential
store, its lock, its refresh) is pi's own.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from support.pi_oracle import PiOracle

__all__ = ["Authority", "PiSession", "post", "write_login"]

EXTENSION: Final = Path(__file__).with_name("pi_extension.ts")
ANSWER_LIMIT_S: Final = 60


class Authority:
    """An authorization server on loopback: each refresh token is good once, and its reuse ends the login."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.url = ""
        self.good = ""
        self.access = ""
        self.exchanges: list[str] = []
        """Who exchanged a token, by `user-agent`, oldest first."""
        self.reused = 0
        self.longest_delay_s = 0.03

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[Authority]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/oauth/token"
        try:
            yield self
        finally:
            server.close()

    def begin(self, number: int) -> None:
        """Issue a login that nobody has used yet."""
        self.good, self.access = f"refresh-{number}-0", f"sk-ant-oat-{number}-0"
        self.exchanges.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            asked = json.loads(await reader.readexactly(int(fields["content-length"])))
            status, answer = self._exchange(asked["refresh_token"], fields.get("user-agent", ""))
            await asyncio.sleep(self._dice.uniform(0, self.longest_delay_s))
            body = json.dumps(answer).encode()
            writer.write(
                f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has gone; the token stays spent, as at a real provider
        finally:
            writer.close()

    def _exchange(self, token: str, who: str) -> tuple[int, dict[str, object]]:
        if token != self.good:
            self.reused += 1
            self.good = "revoked"
            return 400, {"error": "invalid_grant"}
        self.exchanges.append(who)
        stem, _, count = token.rpartition("-")
        self.good = f"{stem}-{int(count) + 1}"
        self.access = self.good.replace("refresh", "sk-ant-oat")
        return 200, {"access_token": self.access, "refresh_token": self.good, "expires_in": 3600}


class PiSession:
    """A pi in RPC mode that resolves Anthropic's credential when it is asked to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def running(cls, pi: PiOracle, agent_dir: Path, authority: Authority) -> AsyncGenerator[PiSession]:
        environment = pi.environment(agent_dir, {"SCRIPTED_TOKEN_URL": authority.url})
        command = pi.command(["--mode", "rpc", "--no-session", "--no-extensions", "-e", str(EXTENSION)])
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, env=environment, cwd=environment["HOME"], limit=1 << 24
        )
        try:
            yield cls(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def credential(self, question: object) -> dict[str, Any]:
        """Return `{ok, apiKey}` or `{ok, error}`, as pi's model registry answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"id": str(question), "type": "prompt", "message": f"/credential {question}"}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while line := await self._process.stdout.readline():
                told = json.loads(line)
                if told.get("method") == "notify":
                    answer = json.loads(told["message"])
                    if answer["trial"] == str(question):
                        assert isinstance(answer, dict)
                        return answer
        raise AssertionError("pi ended without an answer")


async def post(url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> tuple[int, bytes]:
    """Send one request over plain HTTP: the least that can stand for the transport room."""
    parts = urlsplit(url)
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", "user-agent: pi-model-proxy"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            lines += [f"content-length: {len(body)}", "connection: close", "", ""]
            writer.write("\r\n".join(lines).encode() + body)
            answer = await reader.read()
        finally:
            writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


def write_login(agent_dir: Path, authority: Authority, *, left_s: float) -> None:
    """Put the authority's present login into `auth.json`, to lapse in `left_s` seconds; beside it another entry."""
    login = {
        "type": "oauth",
        "access": authority.access,
        "refresh": authority.good,
        "expires": int((time.time() + left_s) * 1000),
    }
    text = json.dumps({"groq": {"type": "api_key", "key": "kept"}, "anthropic": login}, indent=2)
    fresh = agent_dir / "auth.json.next"
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.replace(agent_dir / "auth.json")
