"""What is promised, as data: a figure or a ratio, what it must reach, what is aimed for, and what was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from programme import PAIRS
from samples import Samples, Spread
from systems import NGINX, OURS

Read = Callable[[Samples], list[float]]
"""Reads a target's samples, one per round."""


def figure(key: str) -> Read:
    """Return how to read a figure of ours."""
    return lambda samples: samples.of(OURS, key)


def against(peer: str, key: str) -> Read:
    """Return how to read ours as a multiple of a peer's, within each round."""
    return lambda samples: samples.ratios((OURS, key), (peer, key))


def translated(key: str, worst: Callable[[list[list[float]]], list[float]]) -> Read:
    """Return how to read the worst translated pair as a multiple of its caller's pass-through."""

    def read(samples: Samples) -> list[float]:
        series = [
            samples.ratios((OURS, f"{caller}>{callee} {key}"), (OURS, f"{caller}>{caller} {key}"))
            for caller, callee in PAIRS
            if caller != callee
        ]
        known = [values for values in series if values]
        return worst(known) if known else []

    return read


def middle(values: list[float]) -> float:
    """Return the median, for `max` and `min`."""
    spread = Spread.of(values)
    return spread.middle if spread else 0.0


def highest(series: list[list[float]]) -> list[float]:
    """Return the series with the largest median."""
    return max(series, key=middle)


def lowest(series: list[list[float]]) -> list[float]:
    """Return the series with the smallest median."""
    return min(series, key=middle)


def errors(samples: Samples) -> list[float]:
    """Return the number of our errors, when anything of ours was measured."""
    return [float(samples.errors[OURS])] if OURS in samples.errors else []


SMALL = 0.1
"""Targets below this read better as 1/n."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One promise; `aim` is None where only the `must` counts."""

    key: str
    """Its name in bench/kept.json."""
    title: str
    read: Read
    must: float
    aim: float | None = None
    more_is_better: bool = False
    unit: str = ""
    digits: int = 2

    def reaches(self, value: float, bound: float) -> bool:
        """Whether a value is at least as good as a bound."""
        return value >= bound if self.more_is_better else value <= bound

    def written(self, value: float) -> str:
        """Return a value as the reader sees it: of a target that is a small fraction as 1/n."""
        if value > 0 and 0 < self.must < SMALL:
            return f"1/{1 / value:.0f}"
        words = f"{value:,.{self.digits}f}"
        return (words.rstrip("0").rstrip(".") if self.digits else words) + self.unit

    def bound(self, value: float | None) -> str:
        """Return a bound with its sign."""
        return "–" if value is None else f"{'≥' if self.more_is_better else '≤'} {self.written(value)}"


