"""What will be asked of whom: one request on its way to one model."""

from __future__ import annotations

from collections.abc import Mapping

from pi_model_proxy.dialects.base import Outgoing, Peek, Relay, StreamDecoder
from pi_model_proxy.dialects.estimate import UsageFiller, estimate_input_tokens
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.errors import GatewayError, UpstreamError
from pi_model_proxy.gateway.caller import Call
from pi_model_proxy.gateway.stopped import StoppedDecoder, Stopping
from pi_model_proxy.gateway.way import Sending, Way
from pi_model_proxy.hub import Event, ImageBlock, Request, Target
from pi_model_proxy.providers import RequestTraits, request_headers

__all__ = ["Plan"]


class Plan:
    """One request to one model, encoded for the account that is leased."""

    __slots__ = ("_request", "call", "peek", "relay", "target", "way")

    def __init__(self, call: Call, peek: Peek, way: Way) -> None:
        self.call = call
        self.peek = peek
        self.way = way
        relay = way.relay
        self.relay: Relay | None = relay if relay is not None and relay.suits(call.body, way.target) else None
        """What passes bytes on, when both sides speak the same dialect and the request means the same to both."""
        self.target: Target = way.target
        """The leased account's identity is part of it once the request is encoded."""
        self._request: Request | None = None

    def encode(self, sending: Sending) -> Outgoing:
        """Return the request as the upstream wants it from this account.

        Raises:
            BadRequest, UnsupportedFeature: name the JSON path.
        """
        self.target = sending.target
        if self.relay is not None:
            return self.relay.encode_request(self.call.body, sending.target, self.call.headers, self.peek)
        return self.way.client.encode_request(self.decoded(), sending.target)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """Return a body that may be accepted where `body` met `error`, or None."""
        return self.way.client.mend(body, error)

    def decoded(self) -> Request:
        """Return the caller's request in the hub's words; decoded once.

        Raises:
            BadRequest: names the JSON path.
        """
        if self._request is None:
            self._request = self.way.server.decode_request(self.call.body)
        return self._request

    def decoder(self, outgoing: Outgoing) -> StreamDecoder:
        """Return what reads this upstream's stream, cut where the caller wants it to end."""
        decoder = self.way.client.stream_decoder(self.target, outgoing.names)
        return StoppedDecoder(decoder, self._stopping(outgoing)) if outgoing.stop_here else decoder

    def events(self, body: bytes, outgoing: Outgoing) -> list[Event]:
        """Return what a plain answer of this upstream says, cut where the caller wants it to end."""
        events = self.way.client.decode_message(body, self.target, outgoing.names)
        if not outgoing.stop_here:
            return events
        stopping = self._stopping(outgoing)
        return [passed for event in events for passed in stopping.feed(event)]

    def filler(self) -> UsageFiller:
        """Return what tells an estimate where the upstream of a translated answer tells no usage."""
        return UsageFiller(self._input_tokens)

    def _input_tokens(self) -> int:
        try:
            return estimate_input_tokens(self.decoded())
        except GatewayError:
            # A relayed body may be one that we cannot read: then its size stays unknown.
            return 0

    def _stopping(self, outgoing: Outgoing) -> Stopping:
        return Stopping(outgoing.stop_here, input_tokens=estimate_input_tokens(self.decoded()))

    def traits(self, sending: Sending) -> Mapping[str, str]:
        """Return the headers that depend on the request itself, for providers that ask for them."""
        if not sending.wants_traits:
            return _NO_TRAITS
        request = self.decoded()
        blocks = [block for turn in request.turns for block in turn.blocks]
        traits = RequestTraits(
            ends_with_user=not request.turns or request.turns[-1].role == "user",
            has_images=any(isinstance(block, ImageBlock) for block in blocks),
            session=session_of(request),
        )
        return request_headers(self.target.provider, sending.lease.base_url, traits)


_NO_TRAITS: Mapping[str, str] = {}
