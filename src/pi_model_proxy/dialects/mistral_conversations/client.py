"""The client half of Mistral's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.mistral_conversations.decoder import FAMILY, MistralDecoder
from pi_model_proxy.dialects.mistral_conversations.messages import DIALECT
from pi_model_proxy.dialects.mistral_conversations.request import encode_request
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["CLIENT", "MistralClient"]


class MistralClient:
    """Implements `ClientHalf` for pi's kind `mistral-conversations`."""

    kind = "mistral-conversations"
    dialect = DIALECT

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        return encode_request(request, target)

    def stream_decoder(self, target: Target, names: ToolNames) -> MistralDecoder:  # noqa: ARG002 - the protocol's
        return MistralDecoder(names)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:  # noqa: ARG002 - the protocol's
        return MistralDecoder(names).whole(body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Return None: nothing is known that Mistral refuses and would take written otherwise."""
        return None


CLIENT: Final = MistralClient()
