"""Reads answers as a plain client of each dialect does, streamed or whole; knows nothing of our codecs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["READERS", "Heard", "HeardCall", "frames_of"]

Json = dict[str, Any]


@dataclass(slots=True)
class HeardCall:
    """A call as the client would run it."""

    name: str
    arguments: str = ""
    """JSON text, or a custom tool's input."""
    id: str | None = None


@dataclass(slots=True)
class Heard:
    """What a client makes of an answer."""

    text: str = ""
    thinking: str = ""
    calls: list[HeardCall] = field(default_factory=list)
    finish: str = ""
    """The dialect's own word; empty: the answer did not end as it should."""
    input: int | None = None
    """All input tokens, cached or not; None: the dialect's answer named no counts."""
    cached: int = 0
    output: int = 0
    total: int | None = None
    thought: int = 0
    error: str = ""


def frames_of(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield each event's name and data, as the standard for server-sent events says."""
    for frame in data.decode().replace("\r\n", "\n").split("\n\n"):
        name, lines = "", []
        for line in frame.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                lines.append(line[6:])
        if lines:
            yield name, "\n".join(lines)


def _objects(data: bytes) -> list[Json]:
    return [json.loads(said) for _, said in frames_of(data) if said != "[DONE]"]


# OpenAI's chat completions and legacy completions


def chat(data: bytes, *, streamed: bool) -> Heard:
    heard = Heard()
    ended = not streamed or data.endswith(b"data: [DONE]\n\n")
    for piece in _objects(data) if streamed else [json.loads(data)]:
        if "error" in piece:
            heard.error = piece["error"]["message"]
            return heard
        if piece.get("usage"):
            _chat_usage(heard, piece["usage"])
        for choice in piece["choices"]:
            _chat_said(heard, choice["delta" if streamed else "message"])
            heard.finish = (choice["finish_reason"] or heard.finish) if ended else ""
    return heard


def _chat_said(heard: Heard, said: Json) -> None:
    content = said.get("content") or ""
    if isinstance(content, list):  # Mistral's parts
        heard.thinking += "".join(inner["text"] for part in content for inner in part.get("thinking", []))
        content = "".join(part.get("text", "") for part in content)
    heard.text += content + (said.get("refusal") or "")
    heard.thinking += said.get("reasoning_content") or said.get("reasoning") or ""
    for position, fragment in enumerate(said.get("tool_calls") or []):
        index = fragment.get("index", position)
        if index == len(heard.calls):
            heard.calls.append(HeardCall("", id=fragment["id"]))
        given = fragment.get("function") or fragment.get("custom") or {}
        heard.calls[index].name += given.get("name", "")
        heard.calls[index].arguments += given.get("arguments", "") + given.get("input", "")


def _chat_usage(heard: Heard, usage: Json) -> None:
    heard.input, heard.output = usage["prompt_tokens"], usage["completion_tokens"]
    heard.total = usage["total_tokens"]
    heard.cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    heard.thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)


def completions(data: bytes, *, streamed: bool) -> Heard:
    heard = Heard()
    for piece in _objects(data) if streamed else [json.loads(data)]:
        if "error" in piece:
            heard.error = piece["error"]["message"]
            return heard
        if piece.get("usage"):
            _chat_usage(heard, piece["usage"])
        for choice in piece["choices"]:
            heard.text += choice["text"]
            heard.finish = choice["finish_reason"] or heard.finish
    return heard


# Anthropic's messages


def messages(data: bytes, *, streamed: bool) -> Heard:
    heard = Heard()
    if not streamed:
        message = json.loads(data)
        for block in message["content"]:
            _messages_block(heard, block, whole=True)
        heard.finish = message["stop_reason"]
        _messages_usage(heard, message["usage"])
        return heard
    usage: Json = {}
    stop, is_call = "", False
    for name, said in frames_of(data):
        event = json.loads(said)
        assert event["type"] == name
        match name:
            case "message_start":
                usage |= event["message"]["usage"]
            case "content_block_start":
                is_call = event["content_block"]["type"] == "tool_use"
                _messages_block(
                    heard, event["content_block"], whole=bool(event["content_block"].get("input"))
                )
            case "content_block_delta":
                delta = event["delta"]
                heard.text += delta.get("text", "")
                heard.thinking += delta.get("thinking", "")
                if "partial_json" in delta and is_call:
                    heard.calls[-1].arguments += delta["partial_json"]
            case "message_delta":
                usage |= {key: value for key, value in event["usage"].items() if value is not None}
                stop = event["delta"]["stop_reason"]
            case "message_stop":
                heard.finish = stop
            case "error":
                heard.error = event["error"]["message"]
    _messages_usage(heard, usage)
    return heard


def _messages_block(heard: Heard, block: Json, *, whole: bool) -> None:
    if block["type"] == "tool_use":
        heard.calls.append(
            HeardCall(block["name"], json.dumps(block["input"]) if whole else "", id=block["id"])
        )
    elif block["type"] in {"text", "thinking"}:
        heard.text += block.get("text", "")
        heard.thinking += block.get("thinking", "")