TARGETS = (
    Target(
        key="json64_rate",
        title="JSON, 64 at once: answers/s against nginx",
        read=against(NGINX, "json64_rate"),
        must=0.33,
        aim=0.5,
        more_is_better=True,
    ),
    Target(
        key="json64_cpu",
        title="CPU per request against nginx, 64 at once",
        read=against(NGINX, "json64_cpu_us"),
        must=3,
        aim=2,
    ),
    Target(
        key="json16_cpu",
        title="CPU per request against nginx, 16 at once (the main job's)",
        read=against(NGINX, "json16_cpu_us"),
        must=12,
    ),
    Target(
        key="litellm_main",
        title="CPU per request against LiteLLM, 16 at once (the main job's)",
        read=against("litellm", "json16_cpu_us"),
        must=1 / 60,
    ),
    Target(
        key="litellm",
        title="CPU per request against LiteLLM, 16 at once",
        read=against("litellm", "json16_cpu_us"),
        must=1 / 100,
        aim=1 / 300,
    ),
    Target(
        key="portkey",
        title="CPU per request against Portkey, 16 at once",
        read=against("portkey", "json16_cpu_us"),
        must=1 / 15,
        aim=1 / 25,
    ),
    Target(
        key="pi_ai",
        title="CPU per request against the pi-ai server, 16 at once",
        read=against("pi_ai", "json16_cpu_us"),
        must=1 / 15,
        aim=1 / 30,
    ),
    Target(
        key="added_p50",
        title="added p50, 1 at a time, against nginx's own",
        read=against(NGINX, "json1_p50_us added"),
        must=2,
        aim=1.3,
    ),
    Target(
        key="added_first",
        title="added first byte, 1 at a time, against nginx's own",
        read=against(NGINX, "first_us added"),
        must=2,
        aim=1.3,
    ),
    Target(
        key="paced_cpu",
        title="CPU per paced chunk against nginx",
        read=against(NGINX, "paced_cpu_us"),
        must=2,
        aim=1.4,
    ),
    Target(
        key="paced_tls_cpu",
        title="CPU per paced chunk against nginx, TLS upstream",
        read=against(NGINX, "paced_tls_cpu_us"),
        must=2,
        aim=1.5,
    ),
    Target(
        key="translated_paced_cpu",
        title="translated against pass-through: CPU per paced chunk, worst pair",
        read=translated("paced_cpu_us", highest),
        must=1.5,
        aim=1.15,
    ),
    Target(
        key="translated_burst_rate",
        title="translated against pass-through: chunks/s in bursts, worst pair",
        read=translated("burst_rate", lowest),
        must=0.4,
        aim=0.7,
        more_is_better=True,
    ),
    Target(
        key="burst_rate",
        title="burst chunks/s against nginx",
        read=against(NGINX, "burst_rate"),
        must=0.6,
        aim=0.8,
        more_is_better=True,
    ),
    Target(
        key="fast_delivered",
        title="1,000 streams, 20 ms chunks: delivered of offered",
        read=figure("fast_delivered"),
        must=0.85,
        aim=0.95,
        more_is_better=True,
    ),
    Target(
        key="slow_p99",
        title="1,000 streams, 200 ms chunks: added delay p99 against nginx's own",
        read=against(NGINX, "slow_p99_us added"),
        must=2,
        aim=1.2,
    ),
    Target(
        key="stream_kib",
        title="user memory per open stream",
        read=figure("stream_kib"),
        must=20,
        aim=8,
        unit=" KB",
        digits=1,
    ),
    Target(
        key="stream_tls_kib",
        title="user memory per open stream, TLS upstream",
        read=figure("stream_tls_kib"),
        must=60,
        aim=45,
        unit=" KB",
        digits=1,
    ),
    Target(
        key="body_added",
        title="10 MB body: added p50 against nginx's own",
        read=against(NGINX, "body 10 MB ms added"),
        must=10,
        aim=5,
    ),
    Target(
        key="stall_ms",
        title="10 MB bodies: longest stall of other streams meanwhile",
        read=figure("stall_ms"),
        must=50,
        aim=10,
        unit=" ms",
        digits=1,
    ),
    Target(
        key="start_s",
        title="start to first answer",
        read=figure("start_s"),
        must=0.5,
        aim=0.25,
        unit=" s",
    ),
    Target(
        key="idle_pss_mib",
        title="idle memory (PSS)",
        read=figure("idle_pss_mib"),
        must=55,
        aim=35,
        unit=" MB",
        digits=1,
    ),
    Target(key="errors", title="errors of ours in any of it", read=errors, must=0, digits=0),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one target; `seen` is None when it was not measured."""

    target: Target
    seen: Spread | None

    @property
    def missed(self) -> bool:
        """Whether it was measured and its `must` was not reached (by the median)."""
        return self.seen is not None and not self.target.reaches(self.seen.middle, self.target.must)

    @property
    def word(self) -> str:
        """Return the verdict in a word."""
        if self.seen is None:
            return "not measured"
        if self.missed:
            return "**MISSED**"
        aim = self.target.aim
        return "met, and the aim" if aim is not None and self.target.reaches(self.seen.middle, aim) else "met"

    @property
    def written(self) -> str:
        """Return what was seen, with its range."""
        if self.seen is None:
            return "–"
        write = self.target.written
        low, high = sorted((self.seen.low, self.seen.high), reverse=False)
        middle_word, low_word, high_word = write(self.seen.middle), write(low), write(high)
        return middle_word if low_word == high_word else f"{middle_word} ({low_word} to {high_word})"


def judge(samples: Samples) -> list[Verdict]:
    """Return the verdict on every target."""
    return [Verdict(target, Spread.of(target.read(samples))) for target in TARGETS]
