"""OpenAI chat completions.

Source: https://platform.openai.com/docs/api-reference/chat/object and /chat-streaming; what openai-python 3.54 and
openai-node 6.49 need of it ("missing finish_reason for choice 0", a tool call's `index`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from pi_model_proxy.conformance.client import Frame, Sent
from pi_model_proxy.conformance.dialect import (
    Answer,
    Dialect,
    Json,
    Reader,
    Tool,
    Usage,
    Wish,
    Wrong,
    at,
    parsed,
)

__all__ = ["Chat"]

_THINKING = ("reasoning_content", "reasoning", "reasoning_text")
"""What servers call it; OpenAI itself shows none (https://platform.openai.com/docs/guides/reasoning)."""


class Chat(Dialect):
    """Implements `Dialect`."""

    id = "chat"
    title = "OpenAI chat"
    stream_type = "text/event-stream"

    @override
    def headers(self, key: str) -> Json:
        return {"authorization": f"Bearer {key}"} if key else {}

    @override
    def request(self, wish: Wish) -> Sent:
        body: Json = {"model": wish.model, "messages": _messages(wish), "max_tokens": wish.max_tokens}
        if wish.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if wish.tools:
            body |= {"tools": [_tool(tool) for tool in wish.tools], "tool_choice": _choice(wish.choice)}
        if wish.schema is not None:
            form = {"name": "answer", "schema": wish.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if wish.any_json:
            body["response_format"] = {"type": "json_object"}
        if wish.thinking:
            body["reasoning_effort"] = "low"
        if wish.stop:
            body["stop"] = [wish.stop]
        return Sent(path="/v1/chat/completions", body=body)

    @override
    def bad_request(self, model: str) -> Json:
        return {"messages": None}

    @override
    def whole(self, answer: Json) -> Answer:
        reader = Reader()
        _envelope(reader, answer, "chat.completion")
        message = at(answer, "choices", 0, "message", kind=dict)
        reader.expect(answer["choices"][0].get("index") == 0, "choices[0].index is not 0")
        reader.expect(message.get("role") == "assistant", "choices[0].message.role is not assistant")
        reader.expect("content" in message, "choices[0].message.content is missing")
        reader.text.append(message.get("content") or "")
        reader.thinking.append(_thinking(message))
        for call in message.get("tool_calls") or ():
            reader.expect(call.get("type") == "function", "tool_calls[].type is not function", "calls")
            reader.call(
                call.get("id"),
                at(call, "function", "name", kind=str),
                at(call, "function", "arguments", kind=str),
            )
        finish = at(answer, "choices", 0, "finish_reason", kind=str)
        return reader.answer(finish=finish, usage=_usage(answer.get("usage")), turn=message)

    @override
    def streamed(self, frames: Sequence[Frame]) -> Answer:
        reader, stream = Reader(), _Stream()
        reader.expect(frames and frames[-1].data == "[DONE]", "the stream does not end with data: [DONE]")
        chunks = [parsed(frame.data, "data") for frame in frames if frame.data != "[DONE]"]
        for chunk in chunks:
            if "error" in chunk:
                raise Wrong(f"the stream has an error: {chunk['error']!r:.160}")
            _envelope(reader, chunk, "chat.completion.chunk")
            stream.take(reader, chunk)
        reader.expect(len({chunk.get("id") for chunk in chunks}) == 1, "the chunks have several ids")
        if not stream.finish:
            raise Wrong("no chunk has a finish_reason")
        turn: Json = {"role": "assistant", "content": "".join(reader.text) or None}
        calls = [stream.calls[index] for index in sorted(stream.calls)]
        for call in calls:
            reader.call(call["id"], call["function"]["name"], call["function"]["arguments"])
        if calls:
            turn["tool_calls"] = calls
        if thought := "".join(reader.thinking):
            turn["reasoning_content"] = thought
        return reader.answer(finish=stream.finish, usage=stream.usage, turn=turn)

    @override
    def error(self, body: object) -> str:
        at(body, "error", "type", kind=str)
        return at(body, "error", "message", kind=str)

    @override
    def models(self) -> Sent:
        return Sent(path="/v1/models")

    @override
    def names(self, body: Json) -> list[str]:
        if body.get("object") != "list":
            raise Wrong(f"object is {body.get('object')!r}, not list")
        for model in at(body, "data", kind=list):
            at(model, "created", kind=int)
            at(model, "owned_by", kind=str)
        return [
            at(model, "id", kind=str) for model in body["data"] if at(model, "object", kind=str) == "model"
        ]

    @override
    def count(self, wish: Wish) -> Sent:
        raise NotImplementedError("absent: see absences.py")

    @override
    def counted(self, body: Json) -> int:
        raise NotImplementedError("absent: see absences.py")


class _Stream:
    """Puts the chunks together."""

    def __init__(self) -> None:
        self.calls: dict[int, Json] = {}
        self.finish = ""
        self.usage: Usage | None = None
        self._begun = False

    def take(self, reader: Reader, chunk: Json) -> None:
        self.usage = _usage(chunk.get("usage")) or self.usage
        for choice in at(chunk, "choices", kind=list):
            delta = at(choice, "delta", kind=dict)
            if not self._begun:
                reader.expect(delta.get("role") == "assistant", "the first delta has no role")
                self._begun = True
            reader.expect(choice.get("index") == 0, "choices[].index is not 0")
            reader.expect(not self.finish, "a chunk with choices comes after the one with finish_reason")
            reader.text.append(delta.get("content") or "")
            reader.thinking.append(_thinking(delta))
            for fragment in delta.get("tool_calls") or ():
                self._fragment(reader, fragment)
            self.finish = choice.get("finish_reason") or self.finish

    def _fragment(self, reader: Reader, fragment: Json) -> None:
        index = at(fragment, "index", kind=int)
        said = fragment.get("function") or {}
        call = self.calls.get(index)
        if call is None:
            reader.expect(index == len(self.calls), "tool_calls[].index does not count up from 0", "calls")
            reader.expect(fragment.get("type") == "function", "tool_calls[].type is not function", "calls")
            function = {"name": at(said, "name", kind=str), "arguments": said.get("arguments") or ""}
            self.calls[index] = {"id": at(fragment, "id", kind=str), "type": "function", "function": function}
        else:
            call["function"]["arguments"] += said.get("arguments") or ""


def _envelope(reader: Reader, answer: Json, object_: str) -> None:
    reader.expect(answer.get("object") == object_, f"object is {answer.get('object')!r}, not {object_}")
    reader.expect(isinstance(answer.get("id"), str) and answer["id"], "id is missing")
    reader.expect(isinstance(answer.get("created"), int), "created is no number")
    reader.expect(isinstance(answer.get("model"), str), "model is missing")


def _thinking(message: Json) -> str:
    return next((text for name in _THINKING if isinstance(text := message.get(name), str) and text), "")


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(
        input=at(usage, "prompt_tokens", kind=int),
        output=at(usage, "completion_tokens", kind=int),
        total=at(usage, "total_tokens", kind=int),
        reasoning=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def _messages(wish: Wish) -> list[Json]:
    said: list[Json] = [{"role": "system", "content": wish.system}] if wish.system else []
    for question, answer in wish.earlier:
        said += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    content: Any = wish.prompt
    if wish.image:
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{wish.image}"}}
        content = [{"type": "text", "text": wish.prompt}, picture]
    said.append({"role": "user", "content": content})
    if wish.after is not None:
        said.append(wish.after.turn)
        for call, result in zip(wish.after.calls, wish.results, strict=True):
            said.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return said


def _tool(tool: Tool) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}


def _choice(choice: str) -> object:
    return choice if choice in {"auto", "none"} else {"type": "function", "function": {"name": choice}}
