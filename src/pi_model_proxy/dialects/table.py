"""Every dialect, one row each; whoever needs to know which there are reads this table."""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects import (
    anthropic_messages,
    bedrock_converse,
    google_gemini,
    mistral_conversations,
    ollama,
    openai_chat,
    openai_completions,
    openai_responses,
    pi_messages,
)
from pi_model_proxy.dialects.base import ClientHalf, Relay, ServerHalf

__all__ = ["CLIENTS", "DIALECTS", "Dialect"]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """A wire format: the halves that exist and how it reaches the wire."""

    name: str
    server: ServerHalf | None = None
    relay: Relay | None = None
    clients: tuple[ClientHalf, ...] = ()
    stream_type: str = "text/event-stream; charset=utf-8"
    """Content type of a streamed answer."""
    carries_tokens: bool = True
    """Whether every caller of it sends back the tokens that thinking came with; else the gateway keeps them."""


DIALECTS: Final = {
    row.name: row
    for row in (
        Dialect(
            name="openai_chat",
            server=openai_chat.SERVER,
            relay=openai_chat.RELAY,
            clients=(openai_chat.CLIENT,),
            carries_tokens=False,
        ),
        Dialect(
            name="anthropic_messages",
            server=anthropic_messages.SERVER,
            relay=anthropic_messages.RELAY,
            clients=(anthropic_messages.CLIENT,),
        ),
        Dialect(
            name="openai_responses",
            server=openai_responses.SERVER,
            relay=openai_responses.RELAY,
            clients=(
                openai_responses.CLIENT,
                openai_responses.AZURE_CLIENT,
                openai_responses.CODEX_CLIENT,
            ),
        ),
        # The form of the answer stands in the URL, so each form is a way of its own to the same dialect.
        Dialect(
            name="google_gemini",
            server=google_gemini.SERVER,
            relay=google_gemini.RELAY,
            clients=(google_gemini.CLIENT, google_gemini.VERTEX_CLIENT),
        ),
        Dialect(name="google_gemini_sse", server=google_gemini.SSE_SERVER, relay=google_gemini.SSE_RELAY),
        Dialect(
            name="google_gemini_array",
            server=google_gemini.ARRAY_SERVER,
            relay=google_gemini.ARRAY_RELAY,
            stream_type="application/json",
        ),
        Dialect(name="openai_completions", server=openai_completions.SERVER),
        Dialect(
            name="ollama", server=ollama.SERVER, stream_type="application/x-ndjson", carries_tokens=False
        ),
        Dialect(name="ollama_generate", server=ollama.GENERATE_SERVER, stream_type="application/x-ndjson"),
        Dialect(name="mistral_conversations", clients=(mistral_conversations.CLIENT,)),
        Dialect(name="pi_messages", clients=(pi_messages.CLIENT,)),
        Dialect(name="bedrock_converse", clients=(bedrock_converse.CLIENT,)),
    )
}
"""By name."""

CLIENTS: Final[dict[str, ClientHalf]] = {half.kind: half for row in DIALECTS.values() for half in row.clients}
"""By pi's API kind: what can be served."""
