"""Anthropic Messages.

Source: https://platform.claude.com/docs/en/api/messages and /docs/en/build-with-claude/streaming; what
anthropic-python 2.12 and @anthropic-ai/sdk 1.12 need of it (event names, order, `message_delta.usage`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from pi_model_proxy.conformance.client import Frame, Sent
from pi_model_proxy.conformance.dialect import Answer, Dialect, Json, Reader, Usage, Wish, Wrong, at, parsed

__all__ = ["Messages"]

_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
THINKING_TOKENS = 1024
"""The least that the API takes (https://platform.claude.com/docs/en/build-with-claude/extended-thinking)."""


class Messages(Dialect):
    """Implements `Dialect`."""

    id = "messages"
    title = "Anthropic Messages"
    stream_type = "text/event-stream"

    @override
    def headers(self, key: str) -> Json:
        return {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})

    @override
    def request(self, wish: Wish) -> Sent:
        body: Json = {"model": wish.model, "messages": _messages(wish), "max_tokens": wish.max_tokens}
        if wish.stream:
            body["stream"] = True
        if wish.system:
            body["system"] = wish.system
        if wish.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
                for tool in wish.tools
            ]
            plain = wish.choice in {"auto", "none"}
            body["tool_choice"] = {"type": wish.choice} if plain else {"type": "tool", "name": wish.choice}
        if wish.schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": wish.schema}}
        if wish.thinking:
            body["thinking"] = {"type": "enabled", "budget_tokens": THINKING_TOKENS}
            body["max_tokens"] = wish.max_tokens + THINKING_TOKENS
        if wish.stop:
            body["stop_sequences"] = [wish.stop]
        return Sent(path="/v1/messages", body=body)

    @override
    def bad_request(self, model: str) -> Json:
        return {"messages": None}

    @override
    def whole(self, answer: Json) -> Answer:
        reader = Reader()
        _envelope(reader, answer)
        reader.expect("stop_sequence" in answer, "stop_sequence is missing")
        blocks = at(answer, "content", kind=list)
        return _answer(reader, blocks, at(answer, "stop_reason", kind=str), at(answer, "usage", kind=dict))

    @override
    def streamed(self, frames: Sequence[Frame]) -> Answer:
        reader, stream = Reader(), _Stream()
        for frame in frames:
            event = parsed(frame.data, "data")
            reader.expect(
                frame.event == event.get("type"),
                "the event: lines are missing or differ from type in the data",
            )
            if event.get("type") == "error":
                raise Wrong(f"the stream has an error: {event.get('error')!r:.160}")
            stream.take(reader, event)
        reader.expect(stream.state == "end", "the stream does not end with message_stop")
        if not stream.finish:
            raise Wrong("no message_delta has a stop_reason")
        pieces = stream.pieces
        answer = _answer(reader, stream.blocks, stream.finish, stream.usage)
        return Answer(
            **{name: getattr(answer, name) for name in answer.__struct_fields__} | {"pieces": pieces}
        )

    @override
    def error(self, body: object) -> str:
        if at(body, "type", kind=str) != "error":
            raise Wrong("type is not error")
        at(body, "error", "type", kind=str)
        return at(body, "error", "message", kind=str)

    @override
    def models(self) -> Sent:
        return Sent(path="/v1/models?limit=1000")

    @override
    def names(self, body: Json) -> list[str]:
        at(body, "has_more", kind=bool)
        for model in at(body, "data", kind=list):
            at(model, "display_name", kind=str)
            at(model, "created_at", kind=str)
        return [at(model, "id", kind=str) for model in body["data"] if at(model, "type", kind=str) == "model"]

    @override
    def count(self, wish: Wish) -> Sent:
        body = {"model": wish.model, "messages": _messages(wish)}
        return Sent(path="/v1/messages/count_tokens", body=body)

    @override
    def counted(self, body: Json) -> int:
        return at(body, "input_tokens", kind=int)


