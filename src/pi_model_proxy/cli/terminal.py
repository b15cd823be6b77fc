"""A login's side of the terminal: what it shows, what it reads, and the browser it opens."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from pi_model_proxy.cli.console import Console, wrapped
from pi_model_proxy.credentials.login import EndOfInput

__all__ = ["Lines", "Terminal", "browser_command", "is_headless"]

MAX_LINE_BYTES: Final = 64 * 1024
READ_BYTES: Final = 4096
MINUTE_S: Final = 60
_OPENERS: Final = ("xdg-open", "wslview")


def is_headless(environment: Mapping[str, str]) -> bool:
    """Whether a browser on this machine would be out of the person's sight, or is not there."""
    if environment.get("BROWSER"):
        return False
    if any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT")):
        return True
    if sys.platform == "darwin":
        return False
    shown = any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"))
    return not shown


def browser_command(environment: Mapping[str, str]) -> list[str]:
    """Return the command that opens an address in the browser; empty when there is none."""
    wanted = environment.get("BROWSER", "").split(os.pathsep)[0]
    if wanted:
        return [wanted]
    if sys.platform == "darwin":
        return ["open"]
    return next(([opener] for opener in _OPENERS if shutil.which(opener, path=environment.get("PATH"))), [])


class Lines:
    """Lines of standard input, read in the event loop: no thread stays behind when nobody types any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = b""

    async def next(self) -> str:
        """Return the next line without its end.

        Raises:
            EndOfInput: there is none.
        """
        while b"\n" not in self._held:
            chunk = await self._chunk()
            if not chunk or len(self._held) > MAX_LINE_BYTES:
                raise EndOfInput
            self._held += chunk
        line, _, self._held = self._held.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    async def _chunk(self) -> bytes:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not readable.done():
                readable.set_result(None)

        try:
            loop.add_reader(self._descriptor, wake)
        except PermissionError:  # a file or /dev/null: always readable, which epoll does not watch
            return os.read(self._descriptor, READ_BYTES)
        except (OSError, ValueError):  # standard input is closed
            return b""
        try:
            await readable
            return os.read(self._descriptor, READ_BYTES)
        except OSError:
            return b""
        finally:
            loop.remove_reader(self._descriptor)


class Terminal:
    """Implements `credentials.login.Talk` on standard input and output."""

    def __init__(
        self,
        console: Console,
        environment: Mapping[str, str],
        *,
        lines: Lines,
        opens_browser: bool,
        redraws: bool,
    ) -> None:
        """Take where to speak.

        `opens_browser`: whether to open addresses; `redraws`: whether a line may be written over (a terminal).
        """
        self._console = console
        self._environment = environment
        self._lines = lines
        self._opens_browser = opens_browser
        self._redraws = redraws
        self._is_drawn = False
        self._asked = ""
        self._told_minutes: int | None = None

    def say(self, text: str) -> None:
        self.clear()
        for line in wrapped(text, width=self._console.prose_width):
            self._console.line(line)
        self._console.flush()

    def show(self, url: str, user_code: str = "") -> None:
        opened = self._opens_browser and self._open(url)
        self.clear()
        self._console.line(
            "Your browser should open this page now:" if opened else "Open this page in a browser:"
        )
        self._console.line(f"\n  {url}\n")
        if user_code:
            self._console.line(f"and enter the code  {self._console.paint.bold(user_code)}\n")
        self._console.flush()

    def _open(self, url: str) -> bool:
        command = browser_command(self._environment)
        if not command:
            return False
        nowhere = subprocess.DEVNULL
        try:
            subprocess.Popen(  # noqa: S603 - the user's own browser, and an address that was checked
                [*command, url],
                stdin=nowhere,
                stdout=nowhere,
                stderr=nowhere,
                env=dict(self._environment),
                start_new_session=True,
            )
        except OSError:
            return False
        return True

    async def paste(self, question: str) -> str:
        self.clear()
        self._asked = question
        for line in wrapped(question, width=self._console.prose_width):
            self._console.line(line)
        self._console.flush()
        return await self._lines.next()

    def waiting(self, left_s: float) -> None:
        minutes = int(max(left_s, 0) // MINUTE_S)
        if self._redraws and not self._asked:
            seconds = int(max(left_s, 0)) % MINUTE_S
            self._console.draw(f"Waiting for the login ... {minutes}:{seconds:02} left (Ctrl-C gives up)")
            self._is_drawn = True
        elif self._told_minutes != minutes:
            if self._told_minutes is not None:
                self.say(f"Still waiting; {minutes + 1} min left (Ctrl-C gives up).")
            self._told_minutes = minutes

    def clear(self) -> None:
        """Take the line that was drawn last away, so that others can print."""
        if self._is_drawn:
            self._console.draw("")
            self._is_drawn = False
