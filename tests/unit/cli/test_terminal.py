"""A login's side of the terminal."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_model_proxy.cli.console import Console, Paint
from pi_model_proxy.cli.terminal import Lines, Terminal, browser_command, is_headless
from pi_model_proxy.credentials.login import EndOfInput


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def terminal(out: io.StringIO, *, redraws: bool = False, **environment: str) -> Terminal:
    console = Console(out, io.StringIO(), paint=Paint(), width=80)
    return Terminal(
        console,
        environment,
        lines=Lines(-1),
        opens_browser=bool(environment.get("BROWSER")),
        redraws=redraws,
    )


def test_lines_come_as_they_are_typed_and_the_last_one_is_followed_by_the_end(pipe: tuple[int, int]) -> None:
    async def story() -> list[str]:
        lines = Lines(pipe[0])
        waiting = asyncio.ensure_future(lines.next())
        await asyncio.sleep(0)
        os.write(pipe[1], b"  one\ntw")
        got = [await waiting]
        os.write(pipe[1], b"o\xff\n")
        got.append(await lines.next())
        os.close(pipe[1])
        with pytest.raises(EndOfInput):
            await lines.next()
        return got

    assert asyncio.run(asyncio.wait_for(story(), 20)) == ["one", "two\ufffd"]


def test_giving_up_waiting_leaves_nothing_behind(pipe: tuple[int, int]) -> None:
    async def story() -> str:
        lines = Lines(pipe[0])
        waiting = asyncio.ensure_future(lines.next())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        os.write(pipe[1], b"later\n")
        return await lines.next()

    assert asyncio.run(asyncio.wait_for(story(), 20)) == "later"


def test_a_file_is_read_like_a_pipe_and_ends(tmp_path: Path) -> None:
    async def story(descriptor: int) -> str:
        lines = Lines(descriptor)
        first = await lines.next()
        with pytest.raises(EndOfInput):
            await lines.next()
        return first

    (tmp_path / "typed").write_text("code\n")
    with (tmp_path / "typed").open("rb") as file:
        assert asyncio.run(asyncio.wait_for(story(file.fileno()), 20)) == "code"


@pytest.mark.parametrize("where", ["/dev/null", "closed"])
def test_without_an_input_there_is_nothing_to_read(where: str) -> None:
    async def story(descriptor: int) -> None:
        with pytest.raises(EndOfInput):
            await Lines(descriptor).next()

    descriptor = os.open("/dev/null", os.O_RDONLY) if where == "/dev/null" else -1
    asyncio.run(asyncio.wait_for(story(descriptor), 20))
    if descriptor >= 0:
        os.close(descriptor)


def test_a_line_without_end_is_not_kept_for_ever(pipe: tuple[int, int]) -> None:
    async def story() -> None:
        waiting = asyncio.ensure_future(Lines(pipe[0]).next())
        for _ in range(20):
            os.write(pipe[1], b"x" * 4096)
            await asyncio.sleep(0)
        with pytest.raises(EndOfInput):
            await waiting

    asyncio.run(asyncio.wait_for(story(), 20))


@pytest.mark.parametrize(
    ("environment", "headless"),
    [
        ({}, True),
        ({"DISPLAY": ":0"}, False),
        ({"WAYLAND_DISPLAY": "w"}, False),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1"}, True),
        ({"SSH_CONNECTION": "1", "BROWSER": "b"}, False),
    ],
)
def test_a_machine_without_a_display_or_reached_by_ssh_is_headless(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, headless: bool
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert is_headless(environment) is headless


def test_the_users_own_browser_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    opener = tmp_path / "xdg-open"
    assert browser_command({"PATH": str(tmp_path)}) == []
    opener.write_text("")
    opener.chmod(0o700)
    assert browser_command({"PATH": str(tmp_path)}) == ["xdg-open"]
    assert browser_command({"PATH": str(tmp_path), "BROWSER": "mine:other"}) == ["mine"]


def test_an_address_is_shown_whole_and_with_the_code(tmp_path: Path) -> None:
    out = io.StringIO()
    url = "https://login.example/" + "x" * 200
    terminal(out).show(url, "ABCD-1234")
    assert out.getvalue() == f"Open this page in a browser:\n\n  {url}\n\nand enter the code  ABCD-1234\n\n"


def test_a_browser_that_cannot_be_started_is_no_error(tmp_path: Path) -> None:
    out = io.StringIO()
    terminal(out, BROWSER=str(tmp_path / "none")).show("https://login.example/")
    assert out.getvalue().startswith("Open this page in a browser:")


def test_on_a_terminal_the_time_left_is_drawn_over_and_cleared() -> None:
    out = io.StringIO()
    talk = terminal(out, redraws=True)
    talk.waiting(125.9)
    talk.waiting(-1)
    talk.clear()
    talk.clear()
    talk.say("done")
    assert out.getvalue() == (
        "\r\x1b[KWaiting for the login ... 2:05 left (Ctrl-C gives up)"
        "\r\x1b[KWaiting for the login ... 0:00 left (Ctrl-C gives up)"
        "\r\x1b[Kdone\n"
    )


def test_elsewhere_a_line_a_minute_says_that_we_wait() -> None:
    out = io.StringIO()
    talk = terminal(out)
    for left_s in range(180, 60, -1):
        talk.waiting(left_s)
    assert out.getvalue() == (
        "Still waiting; 3 min left (Ctrl-C gives up).\nStill waiting; 2 min left (Ctrl-C gives up).\n"
    )
