"""What is asked and answered in each dialect: the words of the load generator and of the scripted upstream.

A request carries its own script (how many chunks, how far apart) in the last user message, so that one upstream serves
every test and every system, whatever a system does to the rest of the body. Each chunk of a stream carries the
monotonic clock behind an `@` that occurs nowhere else, so that the load generator can count chunks in any dialect and
tell how late each comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

MARK = "bench-answer-ok"
"""In every plain answer: the load generator counts none without it."""

STAMP = b"@"
STAMP_DIGITS = 19
"""A chunk's text is `@` and the monotonic clock in nanoseconds, so wide that it holds for 300 years of uptime."""

ANSWER_TEXT = f"{MARK} " + "word " * 140
PROMPT_TOKENS, ANSWER_TOKENS = 200, 150
CREATED = 1_700_000_000

SYSTEM_TEXT = "You are a terse assistant. " * 12
TURNS = (
    ("user", "What is the meaning of this request? " * 8),
    ("assistant", "It has none. " * 12),
)
FILLER_TURN_BYTES = 2_048
"""Large bodies are made of turns of this size, as an agent's conversation is, not of one long string."""
FILLER_LINE = 'def read(path):\n\treturn "' + "word " * 12 + '"  # "quoted", with\ttabs\n'


@dataclass(frozen=True, slots=True)
class Script:
    """What the upstream shall send: so many chunks, one every `interval_us` (0: all at once)."""

    chunks: int
    interval_us: int

    def spoken(self) -> str:
        """Return the script as the text that a request carries."""
        return f"bench-script:{self.chunks}:{self.interval_us};"


SPOKEN = re.compile(rb"bench-script:(\d+):(\d+);")


def compact(value: Any) -> bytes:
    """Return JSON without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


def event(data: Any, name: str = "") -> bytes:
    """Return one server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + compact(data) + b"\n\n"


def typed(data: dict[str, Any]) -> bytes:
    """Return one event that is named by its `type`, as Messages and Responses have it."""
    return event(data, data["type"])


def conversation(script: Script, body_bytes: int) -> list[dict[str, str]]:
    """Return turns that make a body of about `body_bytes` (at least 1 KB), the script in the last of them."""
    turns = [{"role": role, "content": text} for role, text in TURNS]
    repeats = max(0, body_bytes - 1_024) // FILLER_TURN_BYTES
    filler = (FILLER_LINE * (FILLER_TURN_BYTES // len(FILLER_LINE) + 1))[:FILLER_TURN_BYTES]
    turns += [
        {"role": ("user", "assistant")[number % 2], "content": f"{number} {filler}"}
        for number in range(repeats)
    ]
    turns.append({"role": "user", "content": f"Then answer in one word. {script.spoken()}"})
    return turns


class WriteRequest(Protocol):
    """Makes the body of a request."""

    def __call__(self, model: str, turns: list[dict[str, str]], *, streaming: bool) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One wire format."""

    name: str
    path: str
    request: WriteRequest
    answer: dict[str, Any]
    """The plain answer."""
    opening: bytes
    """Events before the first chunk."""
    chunk: bytes
    """The event of one chunk, `STAMP` standing for its whole text."""
    closing: Callable[[str], bytes]
    """(the whole text) -> events after the last chunk."""
    headers: str = ""
    """Header lines that its clients send besides the usual."""


# --- OpenAI chat completions ------------------------------------------------------------------------------------------

CHAT_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": ANSWER_TOKENS,
    "total_tokens": PROMPT_TOKENS + ANSWER_TOKENS,
}


def chat_request(model: str, turns: list[dict[str, str]], *, streaming: bool) -> dict[str, Any]:
    more = {"stream": True, "stream_options": {"include_usage": True}} if streaming else {}
    return {"model": model, "messages": [{"role": "system", "content": SYSTEM_TEXT}, *turns], **more}


def chat_event(delta: dict[str, str], finish: str | None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": CREATED, "model": "bench"}
    return event(head | {"choices": [choice]} | more)


def chat_closing(text: str) -> bytes:
    del text
    return chat_event({}, "stop", usage=CHAT_USAGE) + b"data: [DONE]\n\n"


CHAT = Dialect(
    name="chat",
    path="/v1/chat/completions",
    request=chat_request,
    answer={
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": CREATED,
        "model": "bench",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": ANSWER_TEXT}, "finish_reason": "stop"}
        ],
        "usage": CHAT_USAGE,
    },
    opening=chat_event({"role": "assistant", "content": ""}, None),
    chunk=chat_event({"content": STAMP.decode()}, None),
    closing=chat_closing,
)

# --- Anthropic messages -----------------------------------------------------------------------------------------------

MESSAGE = {
    "id": "msg_01bench",
    "type": "message",
    "role": "assistant",
    "model": "bench",
    "content": [{"type": "text", "text": ANSWER_TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": ANSWER_TOKENS},
}


def messages_request(model: str, turns: list[dict[str, str]], *, streaming: bool) -> dict[str, Any]:
    more = {"stream": True} if streaming else {}
    return {"model": model, "max_tokens": 1_000, "system": SYSTEM_TEXT, "messages": turns, **more}


def messages_closing(text: str) -> bytes:
    del text
    return (
        typed({"type": "content_block_stop", "index": 0})
        + typed(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": ANSWER_TOKENS},
            }
        )
        + typed({"type": "message_stop"})
    )


MESSAGES = Dialect(
    name="messages",
    path="/v1/messages",
    request=messages_request,
    answer=MESSAGE,
    opening=typed(
        {
            "type": "message_start",
            "message": MESSAGE
            | {
                "content": [],
                "stop_reason": None,
                "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": 1},
            },
        }
    )
    + typed({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    chunk=typed(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": STAMP.decode()},
        }
    ),
    closing=messages_closing,
    headers="anthropic-version: 2023-06-01\r\n",
)

# --- OpenAI responses -------------------------------------------------------------------------------------------------

WHERE = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}


def output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def output_message(text: str) -> dict[str, Any]:
    return {
        "id": "msg_bench",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [output_text(text)],
    }


def response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": ANSWER_TOKENS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + ANSWER_TOKENS,
    }
    return {
        "id": "resp_bench",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "bench",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if status == "completed" else None,
    }


def responses_request(model: str, turns: list[dict[str, str]], *, streaming: bool) -> dict[str, Any]:
    more = {"stream": True} if streaming else {}
    return {"model": model, "instructions": SYSTEM_TEXT, "input": turns, "store": False, **more}


def responses_closing(text: str) -> bytes:
    whole = output_message(text)
    return (
        typed({"type": "response.output_text.done", **WHERE, "text": text, "logprobs": []})
        + typed({"type": "response.content_part.done", **WHERE, "part": output_text(text)})
        + typed({"type": "response.output_item.done", "output_index": 0, "item": whole})
        + typed({"type": "response.completed", "response": response("completed", [whole])})
    )


RESPONSES = Dialect(
    name="responses",
    path="/v1/responses",
    request=responses_request,
    answer=response("completed", [output_message(ANSWER_TEXT)]),
    opening=typed({"type": "response.created", "response": response("in_progress", [])})
    + typed({"type": "response.in_progress", "response": response("in_progress", [])})
    + typed(
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": output_message("") | {"status": "in_progress", "content": []},
        }
    )
    + typed({"type": "response.content_part.added", **WHERE, "part": output_text("")}),
    chunk=typed({"type": "response.output_text.delta", **WHERE, "delta": STAMP.decode(), "logprobs": []}),
    closing=responses_closing,
)

DIALECTS = {dialect.name: dialect for dialect in (CHAT, MESSAGES, RESPONSES)}
