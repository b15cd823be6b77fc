"""Asking an upstream: lease, open, and the few second tries that cannot double anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.gateway.headers import HOP_HEADER, hop_chain
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.redact import looks_secret
from pi_model_proxy.gateway.timelimit import TimeLimit
from pi_model_proxy.ledger import Attempt, Recorder
from pi_model_proxy.ledger import Entry as LedgerEntry
from pi_model_proxy.sources import Lease, Signer
from pi_model_proxy.transport import (
    Deadlines,
    UpstreamHead,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTransport,
)

__all__ = ["LARGE_BODY_BYTES", "MAX_BODY_BYTES", "Attempts", "Opened", "read_all", "read_at_once"]

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""A plain answer may be this long."""
MAX_ERROR_BYTES: Final = 256 * 1024
"""As much of an error body as is read."""
LARGE_BODY_BYTES: Final = 512 * 1024
"""A request longer than this is encoded in a thread, so that other streams go on."""
ERROR_BODY_S: Final = 5.0
"""As long as is waited for it."""
_REFUSED: Final = 401
_REFUSED_SIGNATURE: Final = 403
"""What Amazon answers to a credential that has lapsed or is unknown."""
_UPSTREAM_IDS: Final = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")


class Opened(msgspec.Struct, frozen=True):
    """An upstream that has said yes."""

    response: UpstreamResponse
    outgoing: Outgoing


class Attempts:
    """Opens a plan's upstream, at most once more after a stale credential, and once with a mended body."""

    def __init__(
        self, transport: UpstreamTransport, recorder: Recorder, redact: Callable[[str], str]
    ) -> None:
        self._transport = transport
        self._recorder = recorder
        self._redact = redact

    async def open(self, plan: Plan, entry: LedgerEntry, deadlines: Deadlines) -> Opened:
        """Return the upstream's answer once its status says that it is one.

        Raises:
            CredentialError: there is nothing to authenticate with.
            UpstreamError: the upstream said no, or nothing.
            BadRequest, UnsupportedFeature: the request cannot be put in its words.
        """
        offered = plan.way.entry
        source, model = offered.source, offered.offer.model
        lease = source.held(model)
        sending = plan.way.sending(await source.lease(model) if lease is None else lease)
        refreshed = mended_once = False
        if len(plan.call.body) > LARGE_BODY_BYTES:
            outgoing = await asyncio.to_thread(plan.encode, sending)
        else:
            outgoing = plan.encode(sending)
        while True:
            lease = sending.lease
            entry.account = lease.account
            attempt = Attempt(provider=lease.provider)
            self._recorder.attempt(entry, attempt)
            head = sending.head(outgoing, _hops(plan.call.headers), plan.traits(sending))
            if lease.sign is not None:
                head = await _signed(lease.sign, head, outgoing.body)
            try:
                response = await self._transport.open(UpstreamRequest(head, outgoing.body), deadlines)
                attempt.status = response.status
                attempt.upstream_id = self._upstream_id(response, lease)
                if 200 <= response.status < 300:  # noqa: PLR2004 - the HTTP success class
                    return Opened(response, outgoing)
                raise await self._refusal(plan, response)
            except UpstreamError as error:
                attempt.error = error.proxy_error
                if _is_stale(error, lease) and not refreshed:
                    refreshed = True
                    renewed = await source.lease_after_refusal(model, lease)
                    if renewed is not None:
                        sending = plan.way.sending(renewed)
                        continue
                mended = None if mended_once else plan.mend(outgoing.body, error)
                if mended is None:
                    raise
                mended_once = True
                outgoing = msgspec.structs.replace(outgoing, body=mended)

    def _upstream_id(self, response: UpstreamResponse, lease: Lease) -> str | None:
        """Return the provider's id of this request; it knows no other secrets than those it was sent."""
        headers = response.headers
        for name in _UPSTREAM_IDS:
            given = headers.get(name)
            if given:
                if looks_secret(given, lease.secrets):
                    given = self._redact(given)
                return given[:100]
        return None

    async def _refusal(self, plan: Plan, response: UpstreamResponse) -> UpstreamError:
        body = await read_some(response, MAX_ERROR_BYTES)
        if response.status < 400:  # noqa: PLR2004 - where HTTP's errors begin
            return UpstreamError(
                f"The provider answered with a redirect ({response.status}), which is never followed; "
                "correct the provider's base URL.",
                status=502,
                proxy_error="http_protocol_error",
            )
        error = plan.way.client.decode_error(response.status, response.headers, body)
        if error.kind == "upstream_auth":
            # The caller's own key is fine: say whose credential was refused, and where to mend it.
            error.message = (
                f"{plan.target.provider} refused the credential that pi has for it: {error.message} "
                "Correct the key, or log in again with /login in pi."
            )
        return error


def _hops(headers: Mapping[str, str]) -> str:
    """Return the gateways that a request has been through, as they are passed on."""
    return ",".join(hop_chain(headers)) if HOP_HEADER in headers else ""


def _is_stale(error: UpstreamError, lease: Lease) -> bool:
    """Whether the credential was refused, not what was asked for."""
    if error.status == _REFUSED:
        return True
    return lease.sign is not None and error.status == _REFUSED_SIGNATURE and error.kind == "upstream_auth"


async def _signed(sign: Signer, head: UpstreamHead, body: bytes) -> UpstreamHead:
    """Return the head with a signature over this body at this moment; never kept."""
    if len(body) > LARGE_BODY_BYTES:
        headers = await asyncio.to_thread(sign, head.method, head.url, head.headers, body)
    else:
        headers = sign(head.method, head.url, head.headers, body)
    return UpstreamHead(head.method, head.url, headers)


async def read_some(response: UpstreamResponse, limit: int) -> bytes:
    """Return up to `limit` bytes of a body whose rest does not matter, then let the connection go."""
    chunks: list[bytes] = []
    size = 0
    try:
        with TimeLimit(ERROR_BODY_S):
            while size < limit and (chunk := await response.read()):
                chunks.append(chunk)
                size += len(chunk)
    except (BrokenStream, TimeoutError):
        # What has arrived explains the refusal as well as it can; the status is already known.
        response.abort()
    response.release()
    return b"".join(chunks)[:limit]


def read_at_once(response: UpstreamResponse) -> bytes | None:
    """Return a whole body that is here already, as that of most short answers is; else None, and nothing is lost.

    Raises:
        BrokenStream: it is longer than `MAX_BODY_BYTES`, or not compressed as announced.
    """
    whole = response.whole()
    if whole is None:
        return None
    if len(whole) > MAX_BODY_BYTES:
        raise _too_long(response)
    response.release()
    return whole


def _too_long(response: UpstreamResponse) -> BrokenStream:
    response.abort()
    return BrokenStream(
        f"The provider's answer is longer than {MAX_BODY_BYTES // 1024 // 1024} MiB; it was given up.",
        proxy_error="http_response_body_size",
    )


async def read_all(response: UpstreamResponse) -> bytes:
    """Return a whole body.

    Raises:
        BrokenStream: it is longer than `MAX_BODY_BYTES`, or was cut.
    """
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.read():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_long(response)
    response.release()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
