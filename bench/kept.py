"""The ratios that were last kept, and whether today's are worse by more than noise.

`bench/kept.json` holds, by the run's plan, each target's median and range. Noise is what the rounds of both runs spread,
and at least `LEAST_NOISE` of the kept value: two runs on one machine differ by that much for no reason.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samples import Spread
from targets import Verdict

KEPT = Path(__file__).resolve().parent / "kept.json"
LEAST_NOISE = 0.15


@dataclass(frozen=True, slots=True)
class Drop:
    """A figure that is worse than kept."""

    title: str
    kept: str
    seen: str


def load(plan: str, path: Path = KEPT) -> dict[str, Spread]:
    """Return what was kept of runs of this plan, by target."""
    if not path.exists():
        return {}
    runs: dict[str, Any] = json.loads(path.read_text())
    return {key: Spread(**value) for key, value in runs.get(plan, {}).get("targets", {}).items()}


def keep(plan: str, about: dict[str, str], verdicts: list[Verdict], path: Path = KEPT) -> None:
    """Write what was seen, in the place of what was kept of this plan; runs of other plans stay."""
    runs: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    seen = {verdict.target.key: asdict(verdict.seen) for verdict in verdicts if verdict.seen is not None}
    rounded = {
        key: {name: float(f"{value:.4g}") for name, value in spread.items()} for key, spread in seen.items()
    }
    runs[plan] = about | {"targets": rounded}
    path.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n")


def drops(kept: dict[str, Spread], verdicts: list[Verdict]) -> list[Drop]:
    """Return the targets whose median is worse than the kept one by more than noise."""
    found = []
    for verdict in verdicts:
        before, now = kept.get(verdict.target.key), verdict.seen
        if before is None or now is None:
            continue
        half_spreads = (before.high - before.low + now.high - now.low) / 2
        noise = max(half_spreads, LEAST_NOISE * abs(before.middle))
        loss = now.middle - before.middle
        if verdict.target.more_is_better:
            loss = -loss
        if loss > noise:
            found.append(
                Drop(
                    verdict.target.title,
                    Verdict(verdict.target, before).written,
                    verdict.written,
                )
            )
    return found
