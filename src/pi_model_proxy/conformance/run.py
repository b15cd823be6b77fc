"""Asks every cell of the table and keeps what came of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec

from pi_model_proxy.conformance.chat import Chat
from pi_model_proxy.conformance.checks import CHECKS, Check
from pi_model_proxy.conformance.client import Origin, Unreachable
from pi_model_proxy.conformance.dialect import Dialect, Wrong
from pi_model_proxy.conformance.gemini import Gemini
from pi_model_proxy.conformance.messages import Messages
from pi_model_proxy.conformance.ollama import Ollama
from pi_model_proxy.conformance.responses import Responses
from pi_model_proxy.conformance.sources import absence, cite
from pi_model_proxy.conformance.trial import Models, Trial

__all__ = ["DIALECTS", "Cell", "Plan", "Result", "run"]

DIALECTS: Final[tuple[Dialect, ...]] = (Chat(), Messages(), Responses(), Gemini(), Ollama())

State = Literal["pass", "fail", "n/a"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of which server."""

    url: str
    models: Models
    key: str = ""
    dialects: Collection[str] = ()
    """Empty: all."""
    checks: Collection[str] = ()
    """Empty: all."""
    jobs: int = 4
    """Cells at the same time."""
    timeout_s: float = 60.0
    """For one request."""
    max_tokens: int = 512
    """The limit of an answer, unless a check wants another."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one check in one dialect."""

    check: str
    dialect: str
    streamed: bool
    state: State
    why: str = ""
    """What is wrong, or why it is not asked."""
    cites: str
    took_s: float = 0.0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The whole table."""

    url: str
    models: Models
    at: str
    """When, RFC 3339 in UTC."""
    took_s: float
    cells: tuple[Cell, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many cells are in each state."""
        counted = Counter(cell.state for cell in self.cells)
        return {"pass": counted["pass"], "fail": counted["fail"], "n/a": counted["n/a"]}

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """Those that were asked."""
        asked = {cell.dialect for cell in self.cells}
        return tuple(dialect for dialect in DIALECTS if dialect.id in asked)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Those that were asked."""
        asked = {cell.check for cell in self.cells}
        return tuple(check for check in CHECKS if check.id in asked)


async def run(plan: Plan) -> Result:
    """Ask everything; a failing cell never hides another.

    Raises:
        ValueError: the address is none.
    """
    origin = Origin.parse(plan.url)
    places = asyncio.Semaphore(plan.jobs)
    began, started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.monotonic()

    async def ask(check: Check, trial: Trial) -> Cell:
        async with places:
            return await _ask(check, trial)

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(ask(check, _trial(plan, origin, dialect, stream=stream)))
            for check, dialect, stream in _cells(plan)
        ]
    cells = tuple(task.result() for task in tasks)
    return Result(url=plan.url, models=plan.models, at=began, took_s=time.monotonic() - started, cells=cells)


def _cells(plan: Plan) -> Sequence[tuple[Check, Dialect, bool]]:
    return [
        (check, dialect, stream)
        for check in CHECKS
        if not plan.checks or check.id in plan.checks
        for dialect in DIALECTS
        if not plan.dialects or dialect.id in plan.dialects
        for stream, wanted in ((False, check.whole), (True, check.streamed))
        if wanted
    ]


def _trial(plan: Plan, origin: Origin, dialect: Dialect, *, stream: bool) -> Trial:
    return Trial(
        origin=origin,
        dialect=dialect,
        models=plan.models,
        stream=stream,
        key=plan.key,
        timeout_s=plan.timeout_s,
        max_tokens=plan.max_tokens,
    )


async def _ask(check: Check, trial: Trial) -> Cell:
    dialect = trial.dialect.id
    absent = absence(check.id, dialect)
    if absent is not None:
        return Cell(
            check=check.id,
            dialect=dialect,
            streamed=trial.stream,
            state="n/a",
            why=absent.why,
            cites=absent.page,
        )
    started = time.monotonic()
    state: State = "pass"
    why = ""
    try:
        await check.run(trial)
    except (Wrong, Unreachable) as error:
        state, why = "fail", str(error)
    return Cell(
        check=check.id,
        dialect=dialect,
        streamed=trial.stream,
        state=state,
        why=why,
        cites=cite(check.topic, dialect, stream=trial.stream),
        took_s=time.monotonic() - started,
    )