class _Stream:
    """Follows the events' order and puts the blocks together."""

    def __init__(self) -> None:
        self.blocks: list[Json] = []
        self.finish = ""
        self.usage: Json = {}
        self.state = "before"
        self.pieces = 0

    def take(self, reader: Reader, event: Json) -> None:
        type_ = event.get("type")
        if type_ == "message_start":
            reader.expect(self.state == "before", "message_start is not the first event")
            _envelope(reader, at(event, "message", kind=dict))
            self.usage |= at(event, "message", "usage", kind=dict)
            self.state = "between"
        elif type_ == "content_block_start":
            reader.expect(self.state == "between", "a block starts inside another or before message_start")
            reader.expect(
                event.get("index") == len(self.blocks), "content_block_start.index does not count up from 0"
            )
            self.blocks.append(dict(at(event, "content_block", kind=dict)))
            self.state = "inside"
        elif type_ == "content_block_delta":
            reader.expect(self.state == "inside", "there is a delta outside of a block")
            reader.expect(
                event.get("index") == len(self.blocks) - 1,
                "content_block_delta.index is not the open block's",
            )
            self._delta(reader, at(event, "delta", kind=dict))
        elif type_ == "content_block_stop":
            reader.expect(self.state == "inside", "content_block_stop without a start")
            self.state = "between"
        elif type_ == "message_delta":
            reader.expect(self.state == "between", "message_delta comes before the last block's stop")
            at(event, "usage", "output_tokens", kind=int)
            self.usage |= event["usage"]
            self.finish = at(event, "delta", "stop_reason", kind=str)
            self.state = "after"
        elif type_ == "message_stop":
            reader.expect(self.state == "after", "message_stop comes before message_delta")
            self.state = "end"
        else:
            reader.expect(type_ == "ping", f"there is an unknown event {type_!r}")

    def _delta(self, reader: Reader, delta: Json) -> None:
        block = self.blocks[-1]
        if delta.get("type") == "input_json_delta":
            reader.expect(
                block.get("type") == "tool_use", "input_json_delta in a block of another type", "calls"
            )
            block["partial"] = block.get("partial", "") + at(delta, "partial_json", kind=str)
            return
        member = _DELTAS.get(str(delta.get("type")), "")
        reader.expect(member, f"there is an unknown delta {delta.get('type')!r}")
        if member:
            fits = block.get("type") == ("text" if member == "text" else "thinking")
            reader.expect(fits, f"{delta['type']} in a block of type {block.get('type')!r}")
            block[member] = block.get(member, "") + at(delta, member, kind=str)
            self.pieces += member == "text"


def _envelope(reader: Reader, message: Json) -> None:
    reader.expect(message.get("type") == "message", "type is not message")
    reader.expect(message.get("role") == "assistant", "role is not assistant")
    reader.expect(isinstance(message.get("id"), str) and message["id"], "id is missing")
    reader.expect(isinstance(message.get("model"), str), "model is missing")
    reader.expect(isinstance(message.get("usage"), dict), "usage is missing")


def _answer(reader: Reader, blocks: list[Json], finish: str, usage: Json) -> Answer:
    for block in blocks:
        type_ = block.get("type")
        if type_ == "text":
            reader.text.append(at(block, "text", kind=str))
        elif type_ == "thinking":
            reader.expect(
                isinstance(block.get("signature"), str), "a thinking block has no signature", "thinking"
            )
            reader.thinking.append(at(block, "thinking", kind=str))
        elif type_ == "tool_use":
            if "partial" in block:
                block["input"] = parsed(block.pop("partial") or "{}", "partial_json, put together")
            reader.call(at(block, "id", kind=str), block.get("name"), block.get("input"))
    return reader.answer(
        finish=_FINISH.get(finish, finish), usage=_usage(usage), turn={"role": "assistant", "content": blocks}
    )


def _usage(usage: Json) -> Usage:
    cached = sum(usage.get(name) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    return Usage(
        input=at(usage, "input_tokens", kind=int) + cached, output=at(usage, "output_tokens", kind=int)
    )


def _messages(wish: Wish) -> list[Json]:
    said: list[Json] = []
    for question, answer in wish.earlier:
        said += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    content: Any = wish.prompt
    if wish.image:
        source = {"type": "base64", "media_type": "image/png", "data": wish.image}
        content = [{"type": "image", "source": source}, {"type": "text", "text": wish.prompt}]
    said.append({"role": "user", "content": content})
    if wish.after is not None:
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": result}
            for call, result in zip(wish.after.calls, wish.results, strict=True)
        ]
        said += [wish.after.turn, {"role": "user", "content": results}]
    return said
