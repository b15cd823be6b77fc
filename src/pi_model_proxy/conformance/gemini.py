"""Gemini's generateContent and streamGenerateContent.

Source: https://ai.google.dev/api/generate-content and /api/models, /api/tokens; what google-genai 3.4 reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from typing_extensions import override

from pi_model_proxy.conformance.client import Frame, Sent
from pi_model_proxy.conformance.dialect import Answer, Dialect, Json, Reader, Usage, Wish, Wrong, at, parsed

__all__ = ["Gemini"]

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
_MODES = {"auto": "AUTO", "none": "NONE"}


class Gemini(Dialect):
    """Implements `Dialect`."""

    id = "gemini"
    title = "Gemini"
    stream_type = "text/event-stream"

    @override
    def headers(self, key: str) -> Json:
        return {"x-goog-api-key": key} if key else {}

    @override
    def request(self, wish: Wish) -> Sent:
        settings: Json = {"maxOutputTokens": wish.max_tokens}
        body: Json = {"contents": _contents(wish), "generationConfig": settings}
        if wish.system:
            body["systemInstruction"] = {"parts": [{"text": wish.system}]}
        if wish.tools:
            declared = [
                {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.schema}
                for tool in wish.tools
            ]
            body["tools"] = [{"functionDeclarations": declared}]
            forced = {"mode": "ANY", "allowedFunctionNames": [wish.choice]}
            calling = {"mode": _MODES[wish.choice]} if wish.choice in _MODES else forced
            body["toolConfig"] = {"functionCallingConfig": calling}
        if wish.schema is not None:
            settings |= {"responseMimeType": "application/json", "responseJsonSchema": wish.schema}
        if wish.any_json:
            settings["responseMimeType"] = "application/json"
        if wish.thinking:
            settings["thinkingConfig"] = {"includeThoughts": True}
        if wish.stop:
            settings["stopSequences"] = [wish.stop]
        method = "streamGenerateContent?alt=sse" if wish.stream else "generateContent"
        return Sent(path=f"{_path(wish.model)}:{method}", body=body)

    @override
    def bad_request(self, model: str) -> Json:
        return {"contents": None}

    @override
    def whole(self, answer: Json) -> Answer:
        reader, parts = Reader(), list[Json]()
        finish = _take(reader, answer, parts)
        return _answer(reader, parts, finish, answer.get("usageMetadata"))

    @override
    def streamed(self, frames: Sequence[Frame]) -> Answer:
        reader, parts = Reader(), list[Json]()
        finish, usage = "", None
        for frame in frames:
            chunk = parsed(frame.data, "data")
            if "error" in chunk:
                raise Wrong(f"the stream has an error: {chunk['error']!r:.160}")
            reader.expect(not finish, "a chunk comes after the one with finishReason")
            finish = _take(reader, chunk, parts)
            usage = chunk.get("usageMetadata") or usage
        return _answer(reader, parts, finish, usage)

    @override
    def error(self, body: object) -> str:
        found = body[0] if isinstance(body, list) and body else body
        at(found, "error", "code", kind=int)
        at(found, "error", "status", kind=str)
        return at(found, "error", "message", kind=str)

    @override
    def models(self) -> Sent:
        return Sent(path="/v1beta/models?pageSize=1000")

    @override
    def names(self, body: Json) -> list[str]:
        for model in at(body, "models", kind=list):
            at(model, "supportedGenerationMethods", kind=list)
        return [at(model, "name", kind=str).removeprefix("models/") for model in body["models"]]

    @override
    def count(self, wish: Wish) -> Sent:
        return Sent(path=f"{_path(wish.model)}:countTokens", body={"contents": _contents(wish)})

    @override
    def counted(self, body: Json) -> int:
        return at(body, "totalTokens", kind=int)


def _path(model: str) -> str:
    return f"/v1beta/models/{quote(model, safe='/')}"


def _take(reader: Reader, answer: Json, parts: list[Json]) -> str:
    """Add an answer's parts to `parts` and return its finishReason, or nothing."""
    if "candidates" not in answer:
        reader.expect("usageMetadata" in answer, "candidates is missing")
        return ""
    candidate = at(answer, "candidates", 0, kind=dict)
    content = candidate.get("content") or {}
    reader.expect(content.get("role", "model") == "model", "content.role is not model")
    for part in content.get("parts") or ():
        parts.append(part)
        if "functionCall" in part:
            call = part["functionCall"]
            reader.call(call.get("id"), call.get("name"), call.get("args") or {})
        elif "text" in part:
            said = reader.thinking if part.get("thought") else reader.text
            said.append(at(part, "text", kind=str))
    finish = candidate.get("finishReason")
    return finish if isinstance(finish, str) else ""


def _answer(reader: Reader, parts: list[Json], finish: str, usage: object) -> Answer:
    if not finish:
        raise Wrong("no candidate has a finishReason")
    said = _FINISH.get(finish, finish)
    if said == "stop" and reader.calls:
        said = "tool_calls"
    return reader.answer(finish=said, usage=_usage(usage), turn={"role": "model", "parts": parts})


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    thoughts = usage.get("thoughtsTokenCount") or 0
    return Usage(
        input=at(usage, "promptTokenCount", kind=int) + (usage.get("toolUsePromptTokenCount") or 0),
        output=(usage.get("candidatesTokenCount") or 0) + thoughts,
        total=at(usage, "totalTokenCount", kind=int),
        reasoning=thoughts,
    )


def _contents(wish: Wish) -> list[Json]:
    said: list[Json] = []
    for question, answer in wish.earlier:
        said += [
            {"role": "user", "parts": [{"text": question}]},
            {"role": "model", "parts": [{"text": answer}]},
        ]
    picture = [{"inlineData": {"mimeType": "image/png", "data": wish.image}}] if wish.image else []
    said.append({"role": "user", "parts": [{"text": wish.prompt}, *picture]})
    if wish.after is not None:
        results = [
            {
                "functionResponse": {"name": call.name, "response": {"output": result}}
                | ({"id": call.id} if call.id else {})
            }
            for call, result in zip(wish.after.calls, wish.results, strict=True)
        ]
        said += [wish.after.turn, {"role": "user", "parts": results}]
    return said
