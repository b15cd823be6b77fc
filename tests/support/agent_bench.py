"""A scratch agent directory and a source over it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from pi_model_proxy.catalog import Model
from pi_model_proxy.credentials import Clock
from pi_model_proxy.sources import Offer, PiFiles, PiFilesSettings, ProviderReport, Snapshot
from support.token_endpoint import TokenEndpoint

__all__ = ["NOW_MS", "Bench", "login"]

NOW_MS = 1_800_000_000_000


class Bench:
    """Writes pi's files and asks the source about them; time stands still unless it is turned."""

    def __init__(self, folder: Path) -> None:
        self.agent_dir = folder / "agent"
        self.agent_dir.mkdir()
        self.environment: dict[str, str] = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        self.settings: dict[str, Any] = {}
        self.endpoint = TokenEndpoint()
        self.wall_s = NOW_MS / 1000
        self.running_s = 1000.0

    def write(self, name: str, root: object) -> Path:
        path = self.agent_dir / f"{name}.json"
        path.write_text(root if isinstance(root, str) else json.dumps(root))
        path.chmod(0o600)
        return path

    def source(self) -> PiFiles:
        return PiFiles(
            PiFilesSettings(agent_dir=self.agent_dir, environment=self.environment, **self.settings),
            post=self.endpoint,
            clock=Clock(now_s=lambda: self.wall_s, monotonic_s=lambda: self.running_s),
        )

    def ask(self, story: Callable[[PiFiles], Awaitable[None]]) -> None:
        """Run a story with a source whose watcher is off: it looks when it is asked."""

        async def told() -> None:
            source = self.source()
            try:
                await asyncio.wait_for(_awaited(story(source)), 20)
            finally:
                await source.close()

        asyncio.run(told())

    def snapshot(self) -> Snapshot:
        """Return what a fresh source says."""
        seen: list[Snapshot] = []

        async def story(source: PiFiles) -> None:
            seen.append(await source.ready())

        self.ask(story)
        return seen[0]

    def report(self, provider: str) -> ProviderReport:
        """Return a fresh source's report of one provider."""
        return next(report for report in self.snapshot().providers if report.provider == provider)


async def _awaited(work: Awaitable[None]) -> None:
    await work


def login(expires_ms: float = NOW_MS + 3_600_000, **fields: object) -> dict[str, object]:
    """Return an entry of auth.json whose tokens `TokenEndpoint` knows."""
    return {"type": "oauth", "access": "access-0", "refresh": "refresh-0", "expires": expires_ms, **fields}


def offers_of(snapshot: Snapshot, provider: str) -> tuple[Offer, ...]:
    return tuple(offer for offer in snapshot.offers if offer.model.provider == provider)


def model_of(snapshot: Snapshot, provider: str, model_id: str = "") -> Model:
    return next(o.model for o in offers_of(snapshot, provider) if model_id in {"", o.model.id})


STUB: Mapping[str, Any] = {
    "baseUrl": "http://127.0.0.1:9/v1",
    "api": "openai-completions",
    "models": [{"id": "m1"}],
}
"""A provider for models.json."""
