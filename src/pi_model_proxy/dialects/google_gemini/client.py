"""The halves that speak this format to upstreams: Google's Gemini API and Vertex AI, which differ in the address only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.base import Outgoing, StreamDecoder
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.google_gemini import mending
from pi_model_proxy.dialects.google_gemini.address import VERTEX_KIND
from pi_model_proxy.dialects.google_gemini.answer_in import GeminiDecoder, decode_message
from pi_model_proxy.dialects.google_gemini.chunks import DIALECT, FAMILY
from pi_model_proxy.dialects.google_gemini.request_out import encode_request
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["CLIENT", "VERTEX_CLIENT", "GeminiClient"]


class GeminiClient:
    """Implements `ClientHalf`."""

    dialect: str = DIALECT

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        """See `ClientHalf.encode_request`."""
        return encode_request(request, target)

    def stream_decoder(self, target: Target, names: ToolNames) -> StreamDecoder:  # noqa: ARG002 - the protocol's shape
        """Return a decoder for one answer."""
        return GeminiDecoder(names)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:  # noqa: ARG002 - as above
        """See `ClientHalf.decode_message`."""
        return decode_message(body, names)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """See `ClientHalf.decode_error`."""
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """See `ClientHalf.mend`."""
        return mending.mend(body, error)


CLIENT: Final = GeminiClient("google-generative-ai")
VERTEX_CLIENT: Final = GeminiClient(VERTEX_KIND)
