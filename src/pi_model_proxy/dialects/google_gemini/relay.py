"""This format on both sides: bytes are kept, only what must change is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, Facts, Outgoing, Peek, Pipe
from pi_model_proxy.dialects.google_gemini import relay_request
from pi_model_proxy.dialects.google_gemini.address import Form
from pi_model_proxy.dialects.google_gemini.array_out import ArrayPipe
from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.relay_stream import GeminiPipe, relay_message
from pi_model_proxy.hub import Target

__all__ = ["ARRAY_RELAY", "RELAY", "SSE_RELAY", "GeminiRelay"]


class GeminiRelay:
    """Implements `Relay`, one for each way in which an answer may be framed; upstreams are always asked for events."""

    dialect: str = DIALECT

    def __init__(self, form: Form) -> None:
        self.form: Form = form

    def suits(self, body: bytes, target: Target) -> bool:
        """See `Relay.suits`: always."""
        del body, target
        return True

    def encode_request(
        self,
        body: bytes,
        target: Target,
        headers: Mapping[str, str],  # noqa: ARG002 - the format has no headers of its own
        peek: Peek | None = None,
    ) -> Outgoing:
        """See `Relay.encode_request`."""
        members = None if peek is None else peek.members
        return relay_request.encode_request(body, members, target, streams=self.form != "plain")

    def encode_count(self, body: bytes, target: Target, headers: Mapping[str, str]) -> Outgoing:  # noqa: ARG002 - as above
        """Return the caller's body as a request for a count of its input tokens.

        Raises:
            BadRequest: names the JSON path.
        """
        return relay_request.encode_count(body, target)

    def stream_pipe(self, context: AnswerContext) -> Pipe:
        """Return a pipe for one answer."""
        pipe = GeminiPipe(context)
        return ArrayPipe(pipe) if self.form == "array" else pipe

    def message(self, body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
        """See `Relay.message`."""
        return relay_message(body, context)


RELAY: Final = GeminiRelay("plain")
SSE_RELAY: Final = GeminiRelay("sse")
ARRAY_RELAY: Final = GeminiRelay("array")
