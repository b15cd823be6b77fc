"""Whether providers answer: one GET of each base address over our own transport, without any credential.

Whatever status comes back shows that name, network, proxy and TLS are in order: without a credential most say 401 or 404.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.cli.checkup.clock import skew_findings
from pi_model_proxy.cli.checkup.finding import Finding
from pi_model_proxy.config import Environment, Settings, is_loopback_host
from pi_model_proxy.credentials import oauth_row, token_url
from pi_model_proxy.errors import CredentialError, UpstreamError
from pi_model_proxy.providers import USER_AGENT, base_url_of
from pi_model_proxy.sources import PiState, ProviderReport, Snapshot
from pi_model_proxy.transport import Deadlines, UpstreamHead, UpstreamRequest, UpstreamTransport

__all__ = ["Place", "places_of", "reach_findings"]

AT_ONCE: Final = 8
PATIENCE_S: Final = 15.0
"""For headers, after the connection."""
SERVER_ERROR: Final = 500


class Place(msgspec.Struct, frozen=True):
    """An address to ask, and who is behind it."""

    url: str
    """Without user, query and fragment: nothing that could be a credential."""
    names: tuple[str, ...]


class _Came(msgspec.Struct, frozen=True, kw_only=True):
    place: Place
    status: int = 0
    """0: no answer."""
    error: str = ""
    cause: str = ""
    took_s: float = 0.0
    skew_s: float | None = None


def reach_findings(
    settings: Settings, environment: Environment, snapshot: Snapshot, state: PiState
) -> list[Finding]:
    """Ask every provider that has a usable credential, and where logins are renewed."""
    places, unknown = places_of(snapshot, state, environment)
    findings = [*unknown]
    if not places:
        what = "no provider has a usable credential, so none was asked"
        return [*findings, Finding(topic="reach", level="note", what=what)]
    answers = asyncio.run(_ask_all(places, settings, environment))
    findings += [_judged(came) for came in answers]
    findings += skew_findings([came.skew_s for came in answers if came.skew_s is not None])
    return findings


def places_of(
    snapshot: Snapshot, state: PiState, environment: Mapping[str, str]
) -> tuple[list[Place], list[Finding]]:
    """Return the addresses to ask, each once, and what is to be said of those that cannot be made out."""
    names: dict[str, list[str]] = {}
    unknown: list[Finding] = []
    for report in snapshot.providers:
        if not report.usable:
            continue
        try:
            for url in _addresses(report, snapshot, environment):
                names.setdefault(_bare(url), []).append(report.provider)
            known = oauth_row(report.provider, state.gateways)
            if report.account == "oauth" and known is not None:
                names.setdefault(_bare(token_url(known, environment)), []).append(
                    f"{report.provider}'s logins"
                )
        except (CredentialError, ValueError) as error:
            what = (
                f"its address is not known ({error.message if isinstance(error, CredentialError) else error})"
            )
            unknown.append(Finding(topic="reach", level="warning", where=report.provider, what=what))
    return [Place(url, tuple(dict.fromkeys(who))) for url, who in names.items()], unknown


def _addresses(report: ProviderReport, snapshot: Snapshot, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield one address for each host of a provider's models that can be used.

    Raises:
        CredentialError: a variable that it needs is not set.
    """
    hosts: set[str] = set()
    for offer in snapshot.offers:
        if offer.usable and offer.model.provider == report.provider:
            url = base_url_of(offer.model, environment)
            host = urlsplit(url).netloc
            if host and host not in hosts:
                hosts.add(host)
                yield url


def _bare(url: str) -> str:
    """Return an address without what could be a credential.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it is no http:// or https:// address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


async def _ask_all(places: Sequence[Place], settings: Settings, environment: Environment) -> list[_Came]:
    # Only this needs the HTTP client.
    from pi_model_proxy.transport.http1 import Http1Transport  # noqa: PLC0415

    transport = Http1Transport(environment, ca_file=str(settings.ca_file) if settings.ca_file else None)
    limits = Deadlines(connect_s=settings.connect_timeout_ms / 1000, headers_s=PATIENCE_S)
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(place: Place) -> _Came:
        async with room:
            return await _asked(place, transport, limits)

    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask(place)) for place in places]
        return [task.result() for task in asked]
    finally:
        await transport.close()


async def _asked(place: Place, transport: UpstreamTransport, limits: Deadlines) -> _Came:
    head = UpstreamHead("GET", place.url, {"accept": "*/*", "user-agent": USER_AGENT})
    began_s = time.monotonic()
    try:
        answer = await transport.open(UpstreamRequest(head), limits)
    except UpstreamError as error:
        return _Came(place=place, error=error.message, cause=error.proxy_error)
    # The headers say all: the rest of an unknown page is not waited for.
    answer.abort()
    return _Came(
        place=place,
        status=answer.status,
        took_s=time.monotonic() - began_s,
        skew_s=_skew(answer.headers.get("date", "")),
    )


def _skew(date: str) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _judged(came: _Came) -> Finding:
    where = ", ".join(came.place.names)
    if not came.status:
        what = f"{came.place.url}: {came.cause}: {came.error}"
        near = is_loopback_host(urlsplit(came.place.url).hostname or "")
        fix = (
            "start that server, or mend baseUrl in models.json"
            if near
            else "see Network above, and whether this machine may reach it"
        )
        return Finding(topic="reach", level="error", where=where, what=what, fix=fix)
    what = f"{came.place.url} answers (HTTP {came.status}, {came.took_s * 1000:.0f} ms)"
    if came.status >= SERVER_ERROR:
        fix = "look at the provider's status page"
        return Finding(topic="reach", level="warning", where=where, what=f"{what}: it is not well", fix=fix)
    return Finding(topic="reach", level="ok", where=where, what=what)
