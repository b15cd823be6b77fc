"""Whether the machine's clock can be right. Pure: every time is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Final

from pi_model_proxy.cli.accounts import NEVER_MS
from pi_model_proxy.cli.checkup.finding import Finding
from pi_model_proxy.cli.status import duration

__all__ = ["clock_findings", "skew_findings"]

SECONDS_NOT_MS: Final = 100_000_000_000
"""An expiry below this is in 1973 as milliseconds, and near today as seconds."""
LONGEST_TOKEN_S: Final = 400 * 86_400
SLACK_S: Final = 60
FAR_OFF_S: Final = 300
"""A login counts as due this long before it lapses, so a clock that is further behind sends lapsed tokens."""
MEND: Final = "set the clock (`timedatectl set-ntp true` where systemd keeps it)"


def clock_findings(
    now_s: float, *, made_s: float, expiries_ms: Mapping[str, float], changed_s: Mapping[str, float]
) -> Iterator[Finding]:
    """Compare the clock with what cannot be in its future or too far in it.

    `made_s` is when this version's catalogue was made; `expiries_ms` when each login lapses, by provider;
    `changed_s` when files were changed, by path.
    """
    said = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    worse = [
        *_too_early(now_s, said, made_s),
        *_from_the_future(now_s, changed_s),
        *_odd_expiries(now_s, expiries_ms),
    ]
    yield from worse
    if not any(each.level in {"error", "warning"} for each in worse):
        yield Finding(topic="clock", level="ok", what=f"{said}; nothing here speaks against it")


def _too_early(now_s: float, said: str, made_s: float) -> Iterator[Finding]:
    if now_s < made_s:
        what = f"it says {said}, which is before this version was made: lapsed logins look fresh, and TLS may fail"
        yield Finding(topic="clock", level="error", what=what, fix=MEND)


def _from_the_future(now_s: float, changed_s: Mapping[str, float]) -> Iterator[Finding]:
    for path, then_s in changed_s.items():
        if then_s > now_s + SLACK_S:
            what = f"it was changed {duration(then_s - now_s)} in the future: the clock was set back, or the file came from elsewhere"
            yield Finding(topic="clock", level="warning", where=path, what=what, fix=MEND)


def _odd_expiries(now_s: float, expiries_ms: Mapping[str, float]) -> Iterator[Finding]:
    dated = {provider: ms for provider, ms in expiries_ms.items() if ms < NEVER_MS}
    for provider, ms in dated.items():
        where = f"auth.json: {provider}"
        if 0 < ms < SECONDS_NOT_MS:
            what = "`expires` looks like seconds, but pi counts milliseconds: the login counts as lapsed"
            fix = f"`pi-model-proxy login {provider}` writes it anew"
            yield Finding(topic="clock", level="warning", where=where, what=what, fix=fix)
        elif ms / 1000 > now_s + LONGEST_TOKEN_S:
            what = f"the login lapses in {duration(ms / 1000 - now_s)}: long for a token; was the clock right when it was stored?"
            yield Finding(
                topic="clock",
                level="note",
                where=where,
                what=what,
                fix=f"if it is refused: `pi-model-proxy login {provider}`",
            )
    lapsed_s = [now_s - ms / 1000 for ms in dated.values()]
    if len(lapsed_s) > 1 and min(lapsed_s) > 0:
        what = f"all {len(lapsed_s)} logins have lapsed, the last {duration(min(lapsed_s))} ago; if that is a surprise, the clock is ahead"
        yield Finding(
            topic="clock",
            level="note",
            what=what,
            fix="nothing, if they were not used since: the next request renews",
        )


def skew_findings(skews_s: Sequence[float]) -> Iterator[Finding]:
    """Judge the differences between our clock and the `Date` of answers, in seconds; positive: ours is ahead."""
    if not skews_s:
        return
    skew_s = median(skews_s)
    off = f"{duration(abs(skew_s))} {'ahead of' if skew_s > 0 else 'behind'} that of {len(skews_s)} server(s)"
    if abs(skew_s) <= SLACK_S:
        what = f"it agrees with that of {len(skews_s)} server(s) within a minute"
        yield Finding(topic="clock", level="ok", what=what)
    elif abs(skew_s) <= FAR_OFF_S:
        yield Finding(topic="clock", level="warning", what=f"it is {off}", fix=MEND)
    else:
        yield Finding(
            topic="clock", level="error", what=f"it is {off}: logins are renewed at the wrong time", fix=MEND
        )
