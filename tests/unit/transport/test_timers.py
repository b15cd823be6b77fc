"""Deadlines: most are cancelled, the others happen once, in their order."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from pi_model_proxy.transport import timers as timers_module
from pi_model_proxy.transport.timers import MAX_QUEUES, Timers, timers_of
from unit.transport.raw_upstream import Run

SOON_S = 0.02


def test_deadlines_happen_once_each_in_the_order_of_being_due(run: Run) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        happened: list[str] = []
        done = asyncio.Event()
        timers = timers_of(loop)
        timers.after(3 * SOON_S, done.set)
        timers.after(2 * SOON_S, lambda: happened.append("later"))
        for name in "abc":
            timers.after(SOON_S, lambda name=name: happened.append(name))  # type: ignore[misc] # mypy cannot infer it
        async with asyncio.timeout(5):
            await done.wait()
        return happened

    assert run(main()) == ["a", "b", "c", "later"]


def test_a_deadline_is_not_done_before_its_time(run: Run) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        began_s = loop.time()
        timers_of(loop).after(0.05, done.set)
        await done.wait()
        return loop.time() - began_s

    assert 0.045 < run(main()) < 1


def test_a_cancelled_deadline_never_happens(run: Run) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        happened: list[str] = []
        done = asyncio.Event()
        timers = timers_of(loop)
        first = timers.after(SOON_S, lambda: happened.append("first"))
        timers.after(SOON_S, lambda: happened.append("second"))
        timers.after(2 * SOON_S, done.set)
        first.cancel()
        first.cancel()
        await done.wait()
        first.cancel()
        return happened

    assert run(main()) == ["second"]


def test_what_one_deadline_does_may_cancel_the_next_that_is_due_with_it(run: Run) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        happened: list[str] = []
        done = asyncio.Event()
        timers = timers_of(loop)

        def first() -> None:
            second.cancel()

        timers.after(SOON_S, first)
        second = timers.after(SOON_S, lambda: happened.append("second"))
        timers.after(SOON_S, done.set)
        await done.wait()
        return happened

    assert run(main()) == []


def test_what_one_deadline_raises_does_not_keep_the_others_from_happening(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        complaints: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        done = asyncio.Event()
        timers_of(loop).after(SOON_S, lambda: 1 // 0)  # type: ignore[arg-type] # it never returns
        timers_of(loop).after(SOON_S, done.set)
        async with asyncio.timeout(5):
            await done.wait()
        assert isinstance(complaints[0]["exception"], ZeroDivisionError)

    run(main())


def test_a_deadline_set_by_a_deadline_happens_too(run: Run) -> None:
    async def main() -> None:
        timers = timers_of(asyncio.get_running_loop())
        done = asyncio.Event()

        def first() -> None:
            timers.after(SOON_S, done.set)

        timers.after(SOON_S, first)
        async with asyncio.timeout(5):
            await done.wait()

    run(main())


def test_many_deadlines_share_one_timer_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.new_event_loop()
    armed: list[float] = []
    original = loop.call_at

    def call_at(when: float, *arguments: Any) -> asyncio.TimerHandle:
        armed.append(when)
        return original(when, *arguments)

    monkeypatch.setattr(loop, "call_at", call_at)
    timers = Timers(loop)
    for _ in range(1000):
        timers.after(60, lambda: None).cancel()
    assert len(armed) == 1
    loop.close()


def test_queues_in_which_nothing_waits_are_forgotten() -> None:
    loop = asyncio.new_event_loop()
    timers = Timers(loop)
    kept = timers.after(1000, lambda: None)
    for delay_s in range(3 * MAX_QUEUES):
        timers.after(delay_s + 1, lambda: None).cancel()
    assert len(timers._queues) <= MAX_QUEUES + 1
    assert kept in timers._queues[1000].waiting
    loop.close()


def test_timers_do_not_keep_a_closed_loop_alive(run: Run) -> None:
    async def main() -> weakref.ref[Any]:
        loop = asyncio.get_running_loop()
        assert timers_of(loop) is timers_of(loop)
        return weakref.ref(loop)

    first = run(main())
    run(main())
    gc.collect()
    assert first() is None
    assert len(timers_module._timers) == 1
