"""This format on both sides: bytes are kept, only what must change is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.anthropic_messages import relay_request
from pi_model_proxy.dialects.anthropic_messages.relay_answer import relay_message
from pi_model_proxy.dialects.anthropic_messages.relay_kept import kept_request
from pi_model_proxy.dialects.anthropic_messages.relay_stream import MessagesPipe
from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.base import AnswerContext, Facts, Outgoing, Peek, Pipe
from pi_model_proxy.dialects.peeking import peek_request
from pi_model_proxy.hub import Target

__all__ = ["RELAY", "MessagesRelay"]


class MessagesRelay:
    """Implements `Relay`, and counting, which only this format has."""

    dialect: str = DIALECT

    def suits(self, body: bytes, target: Target) -> bool:
        """See `Relay.suits`: always."""
        del body, target
        return True

    def encode_request(
        self, body: bytes, target: Target, headers: Mapping[str, str], peek: Peek | None = None
    ) -> Outgoing:
        """See `Relay.encode_request`."""
        members = peek_request(body, usage_on_demand=False).members if peek is None else peek.members
        kept = kept_request(body, members, target, headers) if members is not None else None
        return relay_request.encode_request(body, target, headers, members) if kept is None else kept

    def encode_count(self, body: bytes, target: Target, headers: Mapping[str, str]) -> Outgoing:
        """Return the caller's body as a request for a count of its input tokens.

        Raises:
            BadRequest: names the JSON path.
        """
        return relay_request.encode_count(body, target, headers)

    def stream_pipe(self, context: AnswerContext) -> Pipe:
        """Return a pipe for one answer."""
        return MessagesPipe(context, context.names)

    def message(self, body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
        """See `Relay.message`."""
        return relay_message(body, context, context.names)


RELAY: Final = MessagesRelay()
