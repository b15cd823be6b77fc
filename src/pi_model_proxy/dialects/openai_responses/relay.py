"""Responses on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, Facts, Outgoing, Peek, Pipe
from pi_model_proxy.dialects.openai_responses.relay_message import relay_message
from pi_model_proxy.dialects.openai_responses.relay_request import is_relayable, relay_request
from pi_model_proxy.dialects.openai_responses.relay_stream import ResponsesPipe
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.hub import Target

__all__ = ["RELAY", "ResponsesRelay"]


class ResponsesRelay:
    """Implements `Relay`."""

    dialect: str = DIALECT

    def suits(self, body: bytes, target: Target) -> bool:
        """Tell whether the request can be passed on; else it must be translated, from this format to this."""
        return is_relayable(body, target)

    def encode_request(
        self, body: bytes, target: Target, headers: Mapping[str, str], peek: Peek | None = None
    ) -> Outgoing:
        """See `Relay.encode_request`."""
        del peek  # every request of this format is read anew
        try:
            return relay_request(body, target, headers)
        except RecursionError as error:
            raise too_deep() from error

    def stream_pipe(self, context: AnswerContext) -> Pipe:
        """See `Relay.stream_pipe`."""
        return ResponsesPipe(context)

    def message(self, body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
        """See `Relay.message`."""
        return relay_message(body, context)


RELAY: Final = ResponsesRelay()
