"""One conversation four times: as pi holds it, and as callers of chat, Messages and Responses send it.

It has instructions, a picture, tools, a call with its result, thinking at level `high`, and the name of a session.
"""

from __future__ import annotations

import json
from typing import Any, Final

from oracle.thoughts import in_chat, in_messages, in_pi, in_responses
from pi_model_proxy.catalog import Model

__all__ = ["CALLERS", "RESPONSES", "callers_of", "pi_job"]

SESSION: Final = "0b54c3e8-7d0f-4c0a-9a54-2f5e6a7b8c9d"
"""A UUID, as Claude Code's sessions are."""
SYSTEM: Final = "You are careful. Answer in one sentence."
QUESTION: Final = "What is in this picture?"
PICTURE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
PROMISE: Final = "I will look it up."
CALL_ID: Final = "aB3dE6gH9"
"""Nine letters and digits: the only form that every provider takes as its own."""
ARGUMENTS: Final = {"query": "red square", "limit": 3}
RESULT: Final = "A red square."
ANSWER: Final = "It shows a red square."
NEXT_QUESTION: Final = "Which red is it?"
MAX_TOKENS: Final = 12_000
TURNS_OF_LOOP: Final = 3
"""The conversation up to here ends with a tool's result; the whole one with the user's next question."""
MARKED: Final = "bedrock-converse-stream"
"""The API kind for which our Messages caller, who places cache marks itself, does so where pi does."""
RESPONSES: Final = ("openai-responses", "azure-openai-responses", "openai-codex-responses")
"""pi's API kinds that speak Responses."""
TOOLS: Final = (
    (
        "lookup",
        "Look something up.",
        {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "limit": {"type": "integer", "description": "At most"},
            },
            "required": ["query"],
        },
    ),
    (
        "read",
        "Read a file.",
        {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    ),
)


def pi_job(name: str, model: Model, *, in_loop: bool, thinks: bool) -> dict[str, Any]:
    """Return what `pi_stream.ts` needs to send the conversation, in pi's own types (pi-ai `dist/types.d.ts`)."""
    nothing = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 0}
    usage = {**nothing, "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0}}
    about = {"api": model.api, "provider": model.provider, "model": model.id, "usage": usage}
    # pi passes its own messages on as they are, and callers' text reaches it as blocks.
    question: object = (
        [{"type": "text", "text": NEXT_QUESTION}] if model.api == "pi-messages" else NEXT_QUESTION
    )
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": QUESTION},
                {"type": "image", "data": PICTURE, "mimeType": "image/png"},
            ],
            "timestamp": 1,
        },
        {
            "role": "assistant",
            "content": [
                *([in_pi(model)] if thinks else []),
                {"type": "text", "text": PROMISE},
                {"type": "toolCall", "id": CALL_ID, "name": "lookup", "arguments": ARGUMENTS},
            ],
            **about,
            "stopReason": "toolUse",
            "timestamp": 2,
        },
        {
            "role": "toolResult",
            "toolCallId": CALL_ID,
            "toolName": "lookup",
            "content": [{"type": "text", "text": RESULT}],
            "isError": False,
            "timestamp": 3,
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": ANSWER}],
            **about,
            "stopReason": "stop",
            "timestamp": 4,
        },
        {"role": "user", "content": question, "timestamp": 5},
    ]
    tools = [{"name": tool, "description": about, "parameters": schema} for tool, about, schema in TOOLS]
    return {
        "name": name,
        "provider": model.provider,
        "model": model.id,
        "context": {
            "systemPrompt": SYSTEM,
            "messages": messages[:TURNS_OF_LOOP] if in_loop else messages,
            "tools": tools,
        },
        "options": {
            "reasoning": "high",
            "sessionId": SESSION,
            "maxTokens": MAX_TOKENS,
            "maxRetries": 0,
            "transport": "sse",
        },
    }


def chat_request(model: Model, *, in_loop: bool, thinks: bool) -> dict[str, Any]:
    turns: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": QUESTION},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
            ],
        },
        {
            "role": "assistant",
            "content": PROMISE,
            **(in_chat(model) if thinks else {}),
            "tool_calls": [
                {
                    "id": CALL_ID,
                    "type": "function",
                    "function": {
                        "name": "lookup",
                        "arguments": json.dumps(ARGUMENTS, separators=(",", ":")),
                    },
                }
            ],
        },
        {"role": "tool", "tool_call_id": CALL_ID, "content": RESULT},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": NEXT_QUESTION},
    ]
    return {
        "model": model.ref,
        "messages": [{"role": "system", "content": SYSTEM}, *(turns[:TURNS_OF_LOOP] if in_loop else turns)],
        "tools": [
            {"type": "function", "function": {"name": tool, "description": about, "parameters": schema}}
            for tool, about, schema in TOOLS
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "high",
        "max_completion_tokens": MAX_TOKENS,
        "prompt_cache_key": SESSION,
    }


def messages_request(model: Model, *, in_loop: bool, thinks: bool) -> dict[str, Any]:
    mark = {"cache_control": {"type": "ephemeral"}} if model.api == MARKED else {}
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    turns: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [{"type": "text", "text": QUESTION}, {"type": "image", "source": source}],
        },
        {
            "role": "assistant",
            "content": [
                *([in_messages(model)] if thinks else []),
                {"type": "text", "text": PROMISE},
                {"type": "tool_use", "id": CALL_ID, "name": "lookup", "input": ARGUMENTS},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": CALL_ID,
                    "content": [{"type": "text", "text": RESULT}],
                }
            ],
        },
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": [{"type": "text", "text": NEXT_QUESTION, **mark}]},
    ]
    return {
        "model": model.ref,
        "system": [{"type": "text", "text": SYSTEM, **mark}],
        "messages": turns[:TURNS_OF_LOOP] if in_loop else turns,
        "tools": [
            {"name": tool, "description": about, "input_schema": schema} for tool, about, schema in TOOLS
        ],
        "stream": True,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "max_tokens": MAX_TOKENS,
        "metadata": {"user_id": json.dumps({"session_id": SESSION})},
    }


def responses_request(model: Model, *, in_loop: bool, thinks: bool) -> dict[str, Any]:
    arguments = json.dumps(ARGUMENTS, separators=(",", ":"))
    turns: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": QUESTION},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"},
            ],
        },
        *([in_responses()] if thinks else []),
        {"role": "assistant", "content": PROMISE},
        {"type": "function_call", "call_id": CALL_ID, "name": "lookup", "arguments": arguments},
        {"type": "function_call_output", "call_id": CALL_ID, "output": RESULT},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": NEXT_QUESTION},
    ]
    return {
        "model": model.ref,
        "instructions": SYSTEM,
        "input": turns[:-2] if in_loop else turns,
        "tools": [
            {"type": "function", "name": tool, "description": about, "parameters": schema, "strict": False}
            for tool, about, schema in TOOLS
        ],
        "stream": True,
        "store": False,
        "reasoning": {"effort": "high"},
        "max_output_tokens": MAX_TOKENS,
        "prompt_cache_key": SESSION,
    }


CALLERS: Final = {
    "chat": ("/v1/chat/completions", chat_request),
    "messages": ("/v1/messages", messages_request),
    "responses": ("/v1/responses", responses_request),
}
"""By dialect: the endpoint and what is posted there for a model."""


def callers_of(kind: str) -> list[str]:
    """Return the dialects whose callers ask for a model of `kind`: Responses callers, where they are relayed."""
    return [name for name in CALLERS if name != "responses" or kind in RESPONSES]
