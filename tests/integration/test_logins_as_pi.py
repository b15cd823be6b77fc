"""The real pi logs in at the same scripted servers, stores the same entries, and uses ours."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pi_model_proxy.credentials import auth_path, store_entry
from support.authorization_server import AuthorizationServer, listening
from support.login_entries import ENTRIES, NOW_S
from support.pi_oracle import PiOracle, PiUnavailable

pytestmark = [pytest.mark.pi, pytest.mark.slow]

SCRIPT = Path(__file__).parents[1] / "support" / "pi_logins.mjs"
PATIENCE_S = 120
WAYS = (
    "anthropic/browser",
    "anthropic/device",
    "openai/browser",
    "openai-codex/browser",
    "openai-codex/device",
    "github-copilot/device",
    "xai/device",
    "kimi-coding/device",
    "meta/device",
    "openrouter/browser",
    "radius/browser",
    "radius/device",
)
"""`anthropic/device` is the code to copy from a page."""
SLACK_MS = 120_000


@pytest.fixture(scope="module")
def pi() -> PiOracle:
    try:
        return PiOracle()
    except PiUnavailable as unavailable:
        pytest.skip(str(unavailable))


def test_pis_own_logins_pass_the_scripted_servers_and_give_the_entries_that_ours_give(
    pi: PiOracle, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        servers = {way: AuthorizationServer(way.partition("/")[0]) for way in WAYS}
        origins = {way: stack.enter_context(listening(server)) for way, server in servers.items()}
        began_ms = time.time() * 1000
        done = subprocess.run(
            [str(pi.node), str(SCRIPT), str(pi.cli.parent / "chunks"), json.dumps(origins)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env=pi.environment(tmp_path / "agent", {}),
        )
    assert done.returncode == 0, done.stderr
    stored = json.loads(done.stdout)
    for way, entry in stored.items():
        ours = dict(ENTRIES[way.partition("/")[0]])
        lasts_ms = ours.pop("expires") - NOW_S * 1000
        theirs_ms = entry.pop("expires")
        assert entry == ours, way
        if way.startswith(("openrouter", "github-copilot")):  # dates, not lifetimes
            assert theirs_ms == lasts_ms + NOW_S * 1000
        else:
            assert abs(theirs_ms - began_ms - lasts_ms) < SLACK_MS, way
    assert sorted(stored) == sorted(WAYS)
    assert all(server.granted == 1 for server in servers.values())


def test_pi_lists_the_models_of_every_login_that_we_stored(pi: PiOracle, tmp_path: Path) -> None:
    agent_dir = tmp_path / "agent"
    for provider, entry in ENTRIES.items():
        store_entry(auth_path(agent_dir), provider, entry)
    listed = pi.available_models(agent_dir, {})
    assert {name.partition("/")[0] for name in listed} == set(ENTRIES)
    assert "github-copilot/claude-haiku-4.5" in listed
