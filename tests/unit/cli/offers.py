"""Listings made by hand, for what is printed about them."""

from __future__ import annotations

from collections.abc import Sequence

from pi_model_proxy.catalog import Model, Price
from pi_model_proxy.gateway import Listing
from pi_model_proxy.sources import Lease, Offer, Problem, ProviderReport, Snapshot

SERVED = "openai-completions"
NOT_SERVED = "some-kind-of-the-future"


class FixedSource:
    """A source that offers the same for ever and leases nothing."""

    name = "fixed"

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def held(self, model: Model) -> Lease | None:
        """See `ModelSource.held`."""
        return None

    async def lease(self, model: Model) -> Lease:
        raise AssertionError(model)

    async def lease_after_refusal(self, model: Model, refused: Lease) -> Lease | None:
        raise AssertionError(model, refused)

    def alive(self) -> bool:
        return True

    def secrets(self) -> Sequence[str]:
        return ()


def offer(
    ref: str, *, api: str = SERVED, usable: bool = True, reason: str = "", account: str = "api_key"
) -> Offer:
    provider, _, model_id = ref.partition("/")
    model = Model(
        provider=provider,
        id=model_id,
        name=model_id.title(),
        api=api,
        base_url=f"https://{provider}.example/v1",
        reasoning="think" in ref,
        input=("text", "image") if "see" in ref else ("text",),
        cost=Price(input=3, output=15),
        context_window=200_000,
        max_tokens=64_000,
    )
    return Offer(model=model, usable=usable, reason=reason, account=account)


def listing(
    *offers: Offer, reports: Sequence[ProviderReport] = (), problems: Sequence[Problem] = ()
) -> Listing:
    snapshot = Snapshot(offers=offers, providers=tuple(reports), problems=tuple(problems))
    return Listing([FixedSource(snapshot)], (("127.0.0.1", 9876),))
