"""Local servers as a source beside pi's files: looked for again and again, listed while they answer.

A provider of models.json with the same name, or one that leads to the same address, goes first: then nothing is looked
for there. pi's own variables for llama.cpp (`LLAMA_BASE_URL`, `LLAMA_API_KEY`) count, in the environment or in the
credential that pi has stored, and switch the look-up of that one server on in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.catalog import Model
from pi_model_proxy.credentials import ApiKeyCredential, Post, fill_template
from pi_model_proxy.errors import CredentialError, UpstreamError
from pi_model_proxy.providers import Presented, auth_headers
from pi_model_proxy.sources.base import Lease, Offer, ProviderReport, Snapshot
from pi_model_proxy.sources.local.servers import SERVERS, LocalServer
from pi_model_proxy.transport.proxies import ProxyTable

__all__ = ["LocalServers", "LocalSettings"]

PROBE_S: Final = 0.3
"""Longest wait for a server's first answer; it is on this machine."""
DETAIL_S: Final = 2.0
"""Longest wait for what it says of one model."""
LOOK_S: Final = 20.0
"""Between two looks."""
MAX_DETAILS: Final = 1024
"""What was said of so many models is remembered; then it is asked for anew."""
MAX_DETAILS_BYTES: Final = 32 * 1024 * 1024
"""What that may hold together."""
LLAMA: Final = "llama.cpp"
ACCOUNT: Final = "none"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - names of ourselves, not a bind
_OK: Final = 200


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What this source must be told; `repr` shows nothing of the environment."""

    environment: Mapping[str, str]
    discovers: Callable[[], bool]
    """Whether servers are looked for on their usual ports, read anew at each look."""
    own_port: int = 0
    """The gateway's own, never looked at."""
    servers: Sequence[LocalServer] = SERVERS
    look_s: float = LOOK_S

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"LocalSettings(own_port={self.own_port!r})"


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one server is looked for."""

    server: LocalServer
    origin: str
    key: str = ""
    chosen: str
    """How we came to look there, for reports."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"_Place(origin={self.origin!r})"


