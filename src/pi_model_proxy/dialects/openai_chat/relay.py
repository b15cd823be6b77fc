"""Chat completions on both sides."""

from __future__ import annotations

from collections.abc import Mapping

from pi_model_proxy.dialects.base import AnswerContext, Facts, Outgoing, Peek, Pipe
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.relay_answer import ChatPipe
from pi_model_proxy.dialects.openai_chat.relay_kept import kept_request
from pi_model_proxy.dialects.openai_chat.relay_message import relay_message
from pi_model_proxy.dialects.openai_chat.relay_request import relay_request
from pi_model_proxy.dialects.peeking import peek_request
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.hub import Target

__all__ = ["ChatRelay"]


class ChatRelay:
    """The relay."""

    dialect = DIALECT

    def suits(self, body: bytes, target: Target) -> bool:
        """See `Relay.suits`: always."""
        del body, target
        return True

    def encode_request(
        self, body: bytes, target: Target, headers: Mapping[str, str], peek: Peek | None = None
    ) -> Outgoing:
        """Return the caller's own body, edited where it must be (see `relay_kept`, `relay_request`)."""
        try:
            members = peek_request(body, usage_on_demand=True).members if peek is None else peek.members
            kept = kept_request(body, members, target, headers) if members is not None else None
            return relay_request(body, target, headers, members) if kept is None else kept
        except RecursionError as error:
            raise too_deep() from error

    def stream_pipe(self, context: AnswerContext) -> Pipe:
        """Return a pipe for one stream."""
        return ChatPipe(context)

    def message(self, body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
        """Return a plain answer under the caller's model name, and what it says."""
        return relay_message(body, context)
