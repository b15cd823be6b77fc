"""The client half of the Responses format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_responses.decoder import FAMILY, ResponsesDecoder
from pi_model_proxy.dialects.openai_responses.request import encode_request
from pi_model_proxy.dialects.openai_responses.retry import refuses_reasoning, without_reasoning
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.openai_responses.variants import AZURE, CODEX, OPENAI, variant_of
from pi_model_proxy.errors import BadRequest, UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["AZURE_CLIENT", "CLIENT", "CODEX_CLIENT", "ResponsesClient"]


class ResponsesClient:
    """Implements `ClientHalf` for each of pi's kinds that speak this format; see `variants`."""

    dialect = DIALECT

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        try:
            return encode_request(request, target)
        except RecursionError as error:
            raise BadRequest("The request is nested too deeply; flatten its tool schemas.") from error

    def stream_decoder(self, target: Target, names: ToolNames) -> ResponsesDecoder:
        return ResponsesDecoder(names, tells_tokens_late=variant_of(target).tells_tokens_late)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:  # noqa: ARG002 - the protocol's
        return ResponsesDecoder(names).whole(body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """Return the body without reasoning when the upstream could not read that; see `retry`."""
        if not refuses_reasoning(error):
            return None
        try:
            mended = without_reasoning(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # what the caller sent is no such request, and the upstream has said so
        return None if mended is body else mended


CLIENT: Final = ResponsesClient(OPENAI.kind)
AZURE_CLIENT: Final = ResponsesClient(AZURE.kind)
CODEX_CLIENT: Final = ResponsesClient(CODEX.kind)
