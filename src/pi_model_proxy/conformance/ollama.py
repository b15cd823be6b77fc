"""Ollama's own chat.

Source: https://docs.ollama.com/api/chat, /api/errors, /api/tags and /api/usage; what ollama-python 0.6 reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from pi_model_proxy.conformance.client import Frame, Sent
from pi_model_proxy.conformance.dialect import Answer, Dialect, Json, Reader, Usage, Wish, Wrong, at, parsed

__all__ = ["Ollama"]


class Ollama(Dialect):
    """Implements `Dialect`."""

    id = "ollama"
    title = "Ollama"
    stream_type = "application/x-ndjson"

    @override
    def headers(self, key: str) -> Json:
        return {"authorization": f"Bearer {key}"} if key else {}

    @override
    def request(self, wish: Wish) -> Sent:
        options: Json = {"num_predict": wish.max_tokens}
        body: Json = {
            "model": wish.model,
            "messages": _messages(wish),
            "stream": wish.stream,
            "options": options,
        }
        if wish.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.schema,
                    },
                }
                for tool in wish.tools
            ]
        if wish.schema is not None:
            body["format"] = wish.schema
        if wish.any_json:
            body["format"] = "json"
        if wish.thinking:
            body["think"] = True
        if wish.stop:
            options["stop"] = [wish.stop]
        return Sent(path="/api/chat", body=body)

    @override
    def bad_request(self, model: str) -> Json:
        return {"model": None}

    @override
    def whole(self, answer: Json) -> Answer:
        return _answer([answer])

    @override
    def streamed(self, frames: Sequence[Frame]) -> Answer:
        return _answer([parsed(frame.data, "a line") for frame in frames])

    @override
    def error(self, body: object) -> str:
        return at(body, "error", kind=str)

    @override
    def models(self) -> Sent:
        return Sent(path="/api/tags")

    @override
    def names(self, body: Json) -> list[str]:
        for model in at(body, "models", kind=list):
            at(model, "modified_at", kind=str)
            at(model, "digest", kind=str)
            at(model, "details", kind=dict)
        return [at(model, "name", kind=str).removesuffix(":latest") for model in body["models"]]

    @override
    def count(self, wish: Wish) -> Sent:
        raise NotImplementedError("absent: see absences.py")

    @override
    def counted(self, body: Json) -> int:
        raise NotImplementedError("absent: see absences.py")


def _answer(parts: Sequence[Json]) -> Answer:
    reader, calls = Reader(), list[Json]()
    for part in parts:
        if "error" in part:
            raise Wrong(f"the stream has an error: {part['error']!r:.160}")
        message = at(part, "message", kind=dict)
        reader.expect(isinstance(part.get("model"), str), "model is missing")
        reader.expect(isinstance(part.get("created_at"), str), "created_at is missing")
        reader.expect(message.get("role") == "assistant", "message.role is not assistant")
        reader.expect(part.get("done") is (part is parts[-1]), "done is not true in the last object only")
        reader.text.append(message.get("content") or "")
        reader.thinking.append(message.get("thinking") or "")
        for call in message.get("tool_calls") or ():
            calls.append(call)
            reader.call(
                call.get("id"),
                at(call, "function", "name", kind=str),
                at(call, "function", "arguments", kind=dict),
            )
    if not parts:
        raise Wrong("the answer is empty")
    last = parts[-1]
    finish = at(last, "done_reason", kind=str)
    reader.expect(isinstance(last.get("total_duration"), int), "total_duration is missing")
    turn: Json = {"role": "assistant", "content": "".join(reader.text)}
    if calls:
        turn["tool_calls"] = calls
    if thought := "".join(reader.thinking):
        turn["thinking"] = thought
    said = "tool_calls" if finish == "stop" and calls else finish
    return reader.answer(finish=said, usage=_usage(last), turn=turn)


def _usage(last: Json) -> Usage | None:
    """Return the counts; a prompt that was wholly cached may have none (ollama/ollama, api/types.go, omitempty)."""
    if "eval_count" not in last:
        return None
    return Usage(input=last.get("prompt_eval_count") or 0, output=at(last, "eval_count", kind=int))


def _messages(wish: Wish) -> list[Json]:
    said: list[Json] = [{"role": "system", "content": wish.system}] if wish.system else []
    for question, answer in wish.earlier:
        said += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    said.append({"role": "user", "content": wish.prompt} | ({"images": [wish.image]} if wish.image else {}))
    if wish.after is not None:
        said.append(wish.after.turn)
        for call, result in zip(wish.after.calls, wish.results, strict=True):
            said.append({"role": "tool", "tool_name": call.name, "content": result})
    return said
