"""The client half of Bedrock's Converse format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.bedrock_converse.content import DIALECT
from pi_model_proxy.dialects.bedrock_converse.decoder import FAMILY, ConverseDecoder
from pi_model_proxy.dialects.bedrock_converse.mend import mend
from pi_model_proxy.dialects.bedrock_converse.models import traits_of
from pi_model_proxy.dialects.bedrock_converse.request import encode_request
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["CLIENT", "ConverseClient"]


class ConverseClient:
    """Implements `ClientHalf` for pi's kind `bedrock-converse-stream`."""

    kind = "bedrock-converse-stream"
    dialect = DIALECT

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        return encode_request(request, target)

    def stream_decoder(self, target: Target, names: ToolNames) -> ConverseDecoder:
        return ConverseDecoder(names, is_claude=traits_of(target.model, target.model_name).is_claude)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:
        return self.stream_decoder(target, names).whole(body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """Return the body without strictness or without thinking, where that was refused; see `mend`."""
        return mend(body, error)


CLIENT: Final = ConverseClient()
