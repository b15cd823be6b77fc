"""Speaks chat completions to upstreams."""

from __future__ import annotations

from collections.abc import Mapping

from pi_model_proxy.dialects.base import Outgoing, StreamDecoder
from pi_model_proxy.dialects.errors import upstream_error
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_chat.answer_in import FAMILY, ChatStreamDecoder, decode_message
from pi_model_proxy.dialects.openai_chat.mending import mend
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.quirks import quirks_of
from pi_model_proxy.dialects.openai_chat.request_out import write_request
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Request, Target

__all__ = ["ChatClient"]


class ChatClient:
    """The client half; pi calls this API kind `openai-completions`."""

    kind = "openai-completions"
    dialect = DIALECT

    def encode_request(self, request: Request, target: Target) -> Outgoing:
        """Return the request for `target` (see `request_out.write_request`)."""
        try:
            return write_request(request, target)
        except RecursionError as error:
            raise too_deep() from error

    def stream_decoder(self, target: Target, names: ToolNames) -> StreamDecoder:
        """Return a reader for one stream."""
        finishes = quirks_of(target.compat).supports_finish_reason
        return ChatStreamDecoder(names, supports_finish_reason=finishes)

    def decode_message(self, body: bytes, target: Target, names: ToolNames) -> list[Event]:
        """Return the events of a plain answer."""
        finishes = quirks_of(target.compat).supports_finish_reason
        return decode_message(body, names, supports_finish_reason=finishes)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Return what an error answer means."""
        return upstream_error(status, headers, body, family=FAMILY)

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:
        """Return the body with a field or role respelt as the upstream wants it (see `mending`)."""
        return mend(body, error)
