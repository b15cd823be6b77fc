"""OpenAI's legacy completions, `/v1/completions`, towards callers: a prompt is what a user says.

Source: OpenAI's API reference ("Legacy completions"); openai-python 3.54.0 `types/completion*.py`.
"""

from pi_model_proxy.dialects.openai_completions.request_in import DIALECT
from pi_model_proxy.dialects.openai_completions.server import SERVER, CompletionsServer
from pi_model_proxy.dialects.openai_completions.several import (
    DONE_FRAME,
    choice_frames,
    join_answers,
    one_prompt,
    several_prompts,
    usage_frame,
)

__all__ = [
    "DIALECT",
    "DONE_FRAME",
    "SERVER",
    "CompletionsServer",
    "choice_frames",
    "join_answers",
    "one_prompt",
    "several_prompts",
    "usage_frame",
]
