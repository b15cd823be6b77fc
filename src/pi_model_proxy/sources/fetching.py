"""Newer model lists over the network, for users who want them: off unless `refreshCatalog` is set.

Three places, as in pi: its public catalogue (laid over the built-in one where it is newer), OpenRouter's list of what a
key may use, a Radius gateway's own list. What is fetched counts in this process only; pi's `models-store.json` stays as
pi has written it.

Source: pi-coding-agent 1.5.2 `dist/core/remote-catalog-provider.js`; pi-ai 1.5.2 `dist/providers/openrouter.js`,
`dist/providers/openrouter-api.js`, `dist/providers/radius-config.js`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from pi_model_proxy.catalog import Model, Price, PriceTier, builtin_models, catalog_index, parse_models_store
from pi_model_proxy.catalog.store_file import StoredCatalog
from pi_model_proxy.credentials import Clock
from pi_model_proxy.errors import CredentialError, UpstreamError
from pi_model_proxy.providers import USER_AGENT, Lists, provider_row
from pi_model_proxy.sources.base import Lease, Snapshot
from pi_model_proxy.transport import (
    Deadlines,
    UpstreamHead,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTransport,
)

__all__ = ["CatalogFetcher", "Fetch", "Fetched", "PiSide", "fetch_with"]

CATALOGUE: Final = "https://pi.dev/api/models/providers"
TYPES: Final = "types=chat,image,classifier"
RADIUS_PATH: Final = "/v1/config"
ATTEMPT_S: Final = 4.0
"""pi's limit for one request to its catalogue."""
PERSONAL_S: Final = 15.0
"""pi's limit for OpenRouter's list."""
EVERY_S: Final = 4 * 3600.0
"""Between two rounds (pi's `REMOTE_CATALOG_REFRESH_INTERVAL_MS`)."""
LOOK_S: Final = 5.0
"""Between two looks whether a round is wanted."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""A longer list is given up."""
MAX_ENTRIES: Final = 10_000
SYSTEM_CLOCK: Final = Clock()
_SAFE: Final = "https://"
_OK: Final = 200
_UNCHANGED: Final = 304
_PER_MILLION: Final = 1_000_000


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    status: int
    headers: Mapping[str, str] = {}
    """Names in lower case."""
    body: bytes = b""


Fetch = Callable[[str, Mapping[str, str], float], Awaitable[Fetched]]
"""`await fetch(url, headers, seconds)` sends a GET; raises `UpstreamError` when no whole answer comes."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's list was made of, to ask whether it is still the same."""

    catalog: StoredCatalog
    etag: str = ""


