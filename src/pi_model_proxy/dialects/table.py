"""Every dialect, one row each; whoever needs to know which there are reads this table."""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects import anthropic_messages, openai_chat, openai_responses
from pi_model_proxy.dialects.base import ClientHalf, Relay, ServerHalf

__all__ = ["CLIENTS", "DIALECTS", "Dialect"]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """A wire format: the halves that exist and how it reaches the wire."""

    name: str
    server: ServerHalf | None = None
    relay: Relay | None = None
    clients: tuple[ClientHalf, ...] = ()


DIALECTS: Final = {
    row.name: row
    for row in (
        Dialect(
            name="openai_chat",
            server=openai_chat.SERVER,
            relay=openai_chat.RELAY,
            clients=(openai_chat.CLIENT,),
        ),
        Dialect(
            name="anthropic_messages",
            server=anthropic_messages.SERVER,
            relay=anthropic_messages.RELAY,
            clients=(anthropic_messages.CLIENT,),
        ),
        Dialect(name="openai_responses", clients=(openai_responses.CLIENT,)),
    )
}
"""By name."""

CLIENTS: Final[dict[str, ClientHalf]] = {half.kind: half for row in DIALECTS.values() for half in row.clients}
"""By pi's API kind: what can be served."""
