"""OpenAI's Responses format, towards upstreams: `POST {base}/responses`, always streamed, nothing stored."""

from pi_model_proxy.dialects.openai_responses.client import CLIENT, ResponsesClient
from pi_model_proxy.dialects.openai_responses.decoder import ResponsesDecoder
from pi_model_proxy.dialects.openai_responses.retry import refuses_reasoning, without_reasoning

__all__ = ["CLIENT", "ResponsesClient", "ResponsesDecoder", "refuses_reasoning", "without_reasoning"]
