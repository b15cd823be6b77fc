"""The client half of pi's own message format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.pi_messages.context import DIALECT, KIND
from pi_model_proxy.dialects.pi_messages.decoder import FAMILY, PiMessagesDecoder
from pi_model_proxy.dialects.pi_messages.request import encode_request
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["CLIENT", "PiMessagesClient"]


class PiMessagesClient:
    """Implements `ClientHalf` for pi's kind `pi-messages`."""

    kind = KIND
    dialect = DIALECT

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        return encode_request(request, target)

    def stream_decoder(self, target: Target, names: ToolNames) -> PiMessagesDecoder:  # noqa: ARG002 - the protocol's
        return PiMessagesDecoder(names)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:  # noqa: ARG002 - the protocol's
        return PiMessagesDecoder(names).whole(body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Return None: mending is what the gateway behind does."""
        return None


CLIENT: Final = PiMessagesClient()
