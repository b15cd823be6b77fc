"""A login about to lapse, wanted by pi and by us at once: one refresh, and nobody is logged out."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pi_model_proxy.catalog import Model
from pi_model_proxy.sources import Lease, PiFiles, PiFilesSettings
from support.pi_oracle import PiOracle, PiUnavailable
from support.refresh_race import Authority, PiSession, post, write_login

pytestmark = [pytest.mark.pi, pytest.mark.slow]

TRIALS = int(os.environ.get("RACE_TRIALS", "100"))
OUR_REQUESTS = 8
PIS = 2


@pytest.fixture(scope="module")
def pi() -> PiOracle:
    try:
        return PiOracle()
    except PiUnavailable as unavailable:
        pytest.skip(str(unavailable))


@asynccontextmanager
async def our_source(agent_dir: Path, authority: Authority) -> AsyncGenerator[tuple[PiFiles, Model]]:
    environment = {"PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL": authority.url, "PATH": os.defpath}
    source = PiFiles(PiFilesSettings(agent_dir=agent_dir, environment=environment), post=post)
    await source.start()
    snapshot = await source.ready()
    model = next(offer.model for offer in snapshot.offers if offer.model.provider == "anthropic")
    try:
        yield source, model
    finally:
        await source.close()


def bearer_of(lease: Lease) -> str:
    return lease.headers["authorization"].removeprefix("Bearer ")


def file_state(agent_dir: Path) -> tuple[str, str]:
    """Return the stored refresh token and the other entry's key."""
    root = json.loads((agent_dir / "auth.json").read_text())
    return root["anthropic"]["refresh"], root["groq"]["key"]


def test_each_refresh_happens_once_and_everyone_gets_its_token(pi: PiOracle, tmp_path: Path) -> None:
    agent_dir = tmp_path / "agent"
    agent_dir.mkdir()
    dice = random.Random(1)
    authority = Authority(dice)
    refreshed_by: list[str] = []

    async def trial(number: int, source: PiFiles, model: Model, pis: list[PiSession]) -> None:
        authority.begin(number)
        write_login(agent_dir, authority, left_s=dice.choice((-3600, -1, 20, 250)))

        async def ours() -> str:
            await asyncio.sleep(dice.uniform(0, 0.02))
            return bearer_of(await source.lease(model))

        async def theirs(session: PiSession) -> str:
            await asyncio.sleep(dice.uniform(0, 0.01))
            answer = await session.credential(number)
            assert answer["ok"], answer
            return str(answer["apiKey"])

        asking = [*(ours() for _ in range(OUR_REQUESTS)), *(theirs(session) for session in pis)]
        dice.shuffle(asking)
        tokens = await asyncio.gather(*asking)
        assert authority.reused == 0, f"trial {number}: a spent token was sent again"
        assert len(authority.exchanges) == 1, f"trial {number}: {authority.exchanges}"
        assert set(tokens) == {authority.access}, f"trial {number}: somebody holds an old token"
        assert file_state(agent_dir) == (authority.good, "kept")
        refreshed_by.append("us" if "pi-model-proxy" in authority.exchanges[0] else "pi")

    async def race() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(authority.listening())
            authority.begin(0)
            write_login(agent_dir, authority, left_s=3600)
            source, model = await stack.enter_async_context(our_source(agent_dir, authority))
            running = [PiSession.running(pi, agent_dir, authority) for _ in range(PIS)]
            pis = [await stack.enter_async_context(session) for session in running]
            await asyncio.gather(*(session.credential("warm") for session in pis))
            for number in range(1, TRIALS + 1):
                await trial(number, source, model, pis)

    asyncio.run(race())
    assert not list(agent_dir.glob("auth.json.*")), "no lock, journal or temporary file is left"
    print(f"{TRIALS} trials: {refreshed_by.count('us')} refreshed by us, {refreshed_by.count('pi')} by pi")
    assert refreshed_by.count("us") >= TRIALS / 20
    assert refreshed_by.count("pi") >= TRIALS / 20


def test_a_pi_that_starts_while_we_wait_for_a_slow_endpoint_does_not_steal_the_lock(
    pi: PiOracle, tmp_path: Path
) -> None:
    """pi's start-up path takes over a lock of 10 s without a stamp; ours is stamped every 2 s."""
    agent_dir = tmp_path / "agent"
    agent_dir.mkdir()
    authority = Authority(random.Random(2))

    async def race() -> None:
        async with authority.listening(), AsyncExitStack() as stack:
            authority.begin(1)
            write_login(agent_dir, authority, left_s=-1)
            slow = asyncio.Event()
            begun = asyncio.Event()

            async def slow_post(*request: object) -> tuple[int, bytes]:
                begun.set()
                await slow.wait()
                return await post(*request)  # type: ignore[arg-type]  # handed through

            environment = {"PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL": authority.url}
            source = PiFiles(PiFilesSettings(agent_dir=agent_dir, environment=environment), post=slow_post)
            model = next(o.model for o in (await source.ready()).offers if o.model.provider == "anthropic")
            started_s = time.monotonic()
            ours = asyncio.ensure_future(source.lease(model))
            await begun.wait()
            while time.monotonic() - started_s < 10.5:
                await asyncio.sleep(0.1)
            session = await stack.enter_async_context(PiSession.running(pi, agent_dir, authority))
            theirs = asyncio.ensure_future(session.credential("late"))
            await asyncio.sleep(2.5)
            assert not theirs.done(), "pi waits for our lock"
            slow.set()
            assert bearer_of(await ours) == authority.access
            assert (await theirs)["apiKey"] == authority.access
            await source.close()

    asyncio.run(race())
    assert authority.exchanges == ["pi-model-proxy"]
    assert authority.reused == 0
    assert file_state(agent_dir) == (authority.good, "kept")
