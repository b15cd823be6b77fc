"""OpenAI's responses, as an upstream speaks them; nothing is stored, encrypted reasoning must come back as it was.

Source: OpenAI's Responses reference (streaming events, reasoning items, errors).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from pi_model_proxy.demo.formats import NewId, frame
from pi_model_proxy.demo.reading import Conversation, Refused, integer, objects, offered, strings, text
from pi_model_proxy.demo.scenes import Ask, Call, Offered, Script, Step, Thought, pieces
from pi_model_proxy.demo.seals import seal

__all__ = ["Responses"]

Json = dict[str, Any]


_CALLS = frozenset({"function_call", "custom_tool_call"})
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})
_UNKNOWN: Final = {
    "previous_response_id": "previous_response_not_found",
    "conversation": "conversation_not_found",
}
"""Members that name what only a store knows, and OpenAI's code for what is not in it: nothing is kept here."""


class Responses:
    """Implements `Format`."""

    id = "responses"
    kind = "openai-responses"
    base_path = "/v1"
    path = "/v1/responses"
    key_header = "authorization"
    key_prefix = "Bearer "
    required_header = ""

    def read(self, body: Json) -> Ask:
        """See `Format.read`."""
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else objects(given)
        if not items:
            raise Refused(400, "invalid_request_error", "Missing required parameter: 'input'.")
        for name, code in _UNKNOWN.items():
            if body.get(name) is not None:
                raise Refused(400, "invalid_request_error", f"{name} not found.", code=code)
        said = Conversation()
        said.count(body.get("instructions"))
        for item in items:
            self._read_item(item, said)
        said.weigh(body.get("tools"))
        return self._ask(body, said)

    def _read_item(self, item: Json, said: Conversation) -> None:
        kind = item.get("type", "message")
        if kind in _CALLS:
            said.call(item.get("call_id"), item.get("name"), item.get("arguments") or item.get("input"))
        elif kind in _RESULTS:
            said.result(item.get("call_id"), item.get("output"))
        elif kind == "reasoning":
            if item.get("encrypted_content") != seal(text(item.get("id"))):
                code = "invalid_encrypted_content"
                raise Refused(
                    400, "invalid_request_error", "The encrypted content could not be verified.", code=code
                )
        else:
            said.add(text(item.get("role")), item.get("content"))

    def _ask(self, body: Json, said: Conversation) -> Ask:
        choice = body.get("tool_choice")
        reasoning = body.get("reasoning")
        words = body.get("text")
        form = words.get("format") if isinstance(words, dict) else None
        form = form if isinstance(form, dict) else {}
        schema = form.get("schema")
        return Ask(
            model=text(body.get("model")),
            stream=body.get("stream") is True,
            user_text=said.user_text,
            input_chars=said.chars,
            images=said.images,
            documents=said.documents,
            tools=() if choice == "none" else tuple(_tools(body)),
            must_call=choice == "required" or isinstance(choice, dict),
            must_call_name=text(choice.get("name")) if isinstance(choice, dict) else "",
            parallel=body.get("parallel_tool_calls") is not False,
            results=tuple(said.results),
            max_tokens=integer(body.get("max_output_tokens")),
            thinking_off=isinstance(reasoning, dict) and reasoning.get("effort") == "none",
            wants_json=form.get("type") == "json_object",
            schema=schema if isinstance(schema, dict) else None,
            seals_thinking="reasoning.encrypted_content" in strings(body.get("include")),
        )

    def stream(self, script: Script, ask: Ask, new_id: NewId) -> Iterator[bytes]:
        """See `Format.stream`."""
        number = 0

        def event(type_: str, fields: Json) -> bytes:
            nonlocal number
            number += 1
            return frame({"type": type_, **fields, "sequence_number": number - 1}, event=type_)

        begun = _response(ask, new_id)
        yield event("response.created", {"response": begun})
        yield event("response.in_progress", {"response": begun})
        items: list[Json] = []
        for index, step in enumerate(script.steps):
            item = _item(step, ask, new_id)
            items.append(item)
            stub = {**item, "status": "in_progress", **_EMPTY[item["type"]]}
            yield event("response.output_item.added", {"output_index": index, "item": stub})
            for type_, fields in _told(step, item):
                yield event(type_, {"item_id": item["id"], "output_index": index, **fields})
            yield event("response.output_item.done", {"output_index": index, "item": item})
        status = "incomplete" if script.finish == "length" else "completed"
        yield event(f"response.{status}", {"response": _finished(begun, script, items)})

    def whole(self, script: Script, ask: Ask, new_id: NewId) -> Json:
        """See `Format.whole`."""
        items = [_item(step, ask, new_id) for step in script.steps]
        return _finished(_response(ask, new_id), script, items)

    def refusal(self, error: Refused) -> Json:
        """See `Format.refusal`."""
        return {"error": {"message": error.message, "type": error.type, "param": None, "code": error.code}}

    def broken(self, error: Refused) -> bytes:
        """See `Format.broken`."""
        failed = {"object": "response", "status": "failed", "output": []}
        response = {**failed, "error": {"code": error.code or error.type, "message": error.message}}
        return frame({"type": "response.failed", "response": response}, event="response.failed")


