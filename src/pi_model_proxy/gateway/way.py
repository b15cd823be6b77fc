"""The way to a model: everything that requests for the same name have in common, worked out once.

Kept while the models, the settings and, for what is sent, the leased credential stay the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import ClientHalf, Outgoing, Relay, ServerHalf
from pi_model_proxy.dialects.table import DIALECTS, Dialect
from pi_model_proxy.gateway.headers import HOP_HEADER, join_betas
from pi_model_proxy.gateway.listing import Entry, Listing
from pi_model_proxy.gateway.settings import AnswerSettings
from pi_model_proxy.hub import Target
from pi_model_proxy.providers import url_below, wants_traits
from pi_model_proxy.sources import Lease
from pi_model_proxy.transport import Deadlines, UpstreamHead
from pi_model_proxy.wire import SharedHeaders

__all__ = ["Sending", "Way", "Ways"]

MAX_WAYS: Final = 1024
"""Names as callers write them; beyond this the memory is emptied, not grown."""
MAX_HEADS: Final = 64
"""Header sets that differ by what a caller asked for (beta flags, sessions)."""


class Sending:
    """A way with the credential of one lease: whom a body is written for, and the heads it is sent under."""

    __slots__ = ("_heads", "_hop", "lease", "target", "wants_traits")

    def __init__(self, target: Target, lease: Lease, hop: str) -> None:
        self.lease = lease
        self.target = (
            target
            if target.identity == lease.identity
            else msgspec.structs.replace(target, identity=lease.identity)
        )
        self.wants_traits = wants_traits(target.provider, lease.base_url)
        """Whether some header depends on the request's content."""
        self._hop = hop
        self._heads: dict[object, UpstreamHead] = {}

    def head(self, outgoing: Outgoing, caller_hop: str, traits: Mapping[str, str]) -> UpstreamHead:
        """Return the head for a request: the format's headers, then the request's, then the credential's."""
        key: object = (outgoing.path, outgoing.stream)
        if outgoing.headers or caller_hop or traits:
            key = (key, tuple(outgoing.headers.items()), caller_hop, tuple(traits.items()))
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            url = url_below(self.lease.base_url, outgoing.path)
            head = self._heads[key] = UpstreamHead("POST", url, self._headers(outgoing, caller_hop, traits))
        return head

    def _headers(self, outgoing: Outgoing, caller_hop: str, traits: Mapping[str, str]) -> dict[str, str]:
        lease = self.lease
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if outgoing.stream else "application/json",
            **outgoing.headers,
            **traits,
            **lease.headers,
        }
        if "anthropic-beta" in outgoing.headers and "anthropic-beta" in lease.headers:
            headers["anthropic-beta"] = join_betas(
                lease.headers["anthropic-beta"], outgoing.headers["anthropic-beta"]
            )
        if lease.may_be_gateway:
            headers[HOP_HEADER] = f"{caller_hop},{self._hop}" if caller_hop else self._hop
        return headers


class Way:
    """From one dialect, under one name, to one model."""

    __slots__ = (
        "_hop", "_sending", "client", "dialect", "entry", "is_forgetful", "price", "provider", "ref", "relay",
        "server", "stream_headers", "target",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, entry: Entry, target: Target, hop: str) -> None:
        if dialect.server is None:
            raise LookupError(dialect.name)
        self.dialect = dialect
        """The caller's."""
        self.server: ServerHalf = dialect.server
        self.entry = entry
        self.ref = entry.ref
        self.provider = entry.offer.model.provider
        self.client: ClientHalf = entry.client()
        self.relay: Relay | None = dialect.relay if self.client.dialect == dialect.server.dialect else None
        """What passes bytes on, when both sides speak the same dialect."""
        self.target = target
        self.is_forgetful = target.reasoning and not dialect.carries_tokens
        """Whether what the model thinks may not come back with the caller's next request."""
        self.price = entry.offer.model.cost
        self.stream_headers = SharedHeaders(
            {
                "content-type": dialect.stream_type,
                "cache-control": "no-cache",
                "x-accel-buffering": "no",
            }
        )
        self._hop = hop
        self._sending: Sending | None = None

    def sending(self, lease: Lease) -> Sending:
        """Return what requests under this lease have in common."""
        sending = self._sending
        if sending is None or sending.lease is not lease:
            sending = self._sending = Sending(self.target, lease, self._hop)
        return sending


class Ways:
    """Every way that has been asked for, under one listing and one set of settings."""

    def __init__(self, listing: Listing, settings: AnswerSettings, hop: str) -> None:
        self.listing = listing
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        """The one that all of a gateway's requests are answered in (asking for it is a system call on Python 3.11)."""
        self._hop = hop
        self._known: dict[tuple[str, str | None, bool], Way] = {}
        timeout_s = settings.request_timeout_ms / 1000
        total_s = settings.total_timeout_ms / 1000
        self.silence_s = timeout_s
        self.total_s = total_s
        """Longest duration of any answer; 0 = no limit."""
        self.whole_s = min(timeout_s, total_s) if total_s else timeout_s
        """Longest duration of an answer that is not streamed."""
        connect_s = settings.connect_timeout_ms / 1000
        self.deadlines = Deadlines(connect_s=connect_s, headers_s=self.whole_s)
        self.within_limit = Deadlines(connect_s=connect_s, headers_s=None)
        """For an answer whose whole course has a limit of its own."""

    def find(self, dialect: str, name: str | None, *, strict: bool, note: Callable[[Entry], None]) -> Way:
        """Return the way that a caller of `dialect` means by `name`; `note` hears of the model before it is refused.

        Raises:
            BadRequest, UnknownModel, KindNotServed: there is none.
        """
        key = (dialect, name, strict)
        way = self._known.get(key)
        if way is None:
            if len(self._known) >= MAX_WAYS:
                self._known.clear()
            way = self._known[key] = self._new(dialect, name, strict=strict, note=note)
        return way

    def _new(self, dialect: str, name: str | None, *, strict: bool, note: Callable[[Entry], None]) -> Way:
        settings = self.settings
        choice = self.listing.directory.resolve(
            name, aliases=settings.aliases, default=settings.default_model
        )
        note(choice.entry)
        target = msgspec.structs.replace(
            choice.entry.target,
            public_model=name or choice.entry.ref,
            level=choice.level,
            auto_cache=settings.prompt_cache == "auto",
            strict=strict,
        )
        return Way(DIALECTS[dialect], choice.entry, target, self._hop)
