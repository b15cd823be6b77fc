"""Runs the `!command` values of pi's files, with a limit on everything.

`/bin/sh -c`, 10 s, stderr dropped, output trimmed; an empty output, another exit status than 0 or
more than 1 MiB count as unresolved (pi-coding-agent 1.5.2, `resolve-config-value.js`; 1 MiB is
Node's `maxBuffer`). pi caches auth.json's commands for ever and models.json's not at all; here
both are kept for at most 30 s. A command's output never appears in a message.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Final

import msgspec

__all__ = ["COMMAND_CACHE_S", "COMMAND_LIMIT_S", "CommandOutcome", "Commands", "run_shell"]

COMMAND_LIMIT_S: Final = 10.0
"""Longest run of one command."""
COMMAND_CACHE_S: Final = 30.0
"""How long an outcome is used again."""
MAX_OUTPUT_BYTES: Final = 1024 * 1024
MAX_CACHED: Final = 256
"""Distinct commands remembered; the oldest goes first."""
_CHUNK_BYTES: Final = 65_536


class CommandOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a command gave: a value, or the reason why it has none."""

    value: str | None = None
    failure: str = ""
    """E.g. `exit status 1`; empty when there is a value. Holds none of the output."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"CommandOutcome(failure={self.failure!r})"


Shell = Callable[[str, Mapping[str, str]], CommandOutcome]


def run_shell(command: str, environment: Mapping[str, str]) -> CommandOutcome:
    """Run `command` in a session of its own and return its trimmed output. Blocks up to 10 s."""
    try:
        process = subprocess.Popen(  # noqa: S603 - running the user's own command is the feature
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        return CommandOutcome(failure=f"could not start: {error.strerror or 'no shell'}")
    with process:
        output, failure = _collect(process)
        if failure:
            # The whole group: a grandchild may still hold the pipe.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            return CommandOutcome(failure=failure)
    if process.returncode != 0:
        return CommandOutcome(failure=f"exit status {process.returncode}")
    value = output.decode("utf-8", errors="replace").strip()
    return CommandOutcome(value=value) if value else CommandOutcome(failure="empty output")


def _collect(process: subprocess.Popen[bytes]) -> tuple[bytes, str]:
    """Read until the end of the output; the second value says why that was given up."""
    deadline = time.monotonic() + COMMAND_LIMIT_S
    too_late = f"no answer within {COMMAND_LIMIT_S:.0f} s"
    pipe = process.stdout
    if pipe is None:
        return b"", "no output pipe"
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                return b"", too_late
            chunk = os.read(pipe.fileno(), _CHUNK_BYTES)
            if not chunk:
                break
            output += chunk
            if len(output) > MAX_OUTPUT_BYTES:
                return b"", f"more than {MAX_OUTPUT_BYTES} bytes of output"
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return b"", too_late
    return bytes(output), ""


class Commands:
    """Runs each command once for all who ask at the same time, and keeps the outcome briefly.

    Safe to use from several threads.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        shell: Shell = run_shell,
    ) -> None:
        self._environment = environment
        self._monotonic_s = monotonic_s
        self._shell = shell
        self._lock = threading.Lock()
        self._running: dict[str, Future[CommandOutcome]] = {}
        self._kept: dict[str, tuple[float, CommandOutcome]] = {}

    def run(self, command: str, *, fresh: bool = False) -> CommandOutcome:
        """Return the outcome of `command` (with its `!`); blocks while it runs.

        `fresh` ignores what is kept: used once after an upstream has refused the value.
        """
        return self._begin(command, fresh=fresh).result()

    async def run_async(self, command: str, *, fresh: bool = False) -> CommandOutcome:
        """Like `run`, without blocking the event loop."""
        return await asyncio.shield(asyncio.wrap_future(self._begin(command, fresh=fresh)))

    def begin_all(self, commands: Sequence[str], *, patience_s: float) -> None:
        """Start those without a present outcome side by side, and wait for them up to `patience_s` seconds."""
        wait([self._begin(command, fresh=False) for command in commands], timeout=patience_s)

    def peek(self, command: str) -> CommandOutcome | None:
        """Return the latest outcome, of whatever age, without running anything; None before the first."""
        with self._lock:
            kept = self._kept.get(command)
        return kept[1] if kept is not None else None

    def _begin(self, command: str, *, fresh: bool) -> Future[CommandOutcome]:
        with self._lock:
            running = self._running.get(command)
            if running is not None:
                return running
            future: Future[CommandOutcome] = Future()
            kept = self._kept.get(command)
            if kept is not None and not fresh and self._monotonic_s() - kept[0] < COMMAND_CACHE_S:
                future.set_result(kept[1])
                return future
            self._running[command] = future
        # A daemon: a hanging command must not hold up the end of the process.
        threading.Thread(
            target=self._work, args=(command, future), name="pi-value-command", daemon=True
        ).start()
        return future

    def _work(self, command: str, future: Future[CommandOutcome]) -> None:
        outcome = CommandOutcome(failure="could not run")
        try:
            outcome = self._shell(command[1:], self._environment)
        except (OSError, ValueError) as error:
            outcome = CommandOutcome(failure=f"could not run ({type(error).__name__})")
        finally:  # whatever happens, those who wait get an outcome
            with self._lock:
                del self._running[command]
                self._kept.pop(command, None)
                self._kept[command] = (self._monotonic_s(), outcome)
                while len(self._kept) > MAX_CACHED:
                    del self._kept[next(iter(self._kept))]
            future.set_result(outcome)

    def values(self) -> tuple[str, ...]:
        """Every value kept right now, for the redactor."""
        with self._lock:
            return tuple(outcome.value for _, outcome in self._kept.values() if outcome.value)
