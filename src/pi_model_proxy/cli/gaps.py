"""What pi could use and this gateway cannot yet: models whose API kind has no client half."""

from __future__ import annotations

from collections import Counter

import msgspec
from typing_extensions import override

from pi_model_proxy.gateway import Listing

__all__ = ["Gap", "gaps"]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """One API kind that is missing here, and what it would serve."""

    kind: str
    models: dict[str, int]
    """How many models of which provider, of those pi has a credential for."""

    @override
    def __str__(self) -> str:
        counts = ", ".join(f"{provider} {count}" for provider, count in self.models.items())
        return f"{counts} (API kind {self.kind} has no client half)"


def gaps(listing: Listing) -> list[Gap]:
    """Return the kinds that are missing, in catalogue order; only models that have a usable credential count."""
    found: dict[str, Counter[str]] = {}
    for entry in listing.entries:
        if entry.offer.usable and not entry.served:
            found.setdefault(entry.offer.model.api, Counter())[entry.offer.model.provider] += 1
    return [Gap(kind=kind, models=dict(counts)) for kind, counts in found.items()]
