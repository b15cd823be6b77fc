"""The ways providers depart from chat completions, as typed flags; each default is the specification.

Source: pi-ai 1.5.2 `dist/providers/compat-schema.js` (names) and `dist/api/openai-completions.js`
(`detectCompat`, `getCompat`). Detection by provider and address happens before; what arrives here
is the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.remembered import Remembered

__all__ = ["Quirks", "ThinkingFormat"]

ThinkingFormat = Literal[
    "openai",
    "openrouter",
    "deepseek",
    "zai",
    "together",
    "ant-ling",
    "baseten",
    "qwen",
    "qwen-chat-template",
    "chat-template",
    "string-thinking",
]
"""How a provider is told to think or not; see `thinking.py`."""


class Quirks(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """pi's `openai-completions` compat flags."""

    supports_store: bool = True
    supports_developer_role: bool = True
    supports_reasoning_effort: bool = True
    supports_usage_in_streaming: bool = True
    supports_finish_reason: bool = True
    """False: an answer may end without `finish_reason`."""
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    requires_tool_result_name: bool = False
    requires_assistant_after_tool_result: bool = False
    requires_non_null_assistant_content: bool = False
    requires_tools_with_tool_history: bool = False
    requires_thinking_as_text: bool = False
    requires_reasoning_content_on_assistant_messages: bool = False
    thinking_format: ThinkingFormat = "openai"
    chat_template_kwargs: dict[str, Any] = {}
    chat_template_args: dict[str, Any] = {}
    open_router_routing: dict[str, Any] = {}
    vercel_gateway_routing: dict[str, Any] = {}
    zai_tool_stream: bool = False
    supports_thinking_token_budget: bool = False
    thinking_token_budget_field: (
        Literal["thinking_token_budget", "thinking_budget", "thinking_budget_tokens"] | None
    ) = None
    supports_strict_mode: bool = False
    supports_open_ai_grammar_tools: bool = msgspec.field(default=False, name="supportsOpenAIGrammarTools")
    supports_mid_convo_system_messages: bool = False
    cache_control_format: Literal["anthropic"] | None = None
    send_session_affinity_headers: bool = False
    session_affinity_format: Literal["openai", "openai-nosession", "openrouter"] = "openai"
    prompt_cache_key_mode: Literal["auto", "enabled", "disabled"] = "auto"
    supports_long_cache_retention: bool = True
    vllm_priority: int | float | None = None

    @classmethod
    def read(cls, compat: Mapping[str, Any]) -> Quirks:
        """Return the flags in `compat`; unknown ones and those of a wrong type count as not given."""
        given = {name: value for name, value in compat.items() if value is not None}
        try:
            return msgspec.convert(given, cls)
        except msgspec.ValidationError:
            return msgspec.convert(
                {name: value for name, value in given.items() if _is_right(name, value)}, cls
            )


def _is_right(name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    try:
        msgspec.convert({name: value}, Quirks)
    except msgspec.ValidationError:
        return False
    return True


quirks_of: Final = Remembered(Quirks.read)
"""The quirks that a model's compat flags spell."""
