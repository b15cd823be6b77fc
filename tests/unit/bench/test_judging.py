"""What the benchmark makes of its figures: ratios, verdicts, what is kept, what is drawn and written."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import kept
import pytest
import report
from samples import Samples, Spread
from targets import TARGETS, Verdict, judge


def verdict(key: str, *figures: float) -> Verdict:
    target = next(target for target in TARGETS if target.key == key)
    return Verdict(target, Spread.of(figures))


def samples(**series: list[float]) -> Samples:
    """Figures named `system__key`, one a round."""
    found = Samples()
    for name, values in series.items():
        system, key = name.split("__")
        for turn, value in enumerate(values):
            found.note(system, key, turn, value)
    return found


def test_ratios_are_taken_within_a_round_and_only_of_rounds_that_both_have() -> None:
    found = samples(ours__json64_cpu_us=[40.0, 80.0], nginx__json64_cpu_us=[20.0, 40.0, 5.0])
    assert found.ratios(("ours", "json64_cpu_us"), ("nginx", "json64_cpu_us")) == [2.0, 2.0]


def test_the_median_decides_whether_a_must_is_missed() -> None:
    found = samples(ours__start_s=[0.1, 0.6, 0.7])
    seen = {verdict.target.key: verdict for verdict in judge(found)}
    assert seen["start_s"].missed
    assert not verdict("start_s", 0.1, 0.4, 0.7).missed


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    for seen in judge(Samples()):
        assert not seen.missed
        assert seen.word == "not measured"


@pytest.mark.parametrize(("figure", "word"), [(0.9, "met, and the aim"), (0.7, "met"), (0.5, "**MISSED**")])
def test_more_is_better_for_rates(figure: float, word: str) -> None:
    assert verdict("burst_rate", figure).word == word


def test_the_worst_translated_pair_counts() -> None:
    found = Samples()
    for pair, figure in (("chat>chat", 10.0), ("chat>messages", 11.0), ("chat>responses", 16.0)):
        found.note("ours", f"{pair} paced_cpu_us", 0, figure)
    seen = {verdict.target.key: verdict.seen for verdict in judge(found)}
    assert seen["translated_paced_cpu"] == Spread(1.6, 1.6, 1.6)


def test_one_error_of_ours_misses_its_target_and_a_peers_does_not() -> None:
    found = Samples()
    found.note_errors("litellm", 3, "status 500")
    found.note_errors("ours", 0, "")
    assert not next(verdict for verdict in judge(found) if verdict.target.key == "errors").missed
    found.note_errors("ours", 1, "cut off")
    assert next(verdict for verdict in judge(found) if verdict.target.key == "errors").missed


def test_small_ratios_read_as_fractions() -> None:
    assert verdict("litellm", 1 / 200, 1 / 250, 1 / 150).written == "1/200 (1/250 to 1/150)"


def test_a_drop_beyond_noise_is_found_and_one_within_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    kept.keep("make bench", {"machine": "m"}, [verdict("paced_cpu", 1.45, 1.5, 1.55)], path)
    before = kept.load("make bench", path)
    assert not kept.drops(before, [verdict("paced_cpu", 1.6, 1.7, 1.75)])
    assert not kept.drops(before, [verdict("paced_cpu", 0.5)])
    assert [drop.seen for drop in kept.drops(before, [verdict("paced_cpu", 1.9)])] == ["1.9"]


def test_rounds_that_spread_widely_make_more_noise() -> None:
    before = {"paced_cpu": Spread(1.5, 1.0, 2.2)}
    assert not kept.drops(before, [verdict("paced_cpu", 1.9)])


def test_a_lower_rate_is_a_drop() -> None:
    before = {"burst_rate": Spread(0.9, 0.9, 0.9)}
    assert kept.drops(before, [verdict("burst_rate", 0.65)])
    assert not kept.drops(before, [verdict("burst_rate", 1.2)])


def test_keeping_one_kind_of_run_leaves_the_other(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    kept.keep("make bench", {}, [verdict("paced_cpu", 1.5)], path)
    kept.keep("make bench FULL=1", {}, [verdict("paced_cpu", 1.25)], path)
    assert kept.load("make bench", path)["paced_cpu"].middle == pytest.approx(1.5)
    assert kept.load("make bench FULL=1", path)["paced_cpu"].middle == pytest.approx(1.25)


def test_results_replace_what_is_between_the_markers_and_nothing_else() -> None:
    document = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"
    written = report.replace_results(document, ["new"])
    assert written == f"# Title\n\n{report.BEGIN}\n\nnew\n{report.END}\n\nafter\n"
    with pytest.raises(ValueError, match="marker"):
        report.replace_results("# Title\n", ["new"])


def test_a_system_that_cannot_be_had_is_shown_with_its_reason() -> None:
    found = samples(ours__json64_cpu_us=[50.0])
    lines = "\n".join(report.figures_tables(found, {"9router": "no such package"}))
    assert "| 50 " in lines
    assert "| n/a " in lines
    assert "9router**: n/a, not measured: no such package" in "\n".join(
        report.notes(found, {}, {"9router": "no such package"})
    )


def test_plots_are_well_formed_and_old_ones_go(tmp_path: Path) -> None:
    found = samples(
        ours__json16_cpu_us=[50.0, 60.0], nginx__json16_cpu_us=[20.0, 21.0], litellm__json16_cpu_us=[9000.0]
    )
    (tmp_path / "first-byte.svg").write_text("old")
    shown = report.write_plots(found, judge(found), tmp_path)
    assert [line for line in shown if line] == [
        f"![CPU per request of every system]({tmp_path.name}/cpu-per-request.svg)"
    ]
    (drawn,) = tmp_path.glob("*.svg")
    assert "LiteLLM" in "".join(ET.parse(drawn).getroot().itertext())
