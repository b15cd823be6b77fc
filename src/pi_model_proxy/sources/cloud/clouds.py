"""From credentials of a cloud to what authenticates a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from pi_model_proxy.catalog import Model
from pi_model_proxy.credentials import Clock, Post
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.providers import BedrockPlace, Means, Provider, bedrock_place
from pi_model_proxy.sources.base import Signer
from pi_model_proxy.sources.cloud.amazon import Amazon, KeysWanted, signer
from pi_model_proxy.sources.cloud.federation import TOKEN_HEADERS, Federation
from pi_model_proxy.sources.cloud.google import Google

__all__ = ["Asked", "Clouds", "Given"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to be authenticated."""

    provider: str
    row: Provider
    base_url: str
    region: str
    """Bedrock's; empty elsewhere."""
    own: Mapping[str, str]
    """The credential's own variables."""
    environment: Mapping[str, str]
    fresh: bool = False
    """What was kept has been refused."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The credential's own over the environment's."""
        return {**self.environment, **{name: value for name, value in self.own.items() if value}}


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What authenticates it; `repr` shows nothing."""

    bearer: str = ""
    """An access token, sent as `authorization: Bearer`."""
    headers: Mapping[str, str] = {}
    """Sent beside it."""
    sign: Signer | None = None
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return "Given()"


class Clouds:
    """The clouds that there are, each with what it has given so far. Lives in one event loop."""

    def __init__(self, post: Post, clock: Clock) -> None:
        self._amazon = Amazon(clock)
        self._google = Google(clock)
        self._federation = Federation(post, clock)
        self._ways: Final[Mapping[Means, Callable[[Asked], Awaitable[Given]]]] = {
            Means.SIGV4: self._signed,
            Means.GOOGLE: self._by_google,
            Means.FEDERATION: self._federated,
        }

    async def authenticate(self, asked: Asked) -> Given:
        """Return what authenticates the request.

        Raises:
            CredentialError: nothing can; says what to do.
        """
        way = self._ways.get(asked.row.means) if asked.row.means is not None else None
        return Given() if way is None else await way(asked)

    async def bedrock_place(
        self, model: Model, own: Mapping[str, str], environment: Mapping[str, str]
    ) -> BedrockPlace:
        """Return region and address, asking the profile if nothing else names the region.

        Raises:
            CredentialError: nothing names one.
        """
        place = bedrock_place(model.id, model.base_url, own=own, environment=environment)
        if place is None and environment.get("AWS_PROFILE"):
            region = await self._amazon.region(model.provider)
            place = bedrock_place(
                model.id, model.base_url, own=own, environment=environment, profile_region=region
            )
        if place is None:
            raise CredentialError(
                f"{model.provider}: no region; set AWS_REGION to one (us-east-1, say), or `region` in the AWS profile."
            )
        return place

    async def _signed(self, asked: Asked) -> Given:
        wanted = KeysWanted(
            own=asked.own, environment=asked.environment, region=asked.region, fresh=asked.fresh
        )
        keys = await self._amazon.keys(asked.provider, wanted)
        return Given(
            sign=signer(keys, asked.region), secrets=tuple(filter(None, (keys.secret_key, keys.token)))
        )

    async def _by_google(self, asked: Asked) -> Given:
        variable, usual = asked.row.ambient_file
        file = asked.variables.get(variable, "").strip() or usual
        if file.startswith("~"):
            file = asked.environment.get("HOME", str(Path.home())) + file[1:]
        token = await self._google.token(asked.provider, file, fresh=asked.fresh)
        headers = {"x-goog-user-project": token.quota_project} if token.quota_project else {}
        return Given(bearer=token.access, headers=headers, secrets=(token.access,))

    async def _federated(self, asked: Asked) -> Given:
        token = await self._federation.token(
            asked.provider, asked.base_url, asked.variables, fresh=asked.fresh
        )
        return Given(bearer=token, headers=TOKEN_HEADERS, secrets=(token,))
