"""What the server knows of itself: ready, draining, since when, how much it has done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pi_model_proxy import __version__
from pi_model_proxy.config import Settings
from pi_model_proxy.gateway import Gateway, Memory
from pi_model_proxy.limits import SlidingWindow
from pi_model_proxy.server.board import Board, SharedWindow
from pi_model_proxy.sources import Problem

__all__ = ["ServerState"]


class ServerState:
    """Shared by every request of one server."""

    def __init__(
        self, gateway: Gateway, settings: Callable[[], Settings], *, tell: Callable[[Problem], None]
    ) -> None:
        self.gateway = gateway
        self.tell = tell
        """Says something on the console."""
        self.settings = settings
        self.window: SlidingWindow | SharedWindow = SlidingWindow()
        self.memory: Memory | None = None
        """Keeps responses; None where nothing is kept."""
        self.board: Board | None = None
        """What other workers do; None when this process is the only one."""
        self.started_s = time.monotonic()
        self.draining = False
        self._is_loaded = False
        self.active = 0
        """Requests being answered right now."""
        self.answered = 0

    @property
    def ready(self) -> bool:
        """Whether every source has been read once and no end is near."""
        if not self._is_loaded:
            # What has been read once is never unread.
            self._is_loaded = all(source.snapshot.loaded for source in self.gateway.sources)
        return self._is_loaded and not self.draining

    def api_key(self) -> str | None:
        """The gateway's own key, if one is set."""
        key = self.settings().api_key
        return key.reveal() if key is not None else None

    def health(self, *, detailed: bool) -> dict[str, Any]:
        """Return what `/health` says; counts only for a caller that has the key."""
        body: dict[str, Any] = {"status": "ok", "service": "pi-model-proxy", "version": __version__}
        if not detailed:
            return body
        listing = self.gateway.listing()
        answered, active = self._totals()
        providers = {entry.offer.model.provider for entry in listing.usable}
        return body | {
            "ready": self.ready,
            "draining": self.draining,
            "uptime_s": round(time.monotonic() - self.started_s, 1),
            "models": len(listing.usable),
            "providers": len(providers),
            "requests": answered,
            # Whoever asks is not meant.
            "active_requests": max(0, active - 1),
            "workers": self.board.workers if self.board is not None else 1,
            "problems": len(listing.problems),
        }

    def began(self) -> None:
        """One more request is being answered."""
        self.active += 1
        if self.board is not None:
            self.board.note(self.answered, self.active)

    def settled(self) -> None:
        """One more request has been answered."""
        self.answered += 1
        if self.board is not None:
            self.board.note(self.answered, self.active)

    def _totals(self) -> tuple[int, int]:
        if self.board is None:
            return self.answered, self.active
        self.board.note(self.answered, self.active)
        return self.board.totals()
