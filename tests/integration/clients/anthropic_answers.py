"""Messages asked for with anthropic-python, plain or streamed, and the laws of their events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import anthropic
from anthropic.types import Message, RawMessageStreamEvent

__all__ = ["WAYS", "Way", "as_turn", "ask", "check_events", "text_of"]

Way = Literal["plain", "streamed"]
WAYS: Final[tuple[Way, ...]] = ("plain", "streamed")


def ask(
    client: anthropic.Anthropic, model: str, prompt: str | list[Any], way: Way = "plain", **fields: Any
) -> Message:
    """Return the message; `prompt` is the user's content, or all messages."""
    whole = isinstance(prompt, list) and prompt and "role" in prompt[0]
    asked: Any = {
        "model": model,
        "max_tokens": 1000,
        "messages": prompt if whole else [{"role": "user", "content": prompt}],
        **fields,
    }
    if way == "plain":
        answer: Message = client.messages.create(**asked)
        return answer
    with client.messages.stream(**asked) as stream:
        final: Message = stream.get_final_message()
        return final


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def as_turn(message: Message) -> dict[str, Any]:
    """Return the assistant turn of the next request, with every block as it came."""
    return {"role": "assistant", "content": [block.to_dict() for block in message.content]}


def check_events(events: Iterable[RawMessageStreamEvent]) -> list[str]:
    """Check the grammar that clients rely on, and return the kinds of the blocks in their order."""
    kinds: list[str] = []
    types: list[str] = []
    for event in events:
        types.append(event.type)
        match event.type:
            case "content_block_start":
                assert event.index == len(kinds), "blocks are numbered without gaps"
                kinds.append(event.content_block.type)
            case "content_block_delta" | "content_block_stop":
                assert event.index == len(kinds) - 1, "blocks do not overlap"
    assert types[0] == "message_start"
    assert types[-2:] == ["message_delta", "message_stop"]
    assert types.count("message_start") == types.count("message_delta") == types.count("message_stop") == 1
    assert types.count("content_block_start") == types.count("content_block_stop") == len(kinds)
    return kinds
