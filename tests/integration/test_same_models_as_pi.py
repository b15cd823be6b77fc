"""pi lists the same models for the same agent directory as we do."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pi_model_proxy.dialects.table import CLIENTS
from pi_model_proxy.sources import PiFiles, PiFilesSettings
from support.agent_dirs import write_agent_dir
from support.pi_oracle import PiOracle, PiUnavailable

pytestmark = [pytest.mark.pi, pytest.mark.slow]

KINDS = frozenset(CLIENTS)
DIRECTORIES = 48


@pytest.fixture(scope="module")
def pi() -> PiOracle:
    try:
        return PiOracle()
    except PiUnavailable as unavailable:
        pytest.skip(str(unavailable))


async def refuse(url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> tuple[int, bytes]:
    raise AssertionError("listing models asks nobody")


def ours(agent_dir: Path, environment: Mapping[str, str]) -> set[str]:
    """Return `provider/id` of every model we can serve."""

    async def listed() -> set[str]:
        source = PiFiles(PiFilesSettings(agent_dir=agent_dir, environment=environment), post=refuse)
        snapshot = await source.ready()
        await source.close()
        return {offer.model.ref for offer in snapshot.offers if offer.usable and offer.model.api in KINDS}

    return asyncio.run(listed())


def test_every_generated_directory_lists_the_same_models_as_pi(pi: PiOracle, tmp_path: Path) -> None:
    def compare(seed: int) -> tuple[int, int, set[str], set[str]]:
        mine, theirs = tmp_path / f"ours-{seed}", tmp_path / f"pi-{seed}"
        environment = write_agent_dir(mine, seed)
        before = sorted(path.name for path in mine.iterdir())
        shutil.copytree(mine, theirs)  # pi creates files that were not there
        listed = ours(mine, pi.environment(mine, environment))
        assert sorted(path.name for path in mine.iterdir()) == before, "a reader creates nothing"
        expected = pi.available_models(theirs, environment, kinds=KINDS)
        return seed, len(expected), expected - listed, listed - expected

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(compare, range(DIRECTORIES)))
    different = [outcome for outcome in outcomes if outcome[2] or outcome[3]]
    assert different == [], "(seed, models pi lists, only pi, only we)"
    counts = {count for _, count, _, _ in outcomes}
    assert len(counts) > DIRECTORIES / 4, "the directories differ"
    assert max(counts) > 100
