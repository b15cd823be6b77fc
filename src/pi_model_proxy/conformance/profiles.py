"""Which models are asked when nobody names one: those of `pi-model-proxy --demo`, a set for each kind of upstream."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.conformance.chat import Chat
from pi_model_proxy.conformance.client import Origin, Sent, ask
from pi_model_proxy.conformance.dialect import Wrong, parsed
from pi_model_proxy.conformance.trial import Models

__all__ = ["PROFILES", "listed_models", "models_of"]

PROFILES: Final = {"demo": "chat", "demo-messages": "messages", "demo-responses": "responses"}
"""Profile, and the kind of the demo models that it asks."""

OK: Final = 200


def models_of(profile: str) -> Models:
    """Return the demo models of a profile: one that answers, calls tools, thinks, sees."""
    kind = f"demo/{PROFILES[profile]}"
    return Models(
        text=f"{kind}-text", tools=f"{kind}-tools", thinking=f"{kind}-thinking", vision=f"{kind}-vision"
    )


async def listed_models(origin: Origin, key: str, *, timeout_s: float) -> list[str]:
    """Return the names of the models that the server lists; none when it has no readable list.

    Raises:
        Unreachable: there is no server.
    """
    chat = Chat()
    reply = await ask(origin, Sent(path="/v1/models", headers=chat.headers(key)), timeout_s=timeout_s)
    try:
        return chat.names(parsed(reply.body, "the list")) if reply.status == OK else []
    except Wrong:
        return []
