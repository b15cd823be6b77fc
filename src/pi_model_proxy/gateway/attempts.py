"""Asking an upstream: lease, open, and the few second tries that cannot double anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.gateway.headers import HOP_HEADER, join_betas
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.ledger import Attempt, Recorder
from pi_model_proxy.ledger import Entry as LedgerEntry
from pi_model_proxy.sources import Lease
from pi_model_proxy.transport import Deadlines, UpstreamRequest, UpstreamResponse, UpstreamTransport

__all__ = ["MAX_BODY_BYTES", "Attempts", "Opened", "read_all"]

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""A plain answer may be this long."""
MAX_ERROR_BYTES: Final = 256 * 1024
"""As much of an error body as is read."""
LARGE_BODY_BYTES: Final = 512 * 1024
"""A request longer than this is encoded in a thread, so that other streams go on."""
_REFUSED: Final = 401
_UPSTREAM_IDS: Final = ("x-request-id", "request-id", "cf-ray")


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream that has said yes."""

    response: UpstreamResponse
    outgoing: Outgoing
    lease: Lease


class Attempts:
    """Opens a plan's upstream, at most once more after a stale credential, and once with a mended body."""

    def __init__(
        self, transport: UpstreamTransport, recorder: Recorder, hop: str, redact: Callable[[str], str]
    ) -> None:
        self._transport = transport
        self._recorder = recorder
        self._hop = hop
        self._redact = redact

    async def open(self, plan: Plan, entry: LedgerEntry, deadlines: Deadlines) -> Opened:
        """Return the upstream's answer once its status says that it is one.

        Raises:
            CredentialError: there is nothing to authenticate with.
            UpstreamError: the upstream said no, or nothing.
            BadRequest, UnsupportedFeature: the request cannot be put in its words.
        """
        model = plan.entry.offer.model
        lease = await plan.entry.source.lease(model)
        refreshed = mended_once = False
        outgoing = await self._encode(plan, lease)
        while True:
            entry.account = lease.account
            try:
                response = await self._send(plan, outgoing, lease, entry, deadlines)
            except UpstreamError as error:
                if error.status == _REFUSED and not refreshed:
                    refreshed = True
                    renewed = await plan.entry.source.lease_after_refusal(model, lease)
                    if renewed is not None:
                        lease = renewed
                        continue
                mended = None if mended_once else plan.client.mend(outgoing.body, error)
                if mended is None:
                    raise
                mended_once = True
                outgoing = msgspec.structs.replace(outgoing, body=mended)
                continue
            return Opened(response=response, outgoing=outgoing, lease=lease)

    async def _encode(self, plan: Plan, lease: Lease) -> Outgoing:
        if len(plan.call.body) > LARGE_BODY_BYTES:
            return await asyncio.to_thread(plan.encode, lease.identity)
        return plan.encode(lease.identity)

    async def _send(
        self, plan: Plan, outgoing: Outgoing, lease: Lease, entry: LedgerEntry, deadlines: Deadlines
    ) -> UpstreamResponse:
        attempt = Attempt(provider=lease.provider)
        self._recorder.attempt(entry, attempt)
        request = UpstreamRequest(
            method="POST",
            url=lease.base_url + outgoing.path,
            headers=self._headers(plan, outgoing, lease),
            body=outgoing.body,
        )
        try:
            response = await self._transport.open(request, deadlines)
            attempt.status = response.status
            upstream_id = next((response.headers[n] for n in _UPSTREAM_IDS if n in response.headers), "")
            attempt.upstream_id = self._redact(upstream_id)[:100]
            if not 200 <= response.status < 300:  # noqa: PLR2004 - the HTTP success class
                raise await self._refusal(plan, response)
        except UpstreamError as error:
            attempt.error = error.proxy_error
            attempt.status = attempt.status or 0
            raise
        return response

    def _headers(self, plan: Plan, outgoing: Outgoing, lease: Lease) -> Mapping[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if outgoing.stream else "application/json",
            **outgoing.headers,
            **plan.request_headers(lease.base_url),
            **lease.headers,
        }
        if "anthropic-beta" in outgoing.headers and "anthropic-beta" in lease.headers:
            headers["anthropic-beta"] = join_betas(
                lease.headers["anthropic-beta"], outgoing.headers["anthropic-beta"]
            )
        if lease.may_be_gateway:
            chain = [*filter(None, (plan.call.headers.get(HOP_HEADER, ""),)), self._hop]
            headers[HOP_HEADER] = ",".join(chain)
        return headers

    async def _refusal(self, plan: Plan, response: UpstreamResponse) -> UpstreamError:
        body = await read_some(response, MAX_ERROR_BYTES)
        if response.status < 400:  # noqa: PLR2004 - where HTTP's errors begin
            return UpstreamError(
                f"The provider answered with a redirect ({response.status}), which is never followed; "
                "correct the provider's base URL.",
                status=502,
                proxy_error="http_protocol_error",
            )
        error = plan.client.decode_error(response.status, response.headers, body)
        if error.kind == "upstream_auth":
            # The caller's own key is fine: say whose credential was refused, and where to mend it.
            error.message = (
                f"{plan.target.provider} refused the credential that pi has for it: {error.message} "
                "Correct the key, or log in again with /login in pi."
            )
        return error


async def read_some(response: UpstreamResponse, limit: int) -> bytes:
    """Return up to `limit` bytes of a body whose rest does not matter, then let the connection go."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(5):
            while size < limit and (chunk := await response.read()):
                chunks.append(chunk)
                size += len(chunk)
    except (BrokenStream, TimeoutError):
        # What has arrived explains the refusal as well as it can; the status is already known.
        response.abort()
    response.release()
    return b"".join(chunks)[:limit]


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
            response.abort()
            raise BrokenStream(
                f"The provider's answer is longer than {MAX_BODY_BYTES // 1024 // 1024} MiB; it was given up.",
                proxy_error="http_response_body_size",
            )
    response.release()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
