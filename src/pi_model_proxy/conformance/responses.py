"""OpenAI Responses.

Source: https://platform.openai.com/docs/api-reference/responses/object and /responses-streaming; what openai-python
3.54 and openai-node 6.49 need of it ("missing output at index", "missing content at index", a terminal event).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from pi_model_proxy.conformance.chat import Chat
from pi_model_proxy.conformance.client import Frame, Sent
from pi_model_proxy.conformance.dialect import Answer, Json, Reader, Usage, Wish, Wrong, at, parsed

__all__ = ["Responses"]

_REQUIRED = ("id", "created_at", "model", "output", "parallel_tool_calls", "tool_choice", "tools")
"""Members without a default in the SDKs' type."""
_TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
_WHOLE_OF = {
    "response.output_text.done": ("response.output_text.delta", "text"),
    "response.function_call_arguments.done": ("response.function_call_arguments.delta", "arguments"),
}


class Responses(Chat):
    """Implements `Dialect`; keys, errors and models are those of chat."""

    id = "responses"
    title = "OpenAI Responses"

    @override
    def request(self, wish: Wish) -> Sent:
        body: Json = {"model": wish.model, "input": _input(wish), "max_output_tokens": wish.max_tokens}
        body["store"] = False
        if wish.stream:
            body["stream"] = True
        if wish.system:
            body["instructions"] = wish.system
        if wish.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.schema,
                    "strict": False,
                }
                for tool in wish.tools
            ]
            plain = wish.choice in {"auto", "none"}
            body["tool_choice"] = wish.choice if plain else {"type": "function", "name": wish.choice}
        if wish.schema is not None:
            form = {"type": "json_schema", "name": "answer", "schema": wish.schema, "strict": True}
            body["text"] = {"format": form}
        if wish.any_json:
            body["text"] = {"format": {"type": "json_object"}}
        if wish.thinking:
            body |= {
                "reasoning": {"effort": "low", "summary": "auto"},
                "include": ["reasoning.encrypted_content"],
            }
        return Sent(path="/v1/responses", body=body)

    @override
    def bad_request(self, model: str) -> Json:
        return {"input": 5}

    @override
    def whole(self, answer: Json) -> Answer:
        return _answer(Reader(), answer)

    @override
    def streamed(self, frames: Sequence[Frame]) -> Answer:
        reader, stream = Reader(), _Stream()
        for number, frame in enumerate(frames):
            if frame.data == "[DONE]":
                continue
            event = parsed(frame.data, "data")
            reader.expect(
                frame.event == event.get("type"),
                "the event: lines are missing or differ from type in the data",
            )
            reader.expect(event.get("sequence_number") == number, "sequence_number does not count up from 0")
            stream.take(reader, number, event)
        if stream.last is None:
            raise Wrong("the stream has no response.completed, response.incomplete or response.failed")
        said = "".join(stream.text)
        answer = _answer(reader, stream.last)
        if said != answer.text:
            raise Wrong(f"the deltas say {said[:80]!r}, the last event {answer.text[:80]!r}")
        fields = {name: getattr(answer, name) for name in answer.__struct_fields__}
        return Answer(**fields | {"pieces": len(stream.text)})

    @override
    def count(self, wish: Wish) -> Sent:
        return Sent(path="/v1/responses/input_tokens", body={"model": wish.model, "input": _input(wish)})

    @override
    def counted(self, body: Json) -> int:
        return at(body, "input_tokens", kind=int)