class PiSide(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of the source over pi's files."""

    snapshot: Callable[[], Snapshot]
    lease: Callable[[Model], Awaitable[Lease]]
    take: Callable[[Mapping[str, StoredCatalog]], None]
    """Takes the lists that have been fetched, by provider; they replace those it took before."""


class CatalogFetcher:
    """Fetches now and then. Lives in one event loop."""

    def __init__(
        self,
        fetch: Fetch,
        pi: PiSide,
        *,
        wanted: Callable[[], bool],
        clock: Clock = SYSTEM_CLOCK,
        look_s: float = LOOK_S,
    ) -> None:
        self._fetch = fetch
        self._pi = pi
        self._wanted = wanted
        self._clock = clock
        self._look_s = look_s
        self._listed: dict[str, Listed] = {}
        self._due_s = 0.0
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look whether a round is due; returns at once."""
        # Owned here: `close` ends it.
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="fetch-catalogues")

    async def close(self) -> None:
        """Stop."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def _watch(self) -> None:
        while True:
            if self._wanted() and self._pi.snapshot().loaded and self._clock.monotonic_s() >= self._due_s:
                self._due_s = self._clock.monotonic_s() + EVERY_S
                await self.fetch()
            await asyncio.sleep(self._look_s)

    async def fetch(self) -> None:
        """Ask once for the list of every provider that can be used; one that fails keeps what it had."""
        snapshot = self._pi.snapshot()
        first = {offer.model.provider: offer.model for offer in reversed(snapshot.offers) if offer.usable}
        for provider, model in sorted(first.items()):
            try:
                listed = await self._list(provider, model, snapshot)
            except (UpstreamError, CredentialError, msgspec.DecodeError, ValueError, RecursionError):
                # The next round tries again; until then the list stays as it is.
                continue
            if listed is not None:
                self._listed[provider] = listed
        self._pi.take({provider: listed.catalog for provider, listed in self._listed.items()})

    async def _list(self, provider: str, model: Model, snapshot: Snapshot) -> Listed | None:
        match provider_row(provider).lists:
            case Lists.NONE:
                return None
            case Lists.PUBLIC:
                return await self._public(provider)
            case Lists.OPENROUTER:
                return await self._of_openrouter(provider, snapshot)
            case Lists.RADIUS:
                return await self._of_radius(provider, model)

    async def _public(self, provider: str) -> Listed | None:
        """Return pi's public list; None where there is none, or nothing new."""
        known = self._listed.get(provider)
        headers = {"accept": "application/json", "user-agent": USER_AGENT}
        if known is not None and known.etag:
            headers["if-none-match"] = known.etag
        answer = await self._fetch(f"{CATALOGUE}/{quote(provider, safe='')}?{TYPES}", headers, ATTEMPT_S)
        if answer.status != _OK:
            return known if answer.status == _UNCHANGED else None
        modified_ms = _milliseconds(answer.headers.get("last-modified", ""))
        records = [each for each in _records(msgspec.json.decode(answer.body)) if _is_safe(each)]
        catalog = _catalog(provider, records, modified_ms)
        return Listed(catalog=catalog, etag=answer.headers.get("etag", ""))

    async def _of_openrouter(self, provider: str, snapshot: Snapshot) -> Listed | None:
        """Return the models a key may use, with its limits and prices; None when OpenRouter does not say."""
        newer = await self._public(provider)
        known = {model.id: model for model in builtin_models(provider)}
        if newer is not None and (newer.catalog.last_modified_ms or 0) > catalog_index().generated_at_ms:
            known |= {model.id: model for model in newer.catalog.models}
        chats = (
            o.model
            for o in snapshot.offers
            if o.usable and o.model.provider == provider and o.model.api == "openai-completions"
        )
        model = next(chats, None)
        if model is None:
            return None
        lease = await self._pi.lease(model)
        headers = {
            "accept": "application/json",
            "user-agent": USER_AGENT,
            "authorization": lease.headers.get("authorization", ""),
        }
        answer = await self._fetch(f"{lease.base_url}/models/user", headers, PERSONAL_S)
        if answer.status != _OK:
            return None
        allowed = {
            entry.id: entry for entry in msgspec.json.decode(answer.body, type=_Allowed, strict=False).data
        }
        models = tuple(_personal(model, allowed[model.id]) for model in known.values() if model.id in allowed)
        # An empty list would stand for "nothing fetched"; a key that may use nothing needs no list.
        return Listed(catalog=StoredCatalog(models=models)) if models else None

    async def _of_radius(self, provider: str, model: Model) -> Listed | None:
        """Return a gateway's own list."""
        lease = await self._pi.lease(model)
        gateway = lease.base_url.removesuffix("/v1")
        headers = {
            "accept": "application/json",
            "user-agent": USER_AGENT,
            "authorization": lease.headers.get("authorization", ""),
        }
        answer = await self._fetch(f"{gateway}{RADIUS_PATH}", headers, PERSONAL_S)
        if answer.status != _OK:
            return None
        config = msgspec.json.decode(answer.body, type=_RadiusConfig)
        if gateway.startswith(_SAFE) and not config.base_url.startswith(_SAFE):
            raise ValueError("the list leads to an address that is not https")
        given = {"api": "pi-messages", "baseUrl": config.base_url}
        return Listed(catalog=_catalog(provider, [{**record, **given} for record in config.models], None))


class _Prices(msgspec.Struct):
    prompt: str | float | None = None
    completion: str | float | None = None
    input_cache_read: str | float | None = None
    input_cache_write: str | float | None = None
    min_prompt_tokens: int | None = None
    utc_start: Any = None
    utc_end: Any = None
    utc_days: Any = None
    overrides: list[_Prices] | None = None


class _TopProvider(msgspec.Struct):
    context_length: int | None = None
    max_completion_tokens: int | None = None


class _Entry(msgspec.Struct):
    id: str
    context_length: int | None = None
    top_provider: _TopProvider | None = None
    pricing: _Prices | None = None


class _Allowed(msgspec.Struct):
    data: list[_Entry]


class _RadiusConfig(msgspec.Struct, rename="camel"):
    base_url: str
    models: list[dict[str, Any]]


def _personal(model: Model, entry: _Entry) -> Model:
    """Return a model with the limits and prices of one's own key; a limit that is missing or 0 stays as it was."""
    top = entry.top_provider or _TopProvider()
    return msgspec.structs.replace(
        model,
        context_window=top.context_length or entry.context_length or model.context_window,
        max_tokens=top.max_completion_tokens or model.max_tokens,
        cost=_price(entry.pricing) if entry.pricing is not None else model.cost,
    )


def _price(prices: _Prices) -> Price:
    """Return OpenRouter's dollars a token as dollars a million; prices by time of day cannot be said."""
    fresh, output, read, write = _rates(prices, (0.0, 0.0, 0.0, 0.0))
    tiers: list[PriceTier] = []
    for other in prices.overrides or ():
        by_time = (other.utc_start, other.utc_end, other.utc_days) != (None, None, None)
        if other.min_prompt_tokens is None or by_time:
            continue
        rates = _rates(other, (fresh, output, read, write))
        tiers.append(
            PriceTier(
                input_tokens_above=other.min_prompt_tokens,
                input=rates[0],
                output=rates[1],
                cache_read=rates[2],
                cache_write=rates[3],
            )
        )
    return Price(input=fresh, output=output, cache_read=read, cache_write=write, tiers=tuple(tiers))


_FourRates = tuple[float, float, float, float]
"""Input, output, cache read, cache write."""


def _rates(prices: _Prices, base: _FourRates) -> _FourRates:
    """Return the rates that are told; `base` has those that are not."""
    return (
        _per_million(prices.prompt, base[0]),
        _per_million(prices.completion, base[1]),
        _per_million(prices.input_cache_read, base[2]),
        _per_million(prices.input_cache_write, base[3]),
    )


def _per_million(price: str | float | None, otherwise: float) -> float:
    try:
        value = -1.0 if price is None else float(price)
    except ValueError:
        return otherwise
    # -1 stands for a price that depends on the model a router picks.
    return round(value * _PER_MILLION, 6) if value >= 0 else otherwise


def _records(document: object) -> list[Any]:
    """Return the models of an answer, which has one of three forms.

    Raises:
        ValueError: it has none of them.
    """
    if isinstance(document, dict):
        document = document["models"] if isinstance(document.get("models"), list) else list(document.values())
    if not isinstance(document, list):
        raise ValueError("no list of models")  # noqa: TRY004 - what came is wrong, not what was passed
    return [record for record in document[:MAX_ENTRIES] if isinstance(record, dict)]


def _is_safe(record: Mapping[str, Any]) -> bool:
    """Whether a model's address, to which a key will go, is https; a list is no reason to send it in the clear."""
    url = record.get("baseUrl")
    return not url or (isinstance(url, str) and url.startswith(_SAFE))


def _catalog(provider: str, records: list[Any], modified_ms: float | None) -> StoredCatalog:
    """Read records as those of pi's own store are read; one that is no model is passed over."""
    named = [{**record, "provider": provider} for record in records]
    store = {provider: {"models": named, "lastModified": modified_ms}}
    return parse_models_store(msgspec.json.encode(store).decode(), CATALOGUE).providers[provider]


def _milliseconds(date: str) -> float:
    """Return a header's date; 0 when it is missing or none, as in pi."""
    try:
        return parsedate_to_datetime(date).timestamp() * 1000
    except (ValueError, OverflowError):
        return 0.0


def fetch_with(transport: UpstreamTransport) -> Fetch:
    """Return what sends a GET over `transport` and reads the whole answer, within `MAX_BYTES`."""

    async def fetch(url: str, headers: Mapping[str, str], limit_s: float) -> Fetched:
        request = UpstreamRequest(UpstreamHead("GET", url, headers))
        try:
            async with asyncio.timeout(limit_s):
                response = await transport.open(request, Deadlines(connect_s=limit_s, headers_s=limit_s))
                try:
                    body = await _whole(response)
                    return Fetched(status=response.status, headers=dict(response.headers), body=body)
                finally:
                    response.release()
        except TimeoutError as error:
            raise UpstreamError("A list of models did not come in time.", status=504) from error

    return fetch


async def _whole(response: UpstreamResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.read():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise UpstreamError("A list of models is far too long.", status=502)
    return b"".join(chunks)