_EMPTY: dict[str, Json] = {
    "reasoning": {"summary": [], "encrypted_content": None},
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}


def _item(step: Step, ask: Ask, new_id: NewId) -> Json:
    match step:
        case Thought(text=said):
            item_id = new_id("rs_")
            sealed = {"encrypted_content": seal(item_id)} if ask.seals_thinking else {}
            return {
                "type": "reasoning",
                "id": item_id,
                "summary": [{"type": "summary_text", "text": said}],
                **sealed,
            }
        case Call(custom=True):
            item: Json = {"type": "custom_tool_call", "id": new_id("ctc_"), "input": step.arguments}
            return {**item, "call_id": new_id("call_"), "name": step.name, "status": "completed"}
        case Call():
            item = {"type": "function_call", "id": new_id("fc_"), "arguments": step.arguments}
            return {**item, "call_id": new_id("call_"), "name": step.name, "status": "completed"}
    content = [_part(step.text)]
    return {
        "type": "message",
        "id": new_id("msg_"),
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _part(said: str) -> Json:
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def _told(step: Step, item: Json) -> Iterator[tuple[str, Json]]:
    """Yield the events between an item's beginning and its end."""
    match step:
        case Thought(text=said):
            name, place = "response.reasoning_summary", {"summary_index": 0}
            yield f"{name}_part.added", {**place, "part": {"type": "summary_text", "text": ""}}
            for piece in pieces(said):
                yield f"{name}_text.delta", {**place, "delta": piece}
            yield f"{name}_text.done", {**place, "text": said}
            yield f"{name}_part.done", {**place, "part": item["summary"][0]}
        case Call():
            name = "response.custom_tool_call_input" if step.custom else "response.function_call_arguments"
            for piece in pieces(step.arguments):
                yield f"{name}.delta", {"delta": piece}
            yield f"{name}.done", {"input" if step.custom else "arguments": step.arguments}
        case _:
            place = {"content_index": 0}
            yield "response.content_part.added", {**place, "part": _part("")}
            for piece in pieces(step.text):
                yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
            yield "response.output_text.done", {**place, "text": step.text, "logprobs": []}
            yield "response.content_part.done", {**place, "part": _part(step.text)}


def _response(ask: Ask, new_id: NewId) -> Json:
    """Return the answer before anything of it is known."""
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": ask.parallel,
        "tool_choice": "auto",
        "tools": [],
        "store": False,
        "usage": None,
    }


def _finished(begun: Json, script: Script, items: list[Json]) -> Json:
    cut = script.finish == "length"
    usage = {
        "input_tokens": script.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": script.output_tokens,
        "output_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
        "total_tokens": script.input_tokens + script.output_tokens,
    }
    details = {"incomplete_details": {"reason": "max_output_tokens"}} if cut else {}
    status = "incomplete" if cut else "completed"
    return {**begun, **details, "status": status, "output": items, "usage": usage}


def _tools(body: Json) -> Iterator[Offered]:
    for tool in objects(body.get("tools")):
        if tool.get("type") in {"function", "custom"}:
            yield offered(tool.get("name"), tool.get("parameters"), custom=tool["type"] == "custom")
