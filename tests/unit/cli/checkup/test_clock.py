"""Whether the clock can be right."""

from __future__ import annotations

import pytest

from pi_model_proxy.cli.checkup import Finding, clock_findings
from pi_model_proxy.cli.checkup.clock import skew_findings

NOW_S = 1_800_000_000.0
DAY_S = 86_400


def judged(
    *,
    made_s: float = NOW_S - DAY_S,
    expiries_s: dict[str, float] | None = None,
    changed_s: dict[str, float] | None = None,
) -> list[Finding]:
    return list(
        clock_findings(
            NOW_S,
            made_s=made_s,
            expiries_ms={name: at * 1000 for name, at in (expiries_s or {}).items()},
            changed_s=changed_s or {},
        )
    )


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_an_ordinary_day_is_in_order() -> None:
    found = judged(expiries_s={"xai": NOW_S + 3600}, changed_s={"auth.json": NOW_S - 5})
    assert levels(found) == ["ok"]


def test_a_clock_from_before_this_version_is_wrong() -> None:
    assert levels(judged(made_s=NOW_S + 1)) == ["error"]


def test_a_file_from_the_future_shows_a_clock_that_was_set_back() -> None:
    (found,) = judged(changed_s={"a": NOW_S + 59, "b": NOW_S + 7200})
    assert (found.level, found.where) == ("warning", "b")
    assert "2 h 0 min in the future" in found.what


def test_an_expiry_in_seconds_is_recognised() -> None:
    (found,) = judged(expiries_s={"xai": NOW_S / 1000})
    assert found.level == "warning"
    assert "looks like seconds" in found.what


def test_a_token_that_lapses_in_years_is_doubtful_and_one_that_never_does_is_not() -> None:
    found = judged(expiries_s={"xai": NOW_S + 900 * DAY_S, "openrouter": 2**53 / 1000})
    assert levels(found) == ["note", "ok"]
    assert found[0].where == "auth.json: xai"


def test_when_all_have_lapsed_the_clock_may_be_ahead() -> None:
    assert levels(judged(expiries_s={"xai": NOW_S - 60, "meta": NOW_S - 3600})) == ["note", "ok"]
    assert levels(judged(expiries_s={"xai": NOW_S - 60, "meta": NOW_S + 3600})) == ["ok"]


@pytest.mark.parametrize(
    ("skews_s", "level", "said"),
    [
        ([2.0, -59.0], "ok", "within a minute"),
        ([100.0], "warning", "1 min ahead of"),
        ([-4000.0, -3900.0, 0.0], "error", "1 h 5 min behind"),
    ],
)
def test_other_clocks_are_the_measure(skews_s: list[float], level: str, said: str) -> None:
    (found,) = skew_findings(skews_s)
    assert found.level == level
    assert said in found.what


def test_without_an_answer_nothing_is_said_of_other_clocks() -> None:
    assert list(skew_findings([])) == []