def _messages_usage(heard: Heard, usage: Json) -> None:
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    heard.input, heard.cached = (usage.get("input_tokens") or 0) + read + written, read
    heard.output = usage.get("output_tokens") or 0
    heard.thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)


# OpenAI's responses


def responses(data: bytes, *, streamed: bool) -> Heard:
    """Read the deltas of a stream, or the items of a whole response."""
    heard = Heard()
    if not streamed:
        _response(heard, json.loads(data), items=True)
        return heard
    for name, said in frames_of(data):
        event = json.loads(said)
        assert event["type"] == name
        match name.removeprefix("response."):
            case "output_text.delta" | "refusal.delta":
                heard.text += event["delta"]
            case "reasoning_summary_part.added" if event["summary_index"]:
                heard.thinking += "\n\n"
            case "reasoning_summary_text.delta" | "reasoning_text.delta":
                heard.thinking += event["delta"]
            case "output_item.added" if event["item"]["type"] in {"function_call", "custom_tool_call"}:
                heard.calls.append(_responses_call(event["item"]))
            case "function_call_arguments.delta" | "custom_tool_call_input.delta":
                heard.calls[-1].arguments += event["delta"]
            case "completed" | "incomplete" | "failed":
                _response(heard, event["response"], items=False)
    return heard


def _responses_call(item: Json) -> HeardCall:
    name = f"{item['namespace']}__{item['name']}" if item.get("namespace") else item["name"]
    return HeardCall(name, item.get("arguments", "") + item.get("input", ""), id=item["call_id"])


def _response(heard: Heard, response: Json, *, items: bool) -> None:
    for item in response["output"] if items else []:
        parts = (item.get("content") or []) if item["type"] == "message" else []
        heard.text += "".join(part.get("text", "") + part.get("refusal", "") for part in parts)
        if item["type"] == "reasoning":
            shown = item["summary"] or item.get("content") or []
            heard.thinking += "\n\n".join(part["text"] for part in shown)
        if item["type"] in {"function_call", "custom_tool_call"}:
            heard.calls.append(_responses_call(item))
    heard.finish = response["status"]
    if response["incomplete_details"]:
        heard.finish += ":" + response["incomplete_details"]["reason"]
    if response["error"]:
        heard.finish, heard.error = "", response["error"]["message"]
    usage = response["usage"]
    if usage:
        heard.input, heard.output = usage["input_tokens"], usage["output_tokens"]
        heard.total = usage["total_tokens"]
        heard.cached = usage["input_tokens_details"]["cached_tokens"]
        heard.thought = usage["output_tokens_details"]["reasoning_tokens"]


# Google's Gemini


def gemini(data: bytes, *, streamed: bool) -> Heard:
    return _gemini(_objects(data) if streamed else [json.loads(data)])


def gemini_array(data: bytes, *, streamed: bool) -> Heard:
    return _gemini(json.loads(data) if streamed else [json.loads(data)])


def _gemini(pieces: list[Json]) -> Heard:
    heard = Heard()
    for piece in pieces:
        if "error" in piece:
            heard.error = piece["error"]["message"]
            continue
        heard.finish = piece.get("promptFeedback", {}).get("blockReason", heard.finish)
        for candidate in piece.get("candidates", []):
            for part in candidate.get("content", {}).get("parts", []):
                _gemini_part(heard, part)
            heard.finish = candidate.get("finishReason") or heard.finish
        if usage := piece.get("usageMetadata"):
            heard.input = usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
            heard.cached = usage.get("cachedContentTokenCount", 0)
            heard.thought = usage.get("thoughtsTokenCount", 0)
            heard.output = usage.get("candidatesTokenCount", 0) + heard.thought
            heard.total = usage["totalTokenCount"]
    return heard


def _gemini_part(heard: Heard, part: Json) -> None:
    if "functionCall" in part:
        call = part["functionCall"]
        heard.calls.append(HeardCall(call["name"], json.dumps(call["args"]), id=call.get("id")))
    elif part.get("thought"):
        heard.thinking += part.get("text", "")
    else:
        heard.text += part.get("text", "")


# Ollama


def ollama(data: bytes, *, streamed: bool) -> Heard:
    heard = Heard()
    lines = data.decode("ascii").splitlines() if streamed else [data.decode("ascii")]
    for line in lines:
        piece = json.loads(line)
        if "error" in piece:
            heard.error = piece["error"]
            return heard
        said = piece.get("message", piece)
        heard.text += said.get("content", said.get("response", ""))
        heard.thinking += said.get("thinking", "")
        for call in said.get("tool_calls", []):
            given = call["function"]
            heard.calls.append(HeardCall(given["name"], json.dumps(given["arguments"]), id=call.get("id")))
        if piece["done"]:
            heard.finish = piece["done_reason"]
            heard.input, heard.output = piece["prompt_eval_count"], piece["eval_count"]
    return heard


READERS: dict[str, Callable[..., Heard]] = {
    "openai_chat": chat,
    "openai_completions": completions,
    "anthropic_messages": messages,
    "openai_responses": responses,
    "google_gemini": gemini,
    "google_gemini_sse": gemini,
    "google_gemini_array": gemini_array,
    "ollama": ollama,
    "ollama_generate": ollama,
}
"""By the name of the row in the table of dialects."""
