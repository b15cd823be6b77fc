"""The client half of the Responses format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_responses.decoder import FAMILY, ResponsesDecoder
from pi_model_proxy.dialects.openai_responses.request import encode_request
from pi_model_proxy.dialects.openai_responses.retry import refuses_reasoning, without_reasoning
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.errors import BadRequest, UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["CLIENT", "ResponsesClient"]


class ResponsesClient:
    """Implements `ClientHalf` for pi's kind `openai-responses`."""

    kind = "openai-responses"
    dialect = DIALECT

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        try:
            return encode_request(request, target)
        except RecursionError as error:
            raise BadRequest("The request is nested too deeply; flatten its tool schemas.") from error

    def stream_decoder(self, target: Target, names: ToolNames) -> ResponsesDecoder:  # noqa: ARG002 - the protocol's
        return ResponsesDecoder(names)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:  # noqa: ARG002 - the protocol's
        return ResponsesDecoder(names).whole(body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """Return the body without reasoning when the upstream could not read that; see `retry`."""
        if not refuses_reasoning(error):
            return None
        mended = without_reasoning(body)
        return None if mended is body else mended


CLIENT: Final = ResponsesClient()
