"""How much is measured: the short run and the full one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    name: str
    rounds: int
    seconds: float
    """How long most figures are counted."""
    limit_s: float
    """No round is begun that would probably end later than this."""
    heavy_rounds: int = 0
    """In how many rounds the slow systems take part in everything; 0: only in the tests that targets speak of."""
    soak_s: float = 0.0


QUICK = Plan(name="make bench", rounds=3, seconds=1.0, limit_s=295)
FULL = Plan(
    name="make bench FULL=1",
    rounds=4,
    seconds=2.0,
    limit_s=1_650,
    heavy_rounds=2,
    soak_s=8.0,
)
