"""pi is the oracle: for the same conversation we send what pi 1.5.2 sends, but for the differences in `intended.py`.

`recorded/` holds what pi sent. `REGOLD=1` writes it anew with the real pi; `ORACLE_ALL=1` compares every recording
with the real pi, otherwise those of a few providers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import msgspec
import pytest

from oracle.asking import ask_through_pi, ask_through_us
from oracle.cases import CASES
from oracle.comparing import differences
from oracle.intended import INTENDED, without_intended
from oracle.recording import Recorded
from support.pi_oracle import PiOracle, PiUnavailable

RECORDED: Final = Path(__file__).with_name("recorded")
SAMPLE: Final = frozenset({"anthropic", "deepseek", "google", "mistral", "openai", "openai-codex"})
"""Providers whose recordings are compared with the real pi in every run."""
LEAST_PROVIDERS: Final = 20
MOST_INTENDED: Final = 15


def recordings() -> dict[str, Recorded]:
    """Return what pi sent for each case, by its name."""
    found: dict[str, Recorded] = {}
    for path in sorted(RECORDED.glob("*.json")):
        found |= msgspec.json.decode(path.read_bytes(), type=dict[str, Recorded])
    return found


@pytest.mark.pi
def test_pi_still_sends_what_is_recorded(tmp_path: Path) -> None:
    try:
        pi = PiOracle()
    except PiUnavailable as unavailable:
        pytest.skip(str(unavailable))
    regold = bool(os.environ.get("REGOLD"))
    whole = regold or bool(os.environ.get("ORACLE_ALL"))
    cases = [case for case in CASES if whole or case.provider in SAMPLE]
    sent = ask_through_pi(pi, cases, tmp_path)
    if regold:
        _record(sent)
    recorded = recordings()
    assert {case.name for case in CASES} == recorded.keys(), "REGOLD=1 records what is missing"
    changed = {
        name: [str(difference) for difference in differences(recorded[name], request)]
        for name, request in sent.items()
        if recorded[name] != request
    }
    assert changed == {}, "pi sends something else than it did (read `we` as `now`)"


def test_we_send_what_pi_sends_but_for_what_the_table_explains(tmp_path: Path) -> None:
    recorded = recordings()
    unexplained: dict[str, list[str]] = {}
    seen: set[str] = set()
    pairs = ask_through_us(CASES, tmp_path)
    for pair in pairs:
        pair.pi = recorded[pair.case.name]
        rest, found = without_intended(pair)
        seen |= found
        if rest.pi != rest.ours:
            left = [str(difference) for difference in differences(rest.pi, rest.ours)]
            unexplained[f"{pair.case.name}, {pair.caller}"] = left
    assert not unexplained, json.dumps(unexplained, indent=1)
    assert {entry.__name__ for entry in INTENDED} - seen == set(), (
        "these differences are no more: remove them"
    )
    assert len({pair.case.provider for pair in pairs}) >= LEAST_PROVIDERS


def test_every_intended_difference_says_why() -> None:
    assert len(INTENDED) <= MOST_INTENDED
    assert all(entry.__doc__ for entry in INTENDED)


def _record(sent: dict[str, Recorded]) -> None:
    RECORDED.mkdir(exist_ok=True)
    for path in RECORDED.glob("*.json"):
        path.unlink()
    for provider in sorted({case.provider for case in CASES}):
        of_provider = {case.name: sent[case.name] for case in CASES if case.provider == provider}
        text = msgspec.json.format(msgspec.json.encode(of_provider), indent=1)
        (RECORDED / f"{provider}.json").write_bytes(text + b"\n")
