"""An answer in OpenAI's Responses dialect: one JSON object, or its events (dialects.md §2.3, §4, §5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.answer import Call, Part, Redacted, Refusal, Text, Thinking, pieces
from support.strict_provider.speech import Speech
from support.strict_provider.sse import frame
from support.strict_provider.vault import digest

__all__ = ["frames", "whole"]

INCOMPLETE: Final = {
    "length": "max_output_tokens",
    "context_full": "max_output_tokens",
    "content_filter": "content_filter",
}
ENCRYPTED: Final = "reasoning.encrypted_content"

Event = dict[str, Any]
Item = dict[str, Any]


def whole(speech: Speech) -> dict[str, Any]:
    """Return the response of a request that did not stream."""
    output = [_item(speech, part) for part in speech.answer.parts if not isinstance(part, Redacted)]
    return _final(speech, speech.ids.new("resp_"), output)


def frames(speech: Speech) -> list[bytes]:
    """Return the events of a streamed response, numbered from 0, one frame each."""
    return [
        frame({**event, "sequence_number": number}, event=event["type"], escaped=speech.style.escaped)
        for number, event in enumerate(_events(speech))
    ]


def _events(speech: Speech) -> Iterator[Event]:
    response_id = speech.ids.new("resp_")
    begun = _response(speech, response_id, [], "in_progress")
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    output: list[Item] = []
    for part in speech.answer.parts:
        if isinstance(part, Redacted):
            continue
        item = _item(speech, part)
        place = {"output_index": len(output)}
        yield {"type": "response.output_item.added", **place, "item": _opened(item)}
        yield from ({**event, "item_id": item["id"], **place} for event in _inside(speech, item))
        yield {"type": "response.output_item.done", **place, "item": item}
        output.append(item)
    final = _final(speech, response_id, output)
    yield {"type": f"response.{final['status']}", "response": final}


def _item(speech: Speech, part: Part) -> Item:
    """Return one finished output item."""
    match part:
        case Text(text):
            return _said(speech, {"type": "output_text", "text": text, "annotations": [], "logprobs": []})
        case Refusal(text):
            return _said(speech, {"type": "refusal", "refusal": text})
        case Thinking(text):
            return _thought(speech, text)
        case Call(name, arguments, call_id):
            called = call_id or speech.ids.new("call_")
            if any(tool.custom and tool.name == name for tool in speech.asked.tools):
                custom = {"id": speech.ids.new("ctc_"), "type": "custom_tool_call", "status": "completed"}
                return {**custom, "call_id": called, "name": name, "input": arguments}
            function = {"id": speech.ids.new("fc_"), "type": "function_call", "status": "completed"}
            return {**function, "call_id": called, "name": name, "arguments": arguments or "{}"}
        case _:
            raise TypeError(f"no output item for {part!r}")


def _said(speech: Speech, part: dict[str, Any]) -> Item:
    status = "incomplete" if speech.answer.ending() in INCOMPLETE else "completed"
    return {
        "id": speech.ids.new("msg_"),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }


def _thought(speech: Speech, text: str) -> Item:
    item_id = speech.ids.new("rs_")
    summary = [] if speech.asked.hidden_thinking else [{"type": "summary_text", "text": text}]
    item: Item = {"id": item_id, "type": "reasoning", "summary": summary}
    if ENCRYPTED in (speech.asked.body.get("include") or []):
        item["encrypted_content"] = speech.vault.seal(
            "reasoning", id=item_id, summary=digest(summary), account=speech.account, model=speech.asked.model
        )
    return item


def _opened(item: Item) -> Item:
    """Return the item as it looks before anything has been said."""
    blank: dict[str, dict[str, Any]] = {
        "message": {"content": [], "status": "in_progress"},
        "reasoning": {"summary": []},
        "function_call": {"arguments": "", "status": "in_progress"},
        "custom_tool_call": {"input": "", "status": "in_progress"},
    }
    opened = {**item, **blank[item["type"]]}
    opened.pop("encrypted_content", None)
    return opened


def _inside(speech: Speech, item: Item) -> Iterator[Event]:
    """Yield what happens between an item's added and its done."""
    cut = pieces if speech.style.deltas else _nothing
    size = speech.style.piece_chars
    match item["type"]:
        case "message":
            yield from _message_events(item["content"][0], speech)
        case "reasoning":
            for index, part in enumerate(item["summary"]):
                at = {"summary_index": index}
                yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
                for piece in cut(part["text"], size):
                    yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
                yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
                yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
        case "function_call":
            for piece in cut(item["arguments"], size):
                yield {"type": "response.function_call_arguments.delta", "delta": piece}
            yield {
                "type": "response.function_call_arguments.done",
                "name": item["name"],
                "arguments": item["arguments"],
            }
        case _:
            for piece in cut(item["input"], size):
                yield {"type": "response.custom_tool_call_input.delta", "delta": piece}
            yield {"type": "response.custom_tool_call_input.done", "input": item["input"]}


