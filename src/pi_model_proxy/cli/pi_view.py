"""A look at pi's files without a server: what `models` and `check` print."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pi_model_proxy.config import Configuration, Environment, pi_files_settings
from pi_model_proxy.errors import UpstreamUnreachable
from pi_model_proxy.gateway import Listing
from pi_model_proxy.sources import PiFiles, Snapshot

__all__ = ["look"]


def look(configuration: Configuration, environment: Environment) -> tuple[Listing, Snapshot]:
    """Read pi's files once and return what they offer. Never asks a network, never refreshes a login."""
    return asyncio.run(_look(configuration, environment))


async def _look(configuration: Configuration, environment: Environment) -> tuple[Listing, Snapshot]:
    settings = configuration.settings
    source = PiFiles(pi_files_settings(settings, environment), post=_no_network)
    await source.start()
    try:
        snapshot = await source.ready()
        return Listing([source], ((settings.host, settings.port),)), snapshot
    finally:
        await source.close()


async def _no_network(
    _url: str, _headers: Mapping[str, str], _body: bytes, _timeout_s: float
) -> tuple[int, bytes]:
    raise UpstreamUnreachable("this command asks no network")
