"""OpenAI's Responses format: `SERVER` towards callers, `CLIENT` towards upstreams, `RELAY` for both sides.

What a request takes for granted that somebody has kept is told, and written into it, by `read_state`
and `continued`; what a store of ours takes and gives back goes through `kept`.
"""

from pi_model_proxy.dialects.openai_responses.client import (
    AZURE_CLIENT,
    CLIENT,
    CODEX_CLIENT,
    ResponsesClient,
)
from pi_model_proxy.dialects.openai_responses.decoder import ResponsesDecoder
from pi_model_proxy.dialects.openai_responses.further import (
    compacted,
    decode_count,
    encode_compaction,
    encode_count,
    is_of_user,
    summary_request,
    write_count,
)
from pi_model_proxy.dialects.openai_responses.kept import (
    Continued,
    continued,
    id_of,
    item_array,
    keeps_responses,
    listed_item,
    prefix_for,
    put_together,
    taken_apart,
)
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
    "Continued",
    "ResponsesClient",
    "ResponsesDecoder",
    "ResponsesRelay",
    "ResponsesServer",
    "State",
    "compacted",
    "continued",
    "decode_count",
    "encode_compaction",
    "encode_count",
    "id_of",
    "input_items",
    "is_of_user",
    "item_array",
    "keeps_responses",
    "listed_item",
    "prefix_for",
    "put_together",
    "read_state",
    "refuses_reasoning",
    "resumed",
    "summary_request",
    "taken_apart",
    "without_reasoning",
    "write_count",
]