class _Stream:
    """Follows the events' order."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.last: Json | None = None
        # By the event's own indexes, whatever they are: a missing one is a fault and no reason to read no further.
        self._open: dict[object, Json] = {}
        self._done: set[object] = set()
        self._parts: set[tuple[object, object]] = set()
        self._said: dict[tuple[str, object], str] = {}

    def take(self, reader: Reader, number: int, event: Json) -> None:
        type_ = at(event, "type", kind=str)
        reader.expect(number != 0 or type_ == "response.created", "the first event is not response.created")
        reader.expect(self.last is None, f"{type_} comes after the terminal event")
        if type_ in {"error", "response.failed"}:
            raise Wrong(f"the stream has an error: {event!r:.160}")
        if type_ in _TERMINAL:
            reader.expect(self._done == set(self._open), "an output item is open at the end")
            self.last = at(event, "response", kind=dict)
        elif type_.startswith("response.output_item."):
            self._item(reader, type_, event)
        elif type_ == "response.content_part.added":
            self._parts.add((event.get("output_index"), event.get("content_index")))
        elif type_.endswith((".delta", ".done")):
            self._inside(reader, type_, event)

    def _item(self, reader: Reader, type_: str, event: Json) -> None:
        index, item = event.get("output_index"), at(event, "item", kind=dict)
        if type_.endswith("added"):
            reader.expect(index == len(self._open), "output_index does not count up from 0")
            self._open[index] = item
        else:
            opened = self._open.get(index, {})
            reader.expect(
                opened.get("type") == item.get("type"), "output_item.done without its output_item.added"
            )
            reader.expect(opened.get("id") == item.get("id"), "an item's id changes between added and done")
            self._done.add(index)

    def _inside(self, reader: Reader, type_: str, event: Json) -> None:
        index = event.get("output_index")
        reader.expect(isinstance(index, int), f"{type_} has no output_index")
        reader.expect(index in self._open and index not in self._done, f"{type_} outside of an open item")
        if type_ == "response.output_text.delta":
            reader.expect(
                (index, event.get("content_index")) in self._parts,
                "output_text.delta before content_part.added",
            )
            self.text.append(at(event, "delta", kind=str))
        if type_.endswith(".delta"):
            self._said[type_, index] = self._said.get((type_, index), "") + str(event.get("delta"))
        elif type_ in _WHOLE_OF:
            delta, member = _WHOLE_OF[type_]
            reader.expect(
                self._said.get((delta, index), "") == event.get(member), f"{type_} differs from its deltas"
            )


def _answer(reader: Reader, answer: Json) -> Answer:
    for member in _REQUIRED:
        reader.expect(member in answer, f"{member} is missing")
    reader.expect(answer.get("object") == "response", "object is not response")
    output = at(answer, "output", kind=list)
    for item in output:
        type_ = at(item, "type", kind=str)
        if type_ == "message":
            _message(reader, item)
        elif type_ == "function_call":
            reader.expect(isinstance(item.get("id"), str), "a function_call has no id", "calls")
            reader.call(at(item, "call_id", kind=str), item.get("name"), at(item, "arguments", kind=str))
        elif type_ == "reasoning":
            reader.expect(isinstance(item.get("id"), str), "a reasoning item has no id", "thinking")
            parts = [*at(item, "summary", kind=list), *(item.get("content") or ())]
            reader.thinking += [at(part, "text", kind=str) for part in parts]
    return reader.answer(
        finish=_finish(reader, answer), usage=_usage(reader, answer.get("usage")), turn=output
    )


def _message(reader: Reader, item: Json) -> None:
    reader.expect(isinstance(item.get("id"), str), "a message has no id")
    reader.expect(item.get("role") == "assistant", "a message's role is not assistant")
    for part in at(item, "content", kind=list):
        if part.get("type") == "output_text":
            reader.expect(isinstance(part.get("annotations"), list), "output_text.annotations is missing")
            reader.text.append(at(part, "text", kind=str))


def _finish(reader: Reader, answer: Json) -> str:
    status = at(answer, "status", kind=str)
    if status == "incomplete":
        reason = at(answer, "incomplete_details", "reason", kind=str)
        return "length" if reason == "max_output_tokens" else reason
    if status != "completed":
        raise Wrong(f"status is {status!r}: {answer.get('error')!r:.160}")
    return "tool_calls" if reader.calls else "stop"


def _usage(reader: Reader, usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    counts: list[int] = []
    for outer, inner in (
        ("input_tokens_details", "cached_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
    ):
        count = (usage.get(outer) or {}).get(inner)
        reader.expect(isinstance(count, int), f"usage.{outer}.{inner} is missing", "usage")
        counts.append(count if isinstance(count, int) else 0)
    return Usage(
        input=at(usage, "input_tokens", kind=int),
        output=at(usage, "output_tokens", kind=int),
        total=at(usage, "total_tokens", kind=int),
        reasoning=counts[1],
    )


def _input(wish: Wish) -> list[Json]:
    said: list[Json] = []
    for question, answer in wish.earlier:
        said += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    content: Any = wish.prompt
    if wish.image:
        picture = {
            "type": "input_image",
            "image_url": f"data:image/png;base64,{wish.image}",
            "detail": "auto",
        }
        content = [{"type": "input_text", "text": wish.prompt}, picture]
    said.append({"role": "user", "content": content})
    if wish.after is not None:
        said += wish.after.turn
        for call, result in zip(wish.after.calls, wish.results, strict=True):
            said.append({"type": "function_call_output", "call_id": call.id, "output": result})
    return said
