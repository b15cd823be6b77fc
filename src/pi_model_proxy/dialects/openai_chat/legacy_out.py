"""Answers in the words of before there were tools: one `function_call`, and no ids.

Clients that offer `functions` read nothing else. They are asked upstream for one call at a time;
of several that come after all, only the first can be said.

Source: OpenAI's chat completions schema (openai-python 3.54.0, deprecated `function_call`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pi_model_proxy.hub import ToolCallBlock
from pi_model_proxy.wire import ascii_json

__all__ = ["FINISH_WORD", "call_argued", "call_begun", "whole_call"]

FINISH_WORD: Final = "function_call"


def call_begun(call: ToolCallBlock) -> bytes:
    """Return the delta that begins the call."""
    return ascii_json({"function_call": {"name": call.name, "arguments": ""}})


def call_argued(text: str) -> bytes:
    """Return the delta with a piece of the arguments."""
    return b'{"function_call":{"arguments":' + ascii_json(text) + b"}}"


def whole_call(calls: Sequence[ToolCallBlock]) -> dict[str, Any]:
    """Return the members of a whole answer's message for its calls; empty when there are none."""
    if not calls:
        return {}
    return {"function_call": {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}}