def _nothing(_text: str, _size: int) -> Iterator[str]:
    return iter(())


def _message_events(part: dict[str, Any], speech: Speech) -> Iterator[Event]:
    at = {"content_index": 0}
    field = "text" if part["type"] == "output_text" else "refusal"
    name = "response.output_text" if field == "text" else "response.refusal"
    more: Event = {"logprobs": []} if field == "text" else {}
    yield {"type": "response.content_part.added", **at, "part": {**part, field: ""}}
    for piece in pieces(part[field], speech.style.piece_chars) if speech.style.deltas else ():
        yield {"type": f"{name}.delta", **at, "delta": piece, **more}
    yield {"type": f"{name}.done", **at, field: part[field], **more}
    yield {"type": "response.content_part.done", **at, "part": part}


def _final(speech: Speech, response_id: str, output: list[Item]) -> dict[str, Any]:
    """Return the finished response, and remember what a later request may refer to."""
    reason = INCOMPLETE.get(speech.answer.ending())
    final = _response(speech, response_id, output, "incomplete" if reason else "completed")
    final |= {
        "completed_at": None if reason else speech.created,
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": _usage(speech),
    }
    thought = ""
    for item in output:
        if item["type"] == "reasoning":
            thought = item["id"]
        elif thought:
            speech.vault.bind(item["id"], thought)
    if final["store"]:
        speech.vault.store(response_id, frozenset(item["id"] for item in output))
    return final


def _response(speech: Speech, response_id: str, output: list[Item], status: str) -> dict[str, Any]:
    asked = speech.asked.body
    reasoning = asked.get("reasoning") or {}
    text = asked.get("text") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": speech.created,
        "status": status,
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": asked.get("max_tool_calls"),
        "model": speech.asked.model,
        "output": output,
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "prompt_cache_key": asked.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": asked.get("safety_identifier"),
        "service_tier": "default",
        "store": asked.get("store") is not False,
        "temperature": asked.get("temperature", 1.0),
        "text": {
            "format": text.get("format", {"type": "text"}),
            "verbosity": text.get("verbosity", "medium"),
        },
        "tool_choice": asked.get("tool_choice", "auto"),
        # The vendor says of each function how strictly it is held, also where the caller did not ask.
        "tools": [
            {"strict": True, **tool} if tool["type"] == "function" else tool
            for tool in asked.get("tools", [])
        ],
        "top_logprobs": asked.get("top_logprobs", 0),
        "top_p": asked.get("top_p", 1.0),
        "truncation": asked.get("truncation", "disabled"),
        "usage": None,
        "user": asked.get("user"),
        "metadata": asked.get("metadata") or {},
    }


def _usage(speech: Speech) -> dict[str, Any]:
    usage, given, made = speech.answer.usage, speech.input_tokens(), speech.answer.output_tokens()
    written = usage.cache_write_5m + usage.cache_write_1h
    cached = {"cached_tokens": usage.cache_read}
    return {
        "input_tokens": given,
        "input_tokens_details": {**cached, "cache_write_tokens": written} if written else cached,
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": speech.answer.reasoning_tokens()},
        "total_tokens": given + made,
    }
