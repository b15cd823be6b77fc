"""A look at every source without a server: what `models` and `check` print."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import msgspec

from pi_model_proxy.config import Configuration, Environment, Settings, pi_files_settings
from pi_model_proxy.errors import UpstreamUnreachable
from pi_model_proxy.gateway import Listing
from pi_model_proxy.sources import ModelSource, PiFiles, PiFilesReader, PiState, Snapshot

__all__ = ["look", "read_state", "sources_beside_pi"]


class OpenSources(Protocol):
    """Opens sources for as long as a stack lasts (what `server.MoreSources` asks for)."""

    async def __call__(self, stack: AsyncExitStack) -> Sequence[ModelSource]:
        """Return the sources; what they need is entered on `stack`."""
        ...


def sources_beside_pi(settings: Settings) -> OpenSources | None:
    """Return what opens the sources that are asked for beside pi's files; None when there are none."""
    if not settings.demo:
        return None
    # The demo upstream is a web server: nobody else pays for its library.
    from pi_model_proxy.demo import open_demo  # noqa: PLC0415

    return open_demo


def read_state(configuration: Configuration, environment: Environment) -> PiState:
    """Read pi's files once, as they are: nothing is chosen, run or asked."""
    return PiFilesReader(pi_files_settings(configuration.settings, environment).agent_dir).read()


def look(configuration: Configuration, environment: Environment) -> tuple[Listing, Snapshot]:
    """Read all sources once: what they offer, and their problems and providers in one snapshot.

    Never asks a network, never refreshes a login.
    """
    return asyncio.run(_look(configuration, environment))


async def _look(configuration: Configuration, environment: Environment) -> tuple[Listing, Snapshot]:
    settings = configuration.settings
    async with AsyncExitStack() as stack:
        pi_files = PiFiles(pi_files_settings(settings, environment), post=_no_network)
        stack.push_async_callback(pi_files.close)
        open_more = sources_beside_pi(settings)
        more = await open_more(stack) if open_more else ()
        snapshot = await pi_files.ready()
        providers = (
            *snapshot.providers,
            *(report for source in more for report in source.snapshot.providers),
        )
        listing = Listing((pi_files, *more), ((settings.host, settings.port),))
        return listing, msgspec.structs.replace(snapshot, providers=providers)


async def _no_network(
    _url: str, _headers: Mapping[str, str], _body: bytes, _timeout_s: float
) -> tuple[int, bytes]:
    raise UpstreamUnreachable("this command asks no network")