class LocalServers:
    """Implements `sources.ModelSource` for servers of this machine. Lives in one event loop."""

    name = "local"

    def __init__(
        self,
        settings: LocalSettings,
        *,
        post: Post,
        pi: Callable[[], Snapshot],
        stored: Callable[[str], ApiKeyCredential | None],
    ) -> None:
        """Take `post` for asking, `pi` for what pi's files offer, `stored` for keys in auth.json by provider."""
        self._settings = settings
        self._post = post
        self._pi = pi
        self._stored = stored
        self._proxies = ProxyTable(settings.environment)
        self._snapshot = Snapshot()
        self._places: Mapping[str, _Place] = {}
        self._details: dict[tuple[str, str, bytes], bytes] = {}
        self._details_bytes = 0
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look; returns at once."""
        # Owned here: `close` ends it.
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="find-local-servers")

    async def close(self) -> None:
        """Stop looking."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    @property
    def snapshot(self) -> Snapshot:
        """The models found at the last look; nobody waits for the first one."""
        return self._snapshot

    def alive(self) -> bool:
        """This machine can always be asked."""
        return True

    def secrets(self) -> Sequence[str]:
        """Return the keys of the servers that want one."""
        return tuple(place.key for place in self._places.values() if place.key)

    def held(self, model: Model) -> Lease | None:  # noqa: ARG002 - the protocol's
        """See `ModelSource.held`."""
        return None

    async def lease(self, model: Model) -> Lease:
        """Return what authenticates a request: nothing, or llama.cpp's key.

        Raises:
            CredentialError: the server has gone.
        """
        place = self._places.get(model.provider)
        if place is None:
            raise CredentialError(f"{model.provider}: the local server no longer answers; start it again.")
        presented = Presented(account="none", secret=place.key)
        return Lease(
            provider=model.provider,
            account=ACCOUNT,
            headers=auth_headers(model.provider, model.api, presented),
            base_url=model.base_url,
            secrets=(place.key,) if place.key else (),
            may_be_gateway=True,
        )

    async def lease_after_refusal(self, model: Model, refused: Lease) -> Lease | None:  # noqa: ARG002 - the protocol's
        """Return None: there is no other key."""
        return None

    async def look(self) -> None:
        """Look everywhere once, side by side, and take the answers for the new truth."""
        places = self._wanted()
        answers = await asyncio.gather(*(self._models(place) for place in places))
        found = {
            place.server.provider: (place, models)
            for place, models in zip(places, answers, strict=True)
            if models
        }
        self._places = {provider: place for provider, (place, _) in found.items()}
        snapshot = Snapshot(
            offers=tuple(
                Offer(model=model, account=ACCOUNT, is_discovered=True)
                for _, models in found.values()
                for model in models
            ),
            providers=tuple(_report(place, len(models)) for place, models in found.values()),
            revision=self._snapshot.revision + 1,
        )
        if msgspec.structs.replace(snapshot, revision=self._snapshot.revision) != self._snapshot:
            self._snapshot = snapshot

    async def _watch(self) -> None:
        while True:
            # pi's files say which names and addresses are taken; they are read in some milliseconds.
            if self._pi().loaded:
                await self.look()
                await asyncio.sleep(self._settings.look_s)
            else:
                await asyncio.sleep(PROBE_S)

    def _wanted(self) -> list[_Place]:
        """Return where to look; pure."""
        offers = self._pi().offers
        taken_names = {offer.model.provider for offer in offers}
        taken_places = {_place_of(offer.model.base_url) for offer in offers}
        wanted: list[_Place] = []
        for server in self._settings.servers:
            if server.provider in taken_names:
                continue
            place = self._llama(server) if server.provider == LLAMA else None
            if place is None and self._settings.discovers() and server.port != self._settings.own_port:
                origin = f"http://127.0.0.1:{server.port}"
                # A proxy that takes even these addresses is another machine: it is not asked what it has there.
                if self._proxies.proxy_for(origin) is None:
                    place = _Place(server=server, origin=origin, chosen=f"found at {origin}")
            if place is not None and _place_of(place.origin) not in taken_places:
                wanted.append(place)
        return wanted

    def _llama(self, server: LocalServer) -> _Place | None:
        """Return where pi would ask llama.cpp (pi-coding-agent 1.5.2 `dist/extensions/llama/provider.js`)."""
        environment = self._settings.environment
        entry = self._stored(LLAMA)
        own = entry.env if entry is not None else {}
        origin = _origin(own.get("LLAMA_BASE_URL", "") or environment.get("LLAMA_BASE_URL", ""))
        if not origin:
            return None
        written = entry.key if entry is not None else None
        key = fill_template(written, own=own, environment=environment) if written else None
        chosen = "auth.json (LLAMA_BASE_URL)" if own.get("LLAMA_BASE_URL") else "$LLAMA_BASE_URL"
        key = key or environment.get("LLAMA_API_KEY", "").strip() or "local"
        return _Place(server=server, origin=origin, key=key, chosen=chosen)

    async def _models(self, place: _Place) -> tuple[Model, ...] | None:
        """Return what one server offers; None when it does not answer as such a server does."""
        has_answered = False

        async def ask(path: str, body: bytes = b"") -> bytes:
            nonlocal has_answered
            remembered = (place.origin, path, body)
            if body and remembered in self._details:
                return self._details[remembered]
            answer = await self._ask(place, path, body, DETAIL_S if has_answered else PROBE_S)
            has_answered = has_answered or bool(answer)
            if body and answer:
                self._remember(remembered, answer)
            return answer

        return await place.server.models(ask, place.origin)

    def _remember(self, asked: tuple[str, str, bytes], answer: bytes) -> None:
        if len(self._details) >= MAX_DETAILS or self._details_bytes + len(answer) > MAX_DETAILS_BYTES:
            self._details.clear()
            self._details_bytes = 0
        self._details[asked] = answer
        self._details_bytes += len(answer)

    async def _ask(self, place: _Place, path: str, body: bytes, timeout_s: float) -> bytes:
        headers = {"accept": "application/json"}
        if body:
            headers["content-type"] = "application/json"
        if place.key:
            headers["authorization"] = f"Bearer {place.key}"
        try:
            status, answer = await self._post(f"{place.origin}{path}", headers, body, timeout_s)
        except UpstreamError:
            return b""
        return answer if status == _OK else b""


def _report(place: _Place, models: int) -> ProviderReport:
    return ProviderReport(
        provider=place.server.provider,
        name=place.server.name,
        account=ACCOUNT,
        usable=True,
        chosen=place.chosen,
        models=models,
    )


def _origin(url: str) -> str:
    """Return the address of a llama.cpp server without what people append to it; empty when it is none."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _place_of(base_url: str) -> tuple[str, int]:
    """Return host and port, every name of this machine the same; an address that is none is nowhere."""
    try:
        parts = urlsplit(base_url)
        host, port = (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0
    return ("localhost" if host in _LOOPBACK or host.startswith("127.") else host), port
