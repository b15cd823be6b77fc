"""Many strange requests at a gateway with demo models, several at a time, and what it must look like afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fuzz.asking import CANARY, KEY, Asked
from fuzz.judging import Cut, Wrong, hear, judge
from support.gateway_process import GatewayProcess, running_gateway

__all__ = ["CORPUS", "Outcome", "attack", "look_back", "victim"]

CORPUS: Final = Path(__file__).parent / "corpus"
AT_ONCE: Final = 24
_CONFIG: Final = {"requestTimeoutMs": 10_000, "logLevel": "debug", "maxBodyBytes": 2_000_000}


@dataclass
class Outcome:
    """What came of it."""

    statuses: dict[int, int] = field(default_factory=dict)
    failures: list[tuple[Asked, str]] = field(default_factory=list)


@contextlib.contextmanager
def victim(home: Path) -> Iterator[GatewayProcess]:
    """Run the gateway that is attacked; it stays as it was and tells nothing."""
    with running_gateway(home, "--demo", config=_CONFIG, key=KEY) as running:
        yield running


def attack(gateway: GatewayProcess, requests: Iterable[Asked]) -> Outcome:
    """Send them all."""
    outcome, waiting = Outcome(), iter(requests)

    async def caller() -> None:
        for asked in waiting:
            try:
                await _ask(gateway.port, asked, outcome)
            except (Wrong, ValueError, LookupError) as error:
                outcome.failures.append((asked, f"{type(error).__name__}: {error}"))

    async def all_callers() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(caller())

    asyncio.run(all_callers())
    return outcome


async def _ask(port: int, asked: Asked, outcome: Outcome) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        at = 0
        for stop in (*asked.pieces, len(asked.data)):
            writer.write(asked.data[at:stop])
            await asyncio.sleep(0)
            at = stop
        if not asked.is_framed:
            with contextlib.suppress(OSError):  # it has closed the connection already
                writer.write_eof()
        heard = await hear(reader, asked.method)
        if heard is None:
            if asked.is_framed:
                raise Wrong("no answer, and the connection was closed")
            return
        judge(asked, heard)
        outcome.statuses[heard.status] = outcome.statuses.get(heard.status, 0) + 1
    except (Cut, ConnectionError) as error:
        if asked.is_framed:
            raise Wrong(f"the connection broke: {error}") from error
    finally:
        writer.close()


def look_back(gateway: GatewayProcess, rounds: int) -> list[str]:
    """Return what is wrong with a gateway that has stood through `rounds` requests."""
    wrong: list[str] = []
    if gateway.process.poll() is not None:
        return [f"it died with status {gateway.process.returncode}:\n{gateway.printed()[-3000:]}"]
    gateway.wait_for(lambda: gateway.get("/health").json()["active_requests"] == 0, "every request's end")
    if gateway.stop() != 0:
        wrong.append("it did not end well")
    said, log = gateway.printed(), gateway.log_path.read_text()
    for line in log.splitlines():
        json.loads(line)
    if rounds > 100 and log.count("\n") < rounds // 2:
        wrong.append(f"the log has {log.count(chr(10))} lines only")
    for where, text in (("console", said), ("log", log)):
        if KEY in text:
            wrong.append(f"the gateway's key is in the {where}")
        if CANARY in text:
            at = text.index(CANARY)
            wrong.append(f"a prompt is in the {where}: {text[max(0, at - 300) : at + 100]!r}")
        if any(char < " " and char != "\n" for char in text) or "\x7f" in text:
            bad = next(line for line in text.split("\n") if any(char < " " for char in line))
            wrong.append(f"a control character is in the {where}: {bad[:300]!r}")
    if "Traceback" in said:
        wrong.append(f"a traceback is on the console:\n{said[said.index('Traceback') :][:3000]}")
    return wrong
