"""The models that can be named right now, whichever source they come from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.catalog import Model
from pi_model_proxy.dialects.base import ClientHalf
from pi_model_proxy.dialects.table import CLIENTS
from pi_model_proxy.errors import KindNotServed, UnknownModel
from pi_model_proxy.hub import Target
from pi_model_proxy.providers import detected_compat
from pi_model_proxy.routing import Directory
from pi_model_proxy.sources import ModelSource, Offer, Problem

__all__ = ["Entry", "Listing"]

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - names of ourselves, not a bind


class Entry(msgspec.Struct, frozen=True):
    """One offer, with the source to lease it from."""

    offer: Offer
    source: ModelSource
    own: bool
    """True when its base URL is this very gateway."""
    target: Target
    """What a codec must know of the model; a request adds what it asks for."""

    @property
    def ref(self) -> str:
        """`provider/id`."""
        return self.offer.model.ref

    @property
    def bare(self) -> str:
        """The id alone."""
        return self.offer.model.id

    @property
    def served(self) -> bool:
        """Whether its API kind has a client half."""
        return self.offer.model.api in CLIENTS

    @property
    def usable(self) -> bool:
        """Whether a request for it can be sent."""
        return self.offer.usable and self.served and not self.own

    @property
    def yields(self) -> bool:
        """Whether its bare id means another model, if another has the same."""
        return self.offer.is_discovered

    def client(self) -> ClientHalf:
        """Return the client half that speaks to it.

        Raises:
            KindNotServed: its API kind has none.
            UnknownModel: it cannot be used; says why.
        """
        model = self.offer.model
        if not self.served:
            raise KindNotServed(
                f"model: {model.ref} speaks {model.api!r}, which this version cannot serve yet; choose another model.",
                param="model",
            )
        if self.own:
            raise UnknownModel(
                f"model: {model.ref} points back at this gateway itself (see models.json).", param="model"
            )
        if not self.offer.usable:
            raise UnknownModel(
                f"model: {model.ref} cannot be used: {self.offer.reason or 'its provider has no credential'}.",
                param="model",
            )
        return CLIENTS[model.api]


_VENDORS: Final = {
    "anthropic-messages": "//api.anthropic.com",
    "openai-responses": "//api.openai.com",
    "openai-completions": "//api.openai.com",
    "google-generative-ai": "//generativelanguage.googleapis.com",
}


def target_of(model: Model) -> Target:
    """Return what a codec must know of `model`; detected quirks give way to written ones."""
    vendor = _VENDORS.get(model.api)
    return Target(
        provider=model.provider,
        model=model.id,
        public_model=model.ref,
        model_name=model.name,
        kind=model.api,
        reasoning=model.reasoning,
        thinking_levels=model.thinking_level_map,
        takes_images="image" in model.input,
        max_output=model.max_tokens,
        context_tokens=model.context_window,
        compat={**detected_compat(model.provider, model.base_url, model.api, model.id), **model.compat},
        sampling_params=model.sampling_params,
        sampling_params_by_level=model.sampling_params_by_thinking_level,
        hosted_by_vendor=vendor is not None and vendor in model.base_url,
    )


class Listing:
    """All sources' offers at one moment, with a directory over them."""

    def __init__(self, sources: Sequence[ModelSource], own_addresses: tuple[tuple[str, int], ...]) -> None:
        self._seen = tuple((source, source.snapshot, source.alive()) for source in sources)
        self._own_addresses = own_addresses
        self.entries: tuple[Entry, ...] = tuple(
            Entry(offer, source, is_own(offer.model.base_url, own_addresses), target_of(offer.model))
            for source in sources
            if source.alive()
            for offer in source.snapshot.offers
        )
        self.usable: tuple[Entry, ...] = tuple(entry for entry in self.entries if entry.usable)
        self.problems: tuple[Problem, ...] = tuple(p for source in sources for p in source.snapshot.problems)
        self.directory: Directory[Entry] = Directory(self.entries)

    def is_current(self, own_addresses: tuple[tuple[str, int], ...]) -> bool:
        """Tell whether the sources still offer what they did."""
        for source, snapshot, alive in self._seen:
            if source.snapshot is not snapshot or source.alive() is not alive:
                return False
        return own_addresses == self._own_addresses


def is_own(base_url: str, own_addresses: Collection[tuple[str, int]]) -> bool:
    """Tell whether `base_url` is one of our own listening addresses; every loopback name is the same host."""
    if not own_addresses or "{" in base_url:
        return False
    try:
        parts = urlsplit(base_url)
        host, port = (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    for own_host, own_port in own_addresses:
        same_host = host == own_host or (_is_loopback(host) and _is_loopback(own_host))
        if port == own_port and same_host:
            return True
    return False


def _is_loopback(host: str) -> bool:
    return host in _LOOPBACK or host.startswith("127.") or host.endswith(".localhost")
