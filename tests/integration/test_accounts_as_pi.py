"""`accounts --json` says of a provider what `pi auth check --no-refresh --json` says."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pi_model_proxy.cli import accounts
from pi_model_proxy.cli.console import Console, Paint
from pi_model_proxy.config import Environment
from pi_model_proxy.providers import PROVIDERS
from support.agent_dirs import write_agent_dir
from support.pi_oracle import PiOracle, PiUnavailable

pytestmark = [pytest.mark.pi, pytest.mark.slow]

DIRECTORIES = int(os.environ.get("ACCOUNT_DIRECTORIES", "30"))
EXIT = {"ready": 0, "not_ready": 1, "invalid": 2}


@pytest.fixture(scope="module")
def pi() -> PiOracle:
    try:
        return PiOracle()
    except PiUnavailable as unavailable:
        pytest.skip(str(unavailable))


def ours(agent_dir: Path, variables: Mapping[str, str], provider: str) -> tuple[str, str]:
    """Return status and kind of credential."""
    out = io.StringIO()
    home = Path(variables["HOME"])
    console = Console(out, io.StringIO(), paint=Paint(), width=80, home=home)
    environment = Environment(variables, home=home, directory=home)
    accounts.run(accounts.parser().parse(["--json"]), console, environment)
    text = out.getvalue()
    assert "sk-" not in text, "no key is shown"
    assert "value-of-" not in text
    root = json.loads(text)
    told = {each["provider"]: each for each in root["accounts"]}
    if provider not in told:
        return ("not_ready" if root["readable"] else "invalid"), ""
    return told[provider]["status"], told[provider]["auth_type"]


def theirs(pi: PiOracle, agent_dir: Path, variables: Mapping[str, str], provider: str) -> tuple[str, str]:
    done = pi.run(agent_dir, variables, ["auth", "check", "--provider", provider, "--no-refresh", "--json"])
    told = json.loads(done.stdout)
    assert done.returncode == EXIT[told["status"]]
    return told["status"], told.get("authType", "")


def drawn_provider(agent_dir: Path, seed: int) -> str:
    """Draw a provider: more often one that somebody has written something down for."""
    dice = random.Random(seed)
    written: list[str] = []
    for name in ("auth.json", "models.json"):
        try:
            root = json.loads((agent_dir / name).read_text().lstrip("\ufeff"))
        except (OSError, ValueError):
            continue
        written += root.get("providers", root)
    return dice.choice(written if written and dice.random() < 0.7 else [*PROVIDERS, "custom-0", "nonsense"])


def test_every_generated_directory_has_the_same_answer_from_pi(pi: PiOracle, tmp_path: Path) -> None:
    def compare(seed: int) -> tuple[int, str, tuple[str, str], tuple[str, str]]:
        folder = tmp_path / f"ours-{seed}"
        environment = write_agent_dir(folder, seed)
        provider = drawn_provider(folder, seed)
        shutil.copytree(folder, tmp_path / f"pi-{seed}")  # pi creates files that were not there
        said = ours(folder, pi.environment(folder, environment), provider)
        return seed, provider, said, theirs(pi, tmp_path / f"pi-{seed}", environment, provider)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(compare, range(DIRECTORIES)))
    different = [outcome for outcome in outcomes if outcome[2] != outcome[3]]
    assert different == [], "(seed, provider, ours, pi's)"
    statuses = Counter(said for _, _, said, _ in outcomes)
    assert len(statuses) >= 4, statuses
