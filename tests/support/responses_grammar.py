"""A strict reader of Responses streams as callers get them; knows nothing of our codec.

Every rule is one that some client breaks on, or that the specification states (OpenAI's streaming
reference; openai-python's `ResponseStreamState`; Open Responses' `ResponseResource`).
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["GrammarError", "check_response", "check_stream", "payloads_of"]

Json = dict[str, Any]

REQUIRED: dict[str, tuple[type | None, ...]] = {
    "id": (str,),
    "object": (str,),
    "created_at": (int,),
    "completed_at": (int, None),
    "status": (str,),
    "incomplete_details": (dict, None),
    "model": (str,),
    "previous_response_id": (str, None),
    "instructions": (str, list, None),
    "output": (list,),
    "error": (dict, None),
    "tools": (list,),
    "tool_choice": (str, dict),
    "truncation": (str,),
    "parallel_tool_calls": (bool,),
    "text": (dict,),
    "top_p": (float, int),
    "presence_penalty": (float, int),
    "frequency_penalty": (float, int),
    "top_logprobs": (int,),
    "temperature": (float, int),
    "reasoning": (dict, None),
    "user": (str, None),
    "usage": (dict, None),
    "max_output_tokens": (int, None),
    "max_tool_calls": (int, None),
    "store": (bool,),
    "background": (bool,),
    "service_tier": (str,),
    "metadata": (dict,),
    "safety_identifier": (str, None),
    "prompt_cache_key": (str, None),
}
PREFIXES = {"message": "msg_", "function_call": "fc_", "custom_tool_call": "ctc_", "reasoning": "rs_"}
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}


class GrammarError(AssertionError):
    """The stream is not one."""


def want(holds: object, complaint: str) -> None:
    if not holds:
        raise GrammarError(complaint)


def payloads_of(data: bytes) -> list[Json]:
    """Return the events of a stream whose framing must be exactly ours: `event:`, `data:`, an empty line; ASCII."""
    want(data.isascii(), "a byte beyond ASCII: U+2028 and its like split lines in some readers")
    want(data.endswith(b"\n\n"), "the last frame has no end")
    events: list[Json] = []
    for frame in data[:-2].split(b"\n\n"):
        lines = frame.split(b"\n")
        if all(line.startswith(b":") for line in lines):
            continue
        want(len(lines) == 2, f"a frame of {len(lines)} lines: {frame!r}")
        want(lines[0].startswith(b"event: ") and lines[1].startswith(b"data: "), f"not a frame: {frame!r}")
        event = json.loads(lines[1][len(b"data: ") :])
        want(event["type"] == lines[0][len(b"event: ") :].decode(), f"{event['type']} under another name")
        events.append(event)
    return events


def check_stream(data: bytes) -> list[Json]:
    """Return the events of a whole answer after checking every rule."""
    events = payloads_of(data)
    reader = _Reader()
    for number, event in enumerate(events):
        want(
            event.get("sequence_number") == number,
            f"event {number} says it is {event.get('sequence_number')}",
        )
        reader.read(event)
    want(reader.over, "no terminal event")
    return events


def check_response(response: Json) -> None:
    """Check a Response object: every member there, and of its type."""
    for name, types in REQUIRED.items():
        want(name in response, f"response.{name} is missing")
        value = response[name]
        fits = (value is None and None in types) or any(
            each is not None and type(value) is each for each in types
        )
        want(fits, f"response.{name} is {value!r}")
    want(response["object"] == "response", "response.object")
    want(response["id"].startswith("resp_"), f"response.id is {response['id']}")
    want(isinstance(response["text"].get("format"), dict), "response.text.format is missing")
    for tool in response["tools"]:
        if tool["type"] == "function":
            want(
                {"name", "description", "parameters", "strict"} <= tool.keys(),
                f"tools: {tool.get('name')} is not whole",
            )
    if response["usage"] is not None:
        _check_usage(response["usage"])
    for item in response["output"]:
        _check_item(item)
    _check_status(response)


def _check_status(response: Json) -> None:
    status, why = response["status"], response["incomplete_details"]
    want((status == "incomplete") == (why is not None), f"status {status} with incomplete_details {why}")
    want(
        (status == "failed") == (response["error"] is not None), f"status {status}, error {response['error']}"
    )
    if why is not None:
        want(why["reason"] in {"max_output_tokens", "content_filter"}, f"incomplete for {why}")
    if response["error"] is not None:
        want(response["error"]["code"] and response["error"]["message"], "an error without code or message")
    if status == "completed":
        want(response["usage"] is not None, "completed without usage")
        for item in response["output"]:
            want(item.get("status", "completed") == "completed", f"{item['id']} is not complete")


def _check_usage(usage: Json) -> None:
    cached = usage["input_tokens_details"]["cached_tokens"] + usage["input_tokens_details"].get(
        "cache_write_tokens", 0
    )
    want(0 <= cached <= usage["input_tokens"], "more cached tokens than input")
    want(
        0 <= usage["output_tokens_details"]["reasoning_tokens"] <= usage["output_tokens"],
        "more thought than said",
    )
    want(usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], "the total is no sum")


def _check_item(item: Json) -> None:
    want(0 < len(item["id"]) <= 64, f"item id {item['id']!r}")
    prefix = PREFIXES.get(item["type"])
    want(prefix is None or item["id"].startswith(prefix), f"{item['type']} has the id {item['id']}")
    if "call_id" in item:
        want(0 < len(item["call_id"]) <= 64, f"call id {item['call_id']!r}")
    if item["type"] == "function_call" and item["status"] == "completed":
        want(isinstance(item["arguments"], str), "arguments must be text")
    if item["type"] == "message":
        want(item["role"] == "assistant", "an answer's message is the assistant's")
        want(item["status"] in {"in_progress", "completed", "incomplete"}, f"status {item['status']}")


class _Reader:
    """Takes the events of one answer in order."""

    def __init__(self) -> None:
        self.over = False
        self._count = 0
        self._id = ""
        self._item: Json | None = None
        self._index = 0
        self._part: str | None = None
        self._parts: list[Json] = []
        self._pieces: list[str] = []
        self._whole: str | None = None
        self._annotations: list[Json] = []
        self._done: list[Json] = []

    def read(self, event: Json) -> None:
        type_ = event["type"]
        want(not self.over, f"{type_} after the end")
        number, self._count = self._count, self._count + 1
        if number < 2:
            expected = ("response.created", "response.in_progress")[number]
            want(
                type_ == expected or (number == 1 and type_ == "response.failed"),
                f"{type_} as event {number}",
            )
        if type_ in {"response.created", "response.in_progress"}:
            self._beginning(event["response"], number)
        elif type_ in TERMINAL:
            self._end(type_, event["response"])
        elif type_ == "response.output_item.added":
            self._begin_item(event)
        else:
            self._inside(type_, event)

    def _beginning(self, response: Json, number: int) -> None:
        want(number < 2, "the answer begins again")
        check_response(response)
        want(response["status"] == "in_progress", f"an answer begins as {response['status']}")
        want(response["output"] == [] and response["usage"] is None, "an answer begins empty")
        want(self._id in {"", response["id"]}, "the response's id changed")
        self._id = response["id"]

    def _begin_item(self, event: Json) -> None:
        item = event["item"]
        want(self._item is None, "an item begins inside another")
        want(event["output_index"] == len(self._done), f"output_index {event['output_index']}")
        _check_item(item)
        ids = {each["id"] for each in self._done}
        want(item["id"] not in ids, f"{item['id']} twice")
        want(
            item.get("status", "in_progress") == "in_progress" or item["type"] not in PREFIXES,
            "born complete",
        )
        for empty in ("content", "summary", "arguments", "input"):
            want(not item.get(empty), f"an item begins with its {empty}")
        self._item, self._index = item, event["output_index"]
        self._parts, self._part, self._whole, self._pieces = [], None, None, []

    def _inside(self, type_: str, event: Json) -> None:
        item = self._item
        want(item is not None, f"{type_} outside of an item")
        assert item is not None
        want(event["output_index"] == self._index, f"{type_} for item {event['output_index']}")
        if type_ == "response.output_item.done":
            self._end_item(event["item"], item)
            return
        want(event["item_id"] == item["id"], f"{type_} for {event['item_id']}")
        steps = {
            "message": self._in_message,
            "reasoning": self._in_reasoning,
            "function_call": self._in_call,
            "custom_tool_call": self._in_call,
        }
        want(item["type"] in steps, f"{type_} inside of {item['type']}")
        steps[item["type"]](type_, event)

    # Parts of messages and of thinking.

    def _in_message(self, type_: str, event: Json) -> None:
        want(event["content_index"] == len(self._parts), f"content_index {event['content_index']}")
        names = {"output_text": "text", "refusal": "refusal"}
        self._in_part(
            type_, event, "response.content_part", {f"response.{name}": key for name, key in names.items()}
        )

    def _in_reasoning(self, type_: str, event: Json) -> None:
        if "summary" in type_:
            want(event["summary_index"] == len(self._parts), f"summary_index {event['summary_index']}")
            self._in_part(
                type_, event, "response.reasoning_summary_part", {"response.reasoning_summary_text": "text"}
            )
        else:
            want(event["content_index"] == len(self._parts), f"content_index {event['content_index']}")
            self._in_part(type_, event, "response.content_part", {"response.reasoning_text": "text"})

    def _in_part(self, type_: str, event: Json, around: str, texts: dict[str, str]) -> None:
        name, _, word = type_.rpartition(".")
        if type_ == f"{around}.added":
            want(self._part is None, "a part begins inside another")
            self._part = event["part"]["type"]
            self._pieces, self._whole, self._annotations = [], None, []
            want(not event["part"].get("text", event["part"].get("refusal")), "a part begins with its text")
            want(event["part"].get("annotations", []) == [], "a part begins with annotations")
            return
        want(self._part is not None, f"{type_} outside of a part")
        if type_ == "response.output_text.annotation.added":
            want(self._whole is None, "an annotation after `done`")
            want(
                event["annotation_index"] == len(self._annotations), f"annotation {event['annotation_index']}"
            )
            self._annotations.append(event["annotation"])
        elif name in texts and word == "delta":
            want(self._whole is None, "a delta after its `done`")
            want(event["delta"], "an empty delta")
            want(event.get("logprobs", []) == [], "made-up log probabilities")
            want(("logprobs" in event) == (name == "response.output_text"), f"{type_}: logprobs")
            self._pieces.append(event["delta"])
        elif name in texts and word == "done":
            want(self._whole is None, "`done` twice")
            self._whole = event[texts[name]]
            want(self._whole == "".join(self._pieces), "`done` has another text than the deltas")
        elif type_ == f"{around}.done":
            self._end_part(event["part"])
        else:
            want(False, f"{type_} has no place here")

    def _end_part(self, part: Json) -> None:
        want(part["type"] == self._part, f"a {self._part} ends as {part['type']}")
        want(part.get("text", part.get("refusal")) == self._whole, "a part ends with another text")
        want(part.get("annotations", []) == self._annotations, "a part ends with other annotations")
        self._parts.append(part)
        self._part = None

    def _in_call(self, type_: str, event: Json) -> None:
        assert self._item is not None
        custom = self._item["type"] == "custom_tool_call"
        name = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        if type_ == f"{name}.delta":
            want(self._whole is None, "a delta after its `done`")
            want(event["delta"], "an empty delta")
            self._pieces.append(event["delta"])
        else:
            want(type_ == f"{name}.done" and self._whole is None, f"{type_} has no place here")
            self._whole = event["input" if custom else "arguments"]
            want(self._whole == "".join(self._pieces), "`done` has other arguments than the deltas")

    # Ends.

    def _end_item(self, item: Json, begun: Json) -> None:
        want(self._part is None, "an item ends inside a part")
        _check_item(item)
        for name in ("id", "type", "call_id", "name", "namespace"):
            want(
                item.get(name) == begun.get(name),
                f"{name} changed from {begun.get(name)} to {item.get(name)}",
            )
        if item["type"] in {"function_call", "custom_tool_call"}:
            told = item["input" if item["type"] == "custom_tool_call" else "arguments"]
            want(told == self._whole, "an item ends with other arguments")
            if item["type"] == "function_call" and item["status"] == "completed":
                want(told, "a complete call without arguments: clients parse them")
        elif item["type"] == "message":
            want(item["content"] == self._parts, "a message ends with other parts")
        elif item["type"] == "reasoning":
            shown = item["summary"] or item.get("content", [])
            want(shown == self._parts, "thinking ends with other parts")
        self._done.append(item)
        self._item = None

    def _end(self, type_: str, response: Json) -> None:
        self.over = True
        check_response(response)
        want(response["id"] == self._id, "the response's id changed")
        want(type_ == f"response.{response['status']}", f"{type_} says {response['status']}")
        want(response["output"] == self._done, "the response holds other items than were told")
        want(self._item is None or response["status"] == "failed", "an item was left open")
        if response["status"] == "completed":
            for item in self._done:
                if item["type"] == "function_call":
                    json.loads(item["arguments"])
