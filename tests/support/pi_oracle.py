"""The real pi, as an oracle: what it lists for an agent directory, and what it does when run.

pi's published bundle needs Node and nothing else; `scripts/node_cache.py` fetches both into the
project's cache, with pinned hashes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["PI_VERSION", "PiOracle", "PiUnavailable"]

PI_VERSION: Final = "1.5.2"
INSTALL_LIMIT_S: Final = 300
RUN_LIMIT_S: Final = 60
PROJECT: Final = Path(__file__).parents[2]
DEFAULT_CACHE: Final = PROJECT / ".cache"


class PiUnavailable(Exception):
    """Node or pi is not in the cache and could not be fetched."""


class PiOracle:
    """Runs pi with scratch directories; never with the home of whoever runs the tests."""

    def __init__(self, cache_dir: Path = DEFAULT_CACHE) -> None:
        """Find Node and pi in `cache_dir`; fetch them if they are missing from the project's own.

        Raises:
            PiUnavailable: they are missing and could not be fetched.
        """
        self.node = cache_dir / "node" / "node"
        self.package = cache_dir / "pi" / "package"
        self.cli = self.package / "dist" / "bundle" / "cli.js"
        if cache_dir == DEFAULT_CACHE and not (self.node.exists() and self.cli.exists()):
            with _alone(cache_dir):
                _fetch()
        if not (self.node.exists() and self.cli.exists()):
            raise PiUnavailable(f"{cache_dir} holds no pi; `make setup` fetches it")
        version = json.loads((self.package / "package.json").read_text())["version"]
        assert version == PI_VERSION, f"these tests were written against pi {PI_VERSION}, not {version}"

    def command(self, args: Sequence[str]) -> list[str]:
        """Return the command line that runs pi."""
        return [str(self.node), str(self.cli), *args]

    def environment(self, agent_dir: Path, env: Mapping[str, str]) -> dict[str, str]:
        """Return a process environment that holds `env`, the agent directory and nothing of the user's."""
        home = agent_dir.parent / f"{agent_dir.name}-home"
        home.mkdir(exist_ok=True)
        own = {
            "PATH": os.defpath,
            "HOME": str(home),
            "PI_CODING_AGENT_DIR": str(agent_dir),
            "PI_OFFLINE": "1",
            "PI_TELEMETRY": "0",
            "PI_SKIP_VERSION_CHECK": "1",
        }
        return {**own, **env}

    def run(
        self, agent_dir: Path, env: Mapping[str, str], args: Sequence[str], *, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run pi to its end in a folder of its own."""
        environment = self.environment(agent_dir, env)
        return subprocess.run(
            self.command(args),
            input=stdin,
            env=environment,
            cwd=environment["HOME"],
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )

    def records(self, agent_dir: Path, env: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return pi's records of the models it can use, by the RPC command `get_available_models`."""
        request = json.dumps({"id": "1", "type": "get_available_models"}) + "\n"
        done = self.run(agent_dir, env, ["--mode", "rpc", "--no-session"], stdin=request)
        for line in done.stdout.split("\n"):
            answer = json.loads(line) if line else {}
            if answer.get("command") == "get_available_models":
                models = answer["data"]["models"]
                assert isinstance(models, list)
                return models
        raise AssertionError(f"pi gave no list of models: {done.stdout[-500:]}{done.stderr[-500:]}")

    def available_models(
        self, agent_dir: Path, env: Mapping[str, str], *, kinds: Collection[str] = ()
    ) -> set[str]:
        """Return `provider/id` of every model pi can use, of these API kinds only if any are named."""
        return {
            f"{record['provider']}/{record['id']}"
            for record in self.records(agent_dir, env)
            if not kinds or record["api"] in kinds
        }


@contextlib.contextmanager
def _alone(cache_dir: Path) -> Iterator[None]:
    """Keep test processes that run side by side from fetching at once."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / "fetching.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch() -> None:
    script = PROJECT / "scripts" / "node_cache.py"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [sys.executable, str(script)], check=False, capture_output=True, timeout=INSTALL_LIMIT_S
        )
