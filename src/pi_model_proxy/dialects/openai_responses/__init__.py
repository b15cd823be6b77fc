"""OpenAI's Responses format: `SERVER` towards callers, `CLIENT` towards upstreams, `RELAY` for both sides.

What a request takes for granted that somebody has kept is told, and written into it, by `read_state`,
`input_items` and `resumed`.
"""

from pi_model_proxy.dialects.openai_responses.client import (
    AZURE_CLIENT,
    CLIENT,
    CODEX_CLIENT,
    ResponsesClient,
)
from pi_model_proxy.dialects.openai_responses.decoder import ResponsesDecoder
from pi_model_proxy.dialects.openai_responses.relay import RELAY, ResponsesRelay
from pi_model_proxy.dialects.openai_responses.retry import refuses_reasoning, without_reasoning
from pi_model_proxy.dialects.openai_responses.server import SERVER, ResponsesServer
from pi_model_proxy.dialects.openai_responses.state import State, input_items, read_state, resumed

__all__ = [
    "AZURE_CLIENT",
    "CLIENT",
    "CODEX_CLIENT",
    "RELAY",
    "SERVER",
    "ResponsesClient",
    "ResponsesDecoder",
    "ResponsesRelay",
    "ResponsesServer",
    "State",
    "input_items",
    "read_state",
    "refuses_reasoning",
    "resumed",
    "without_reasoning",
]
