"""OpenAI's chat completions, as OpenAI writes them and as everybody else does."""

from typing import Final

from pi_model_proxy.dialects.base import ClientHalf, Relay, ServerHalf
from pi_model_proxy.dialects.openai_chat.client import ChatClient
from pi_model_proxy.dialects.openai_chat.relay import ChatRelay
from pi_model_proxy.dialects.openai_chat.server import ChatServer

__all__ = ["CLIENT", "RELAY", "SERVER"]

SERVER: Final[ServerHalf] = ChatServer()
CLIENT: Final[ClientHalf] = ChatClient()
RELAY: Final[Relay] = ChatRelay()
