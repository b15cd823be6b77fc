"""Running `!command` values: bounded, shared, kept for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pi_model_proxy.credentials import CommandOutcome, Commands
from pi_model_proxy.credentials import commands as module
from pi_model_proxy.credentials.commands import COMMAND_CACHE_S, MAX_CACHED, run_shell

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "WHO": "me"}


class ScriptedShell:
    """Answers with the number of the run; waits while `gate` is closed."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, command: str, environment: Mapping[str, str]) -> CommandOutcome:
        self.gate.wait(5)
        self.ran.append(command)
        return CommandOutcome(value=f"{command}-{len(self.ran)}")


class Time:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("command", "value", "failure"),
    [
        pytest.param("echo '  key  '; echo noise >&2", "key", "", id="output is trimmed, stderr dropped"),
        pytest.param("printf %s $WHO", "me", "", id="the environment is given"),
        pytest.param("echo key; exit 3", None, "exit status 3", id="a failing command gives nothing"),
        pytest.param("true", None, "empty output", id="empty output is no value"),
        pytest.param("read x; echo got$x", "got", "", id="standard input is empty"),
        pytest.param("no-such-program-here", None, "exit status 127", id="an unknown program"),
    ],
)
def test_a_shell_command_gives_its_trimmed_output(command: str, value: str | None, failure: str) -> None:
    outcome = run_shell(command, ENVIRONMENT)
    assert (outcome.value, outcome.failure) == (value, failure)


def test_a_command_that_hangs_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND_LIMIT_S", 0.3)
    started = time.monotonic()
    outcome = run_shell(f"sh -c 'sleep 1; touch {tmp_path}/late' & sleep 60", ENVIRONMENT)
    assert outcome.value is None
    assert "no answer within" in outcome.failure
    assert time.monotonic() - started < 5
    time.sleep(max(0.0, 1.3 - (time.monotonic() - started)))
    assert not (tmp_path / "late").exists(), "its child lives on"


def test_endless_output_is_given_up() -> None:
    outcome = run_shell("yes", ENVIRONMENT)
    assert outcome.value is None
    assert "bytes of output" in outcome.failure


def test_an_outcome_never_shows_its_value() -> None:
    assert "hunter2" not in repr(CommandOutcome(value="hunter2"))


def test_an_outcome_is_used_again_for_half_a_minute_and_then_fetched_anew() -> None:
    shell, now = ScriptedShell(), Time()
    commands = Commands(ENVIRONMENT, monotonic_s=now, shell=shell)
    assert commands.run("!pass").value == "pass-1"
    now.now_s += COMMAND_CACHE_S - 1
    assert commands.run("!pass").value == "pass-1"
    now.now_s += 2
    assert commands.run("!pass").value == "pass-2"


def test_a_refused_value_is_fetched_anew_at_once() -> None:
    commands = Commands(ENVIRONMENT, monotonic_s=Time(), shell=ScriptedShell())
    assert commands.run("!pass").value == "pass-1"
    assert commands.run("!pass", fresh=True).value == "pass-2"
    assert commands.run("!pass").value == "pass-2"
    assert commands.values() == ("pass-2",)


def test_many_who_ask_at_once_share_one_run() -> None:
    shell = ScriptedShell()
    shell.gate.clear()
    commands = Commands(ENVIRONMENT, monotonic_s=Time(), shell=shell)

    async def ask() -> list[CommandOutcome]:
        asking = asyncio.gather(*(commands.run_async("!pass") for _ in range(8)))
        await asyncio.sleep(0)
        shell.gate.set()
        return await asking

    outcomes = asyncio.run(ask())
    assert {outcome.value for outcome in outcomes} == {"pass-1"}
    assert shell.ran == ["pass"]


def test_one_who_stops_waiting_does_not_cancel_the_run_for_the_others() -> None:
    shell = ScriptedShell()
    shell.gate.clear()
    commands = Commands(ENVIRONMENT, monotonic_s=Time(), shell=shell)

    async def ask() -> CommandOutcome:
        loop = asyncio.get_running_loop()
        impatient, patient = (loop.create_task(commands.run_async("!pass")) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        shell.gate.set()
        return await patient

    assert asyncio.run(ask()).value == "pass-1"


def test_a_shell_that_breaks_is_an_outcome_too() -> None:
    def broken(command: str, environment: Mapping[str, str]) -> CommandOutcome:
        raise OSError("no more processes")

    assert Commands(ENVIRONMENT, shell=broken).run("!x").failure == "could not run (OSError)"


def test_the_number_of_outcomes_kept_is_bounded() -> None:
    commands = Commands(ENVIRONMENT, monotonic_s=Time(), shell=ScriptedShell())
    for number in range(MAX_CACHED + 5):
        commands.run(f"!{number}")
    assert len(commands.values()) == MAX_CACHED
