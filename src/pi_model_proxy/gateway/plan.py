"""What will be asked of whom: the request line up to the moment a connection is needed."""

from __future__ import annotations

import msgspec

from pi_model_proxy.dialects.base import ClientHalf, Outgoing, Peek, ServerHalf, StreamDecoder
from pi_model_proxy.dialects.estimate import estimate_input_tokens
from pi_model_proxy.dialects.table import Dialect
from pi_model_proxy.gateway.caller import Call
from pi_model_proxy.gateway.listing import Entry
from pi_model_proxy.gateway.stopped import StoppedDecoder, Stopping
from pi_model_proxy.hub import Event, Identity, ImageBlock, Request, Target
from pi_model_proxy.providers import RequestTraits, request_headers, wants_traits

__all__ = ["Plan"]


class Plan(msgspec.Struct, kw_only=True):
    """One request to one model, decided once and encoded for the account that is leased."""

    call: Call
    peek: Peek
    dialect: Dialect
    """The caller's."""
    entry: Entry
    client: ClientHalf
    target: Target
    request: Request | None = None
    """The decoded request, when the dialects differ."""

    @property
    def server(self) -> ServerHalf:
        """The caller's server half."""
        if self.dialect.server is None:
            raise LookupError(self.dialect.name)
        return self.dialect.server

    @property
    def relays(self) -> bool:
        """Whether both sides speak the same dialect."""
        return self.client.dialect == self.dialect.name and self.dialect.relay is not None

    def encode(self, identity: Identity) -> Outgoing:
        """Return the request as the upstream wants it from this account.

        Raises:
            BadRequest, UnsupportedFeature: name the JSON path.
        """
        self.target = msgspec.structs.replace(self.target, identity=identity)
        if self.dialect.relay is not None and self.relays:
            return self.dialect.relay.encode_request(self.call.body, self.target, self.call.headers)
        return self.client.encode_request(self.decoded(), self.target)

    def decoded(self) -> Request:
        """Return the caller's request in the hub's words; decoded once.

        Raises:
            BadRequest: names the JSON path.
        """
        if self.request is None:
            self.request = self.server.decode_request(self.call.body)
        return self.request

    def decoder(self, outgoing: Outgoing) -> StreamDecoder:
        """Return what reads this upstream's stream, cut where the caller wants it to end."""
        decoder = self.client.stream_decoder(self.target, outgoing.names)
        return StoppedDecoder(decoder, self._stopping(outgoing)) if outgoing.stop_here else decoder

    def events(self, body: bytes, outgoing: Outgoing) -> list[Event]:
        """Return what a plain answer of this upstream says, cut where the caller wants it to end."""
        events = self.client.decode_message(body, self.target, outgoing.names)
        if not outgoing.stop_here:
            return events
        stopping = self._stopping(outgoing)
        return [passed for event in events for passed in stopping.feed(event)]

    def _stopping(self, outgoing: Outgoing) -> Stopping:
        return Stopping(outgoing.stop_here, input_tokens=estimate_input_tokens(self.decoded()))

    def request_headers(self, base_url: str) -> dict[str, str]:
        """Return the headers that depend on the request itself, for providers that ask for them."""
        if not wants_traits(self.target.provider, base_url):
            return {}
        request = self.decoded()
        blocks = [block for turn in request.turns for block in turn.blocks]
        traits = RequestTraits(
            ends_with_user=not request.turns or request.turns[-1].role == "user",
            has_images=any(isinstance(block, ImageBlock) for block in blocks),
            session=request.cache_key or "",
        )
        return request_headers(self.target.provider, base_url, traits)
