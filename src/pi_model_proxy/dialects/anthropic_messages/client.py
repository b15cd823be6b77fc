"""The half that speaks this format to upstreams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.anthropic_messages import client_mend
from pi_model_proxy.dialects.anthropic_messages.client_message import decode_message
from pi_model_proxy.dialects.anthropic_messages.client_request import encode_request
from pi_model_proxy.dialects.anthropic_messages.client_stream import MessagesStreamDecoder
from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.anthropic_messages.stream_events import FAMILY
from pi_model_proxy.dialects.base import Outgoing, StreamDecoder
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["CLIENT", "MessagesClient"]


class MessagesClient:
    """Implements `ClientHalf`."""

    kind: str = "anthropic-messages"
    dialect: str = DIALECT

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        """See `ClientHalf.encode_request`."""
        return encode_request(request, target)

    def stream_decoder(self, target: Target, names: ToolNames) -> StreamDecoder:  # noqa: ARG002 - the protocol's shape
        """Return a decoder for one answer."""
        return MessagesStreamDecoder(names)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:  # noqa: ARG002 - as above
        """See `ClientHalf.decode_message`."""
        return decode_message(body, names)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """See `ClientHalf.decode_error`."""
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """See `ClientHalf.mend`."""
        return client_mend.mend(body, error)


CLIENT: Final = MessagesClient()
