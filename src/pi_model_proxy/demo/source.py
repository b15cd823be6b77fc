"""The demo models as a source beside pi's files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from pi_model_proxy.catalog import Model
from pi_model_proxy.demo.models import FORMATS, PROVIDER, demo_models
from pi_model_proxy.demo.upstream import DemoUpstream
from pi_model_proxy.sources import Lease, ModelSource, Offer, ProviderReport, Snapshot

__all__ = ["DemoSource", "open_demo"]

ACCOUNT = "api_key"


class DemoSource:
    """Implements `ModelSource` for a running `DemoUpstream`."""

    name = PROVIDER

    def __init__(self, upstream: DemoUpstream) -> None:
        self._upstream = upstream
        models = demo_models(upstream.base_url)
        report = ProviderReport(
            provider=PROVIDER,
            name="Scripted demo",
            account=ACCOUNT,
            usable=True,
            chosen="built in (--demo)",
            note="Scripted answers; no model runs and nothing leaves this machine.",
            models=len(models),
        )
        self._snapshot = Snapshot(
            offers=tuple(Offer(model=model, account=ACCOUNT) for model in models),
            providers=(report,),
            revision=1,
        )
        self._formats = {format_.kind: format_ for format_ in FORMATS}

    @property
    def snapshot(self) -> Snapshot:
        """Every demo model; never changes."""
        return self._snapshot

    def held(self, model: Model) -> Lease | None:  # noqa: ARG002 - the protocol's
        """See `ModelSource.held`."""
        return None

    async def lease(self, model: Model) -> Lease:
        """Return the key of this run's demo upstream."""
        format_, key = self._formats[model.api], self._upstream.key
        return Lease(
            provider=PROVIDER,
            account=ACCOUNT,
            headers={format_.key_header: format_.key_prefix + key},
            base_url=model.base_url,
            secrets=(key,),
        )

    async def lease_after_refusal(self, model: Model, refused: Lease) -> Lease | None:  # noqa: ARG002 - the protocol's
        """Return None: there is no other key."""
        return None

    def alive(self) -> bool:
        """Whether the upstream still listens."""
        return self._upstream.is_open

    def secrets(self) -> Sequence[str]:
        """Return this run's key."""
        return (self._upstream.key,)


async def open_demo(stack: AsyncExitStack) -> Sequence[ModelSource]:
    """Start a demo upstream that lives as long as `stack` and return its source (`server.MoreSources`)."""
    return (DemoSource(await stack.enter_async_context(DemoUpstream())),)
