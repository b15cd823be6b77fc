"""The programme: every test in its order, and which systems take it in the short and in the full run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from arena import Running
from measures import (
    Trial,
    answers_at,
    blobs,
    body,
    bursts,
    fast_crowd,
    first_chunk,
    paced,
    pair,
    slow_crowd,
    soak,
    stall,
    weigh_streams,
)
from plan import Plan
from systems import DIRECT, OURS, PLAIN, SYSTEMS, TLS


class Group(Enum):
    """Systems that take the same tests."""

    DIRECT = "the line without a proxy"
    LIGHT = "what is started and measured quickly"
    HEAVY = "the others: slow to start, slow to warm up"

    @staticmethod
    def of(running: Running) -> Group:
        """Return a system's group."""
        if running.name == DIRECT:
            return Group.DIRECT
        return Group.LIGHT if any(s.light for s in SYSTEMS if s.name == running.name) else Group.HEAVY


EVERYBODY = frozenset(Group)
QUICK_ONES = frozenset({Group.DIRECT, Group.LIGHT})
PROXIES = frozenset({Group.LIGHT, Group.HEAVY})
LIGHT_ONES = frozenset({Group.LIGHT})
NOBODY: frozenset[Group] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One row of the plan: a test, and who takes it in the short and in the full run."""

    title: str
    take: Callable[[Trial], None]
    quick: frozenset[Group] = QUICK_ONES
    full: frozenset[Group] = EVERYBODY
    route: str = PLAIN
    ours_alone: bool = False
    once: bool = False

    def takes_part(self, running: Running, plan: Plan, turn: int) -> bool:
        """Whether a system takes this test in this round."""
        group = Group.of(running)
        if self.route not in running.routes or (self.ours_alone and running.name != OURS):
            return False
        if self.once and turn:
            return False
        if group is Group.HEAVY and plan.heavy_rounds:
            return group in self.full and turn < plan.heavy_rounds
        return group in (self.full if plan.heavy_rounds else self.quick)


def measures_of(plan: Plan) -> list[Measure]:
    """Return the tests of a plan in their order."""
    quick_run = not plan.heavy_rounds
    return [
        Measure(title="16 at once", take=answers_at(16), quick=PROXIES),
        Measure(title="1 at a time", take=answers_at(1)),
        Measure(title="64 at once", take=answers_at(64)),
        Measure(title="256 at once", take=answers_at(256), quick=NOBODY),
        Measure(title="first byte", take=first_chunk),
        Measure(title="bursts", take=bursts),
        Measure(title="bursts in one piece", take=blobs, quick=NOBODY, full=QUICK_ONES),
        Measure(title="paced streams", take=paced(PLAIN, "paced"), quick=LIGHT_ONES, full=PROXIES),
        Measure(
            title="paced streams, TLS",
            take=paced(TLS, "paced_tls"),
            quick=LIGHT_ONES,
            full=LIGHT_ONES,
            route=TLS,
        ),
        Measure(title="1,000 fast streams", take=fast_crowd, quick=LIGHT_ONES),
        Measure(title="1,000 slow streams", take=slow_crowd),
        Measure(
            title="memory of a stream",
            take=weigh_streams(PLAIN, "stream"),
            quick=LIGHT_ONES,
            full=LIGHT_ONES,
            ours_alone=quick_run,
        ),
        Measure(
            title="memory of a stream, slow systems",
            take=weigh_streams(PLAIN, "stream"),
            quick=NOBODY,
            full=frozenset({Group.HEAVY}),
            once=True,
        ),
        Measure(
            title="memory of a stream, TLS",
            take=weigh_streams(TLS, "stream_tls"),
            quick=LIGHT_ONES,
            full=LIGHT_ONES,
            route=TLS,
            ours_alone=quick_run,
            once=quick_run,
        ),
        *(
            Measure(
                title=f"{caller} to {callee}",
                take=pair(f"{caller}>{callee}"),
                quick=LIGHT_ONES,
                full=LIGHT_ONES,
                route=f"{caller}>{callee}",
                ours_alone=True,
            )
            for caller, callee in PAIRS
        ),
        Measure(title="1 KB bodies", take=body("1 KB"), quick=NOBODY),
        Measure(title="64 KB bodies", take=body("64 KB"), quick=NOBODY),
        Measure(title="1 MB bodies", take=body("1 MB"), quick=NOBODY),
        Measure(title="10 MB bodies", take=body("10 MB")),
        Measure(title="streams beside 10 MB bodies", take=stall),
        Measure(title="growth", take=soak, quick=NOBODY, full=PROXIES, once=True),
    ]


PAIRS = (
    ("chat", "chat"), ("chat", "messages"), ("chat", "responses"),
    ("messages", "messages"), ("messages", "chat"), ("messages", "responses"),
    ("responses", "responses"), ("responses", "chat"), ("responses", "messages"),
)  # fmt: skip
"""Caller's dialect, upstream's dialect; those of one word are pass-through."""
