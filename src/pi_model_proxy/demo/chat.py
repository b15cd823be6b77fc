"""OpenAI's chat completions, as an upstream speaks them.

Source: OpenAI's chat completions reference; thinking in `reasoning_content`, as DeepSeek writes it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pi_model_proxy.demo.formats import NewId, frame
from pi_model_proxy.demo.reading import Conversation, Refused, integer, objects, offered, strings, text
from pi_model_proxy.demo.scenes import Ask, Call, Offered, Script, Thought, pieces

__all__ = ["Chat"]

Json = dict[str, Any]


_FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tool_calls": "tool_calls"}


class Chat:
    """Implements `Format`."""

    id = "chat"
    kind = "openai-completions"
    base_path = "/v1"
    path = "/v1/chat/completions"
    key_header = "authorization"
    key_prefix = "Bearer "
    required_header = ""

    def read(self, body: Json) -> Ask:
        """See `Format.read`."""
        messages = objects(body.get("messages"))
        if not messages:
            raise Refused(400, "invalid_request_error", "Missing required parameter: 'messages'.")
        said = Conversation()
        for message in messages:
            role = text(message.get("role"))
            if role == "tool":
                said.result(message.get("tool_call_id"), message.get("content"))
                continue
            said.add(role, message.get("content"))
            for call in objects(message.get("tool_calls")):
                function = call.get("function") or call.get("custom")
                told = function if isinstance(function, dict) else {}
                said.call(call.get("id"), told.get("name"), told.get("arguments") or told.get("input"))
        said.weigh(body.get("tools"))
        return self._ask(body, said)

    def _ask(self, body: Json, said: Conversation) -> Ask:
        choice = body.get("tool_choice")
        named = choice.get("function") or choice.get("custom") if isinstance(choice, dict) else None
        form = body.get("response_format")
        form = form if isinstance(form, dict) else {}
        described = form.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        options = body.get("stream_options")
        limit = integer(body.get("max_completion_tokens"))
        return Ask(
            model=text(body.get("model")),
            stream=body.get("stream") is True,
            user_text=said.user_text,
            input_chars=said.chars,
            images=said.images,
            documents=said.documents,
            tools=() if choice == "none" else tuple(_tools(body)),
            must_call=choice == "required" or isinstance(choice, dict),
            must_call_name=text(named.get("name")) if isinstance(named, dict) else "",
            parallel=body.get("parallel_tool_calls") is not False,
            results=tuple(said.results),
            max_tokens=integer(body.get("max_tokens")) if limit is None else limit,
            stops=strings(body.get("stop")),
            thinking_off=body.get("reasoning_effort") == "none",
            wants_json=form.get("type") == "json_object",
            schema=schema if isinstance(schema, dict) else None,
            wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def stream(self, script: Script, ask: Ask, new_id: NewId) -> Iterator[bytes]:
        """See `Format.stream`."""
        answer_id, created = new_id("chatcmpl-"), int(time.time())

        def chunk(delta: Json | None, finish: str | None = None, **more: Any) -> bytes:  # noqa: ANN401 - JSON
            choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
            head = {
                "id": answer_id,
                "object": "chat.completion.chunk",
                "created": created,
                "model": ask.model,
            }
            return frame({**head, "choices": choices, **more})

        yield chunk({"role": "assistant", "content": ""})
        calls = 0
        for step in script.steps:
            if isinstance(step, Call):
                yield chunk({"tool_calls": [_begun(step, calls, new_id)]})
                for piece in pieces(step.arguments):
                    inner = (
                        {"custom": {"input": piece}} if step.custom else {"function": {"arguments": piece}}
                    )
                    yield chunk({"tool_calls": [{"index": calls, **inner}]})
                calls += 1
                continue
            field = "reasoning_content" if isinstance(step, Thought) else "content"
            for piece in pieces(step.text):
                yield chunk({field: piece})
        yield chunk({}, _FINISH[script.finish])
        if ask.wants_usage:
            yield chunk(None, usage=_usage(script))
        yield b"data: [DONE]\n\n"

    def whole(self, script: Script, ask: Ask, new_id: NewId) -> Json:
        """See `Format.whole`."""
        said = [step.text for step in script.steps if not isinstance(step, Call | Thought)]
        thought = [step.text for step in script.steps if isinstance(step, Thought)]
        calls = [_called(step, new_id) for step in script.steps if isinstance(step, Call)]
        message: Json = {"role": "assistant", "content": "".join(said), "refusal": None}
        if thought:
            message["reasoning_content"] = "".join(thought)
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[script.finish]}
        return {
            "id": new_id("chatcmpl-"),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": ask.model,
            "choices": [choice],
            "usage": _usage(script),
        }

    def refusal(self, error: Refused) -> Json:
        """See `Format.refusal`."""
        return {"error": {"message": error.message, "type": error.type, "param": None, "code": error.code}}

    def broken(self, error: Refused) -> bytes:
        """See `Format.broken`."""
        return frame(self.refusal(error))


def _tools(body: Json) -> Iterator[Offered]:
    for tool in objects(body.get("tools")):
        custom = tool.get("type") == "custom"
        told = tool.get("custom" if custom else "function")
        if isinstance(told, dict):
            yield offered(told.get("name"), told.get("parameters"), custom=custom)


def _called(step: Call, new_id: NewId) -> Json:
    if step.custom:
        return {
            "id": new_id("call_"),
            "type": "custom",
            "custom": {"name": step.name, "input": step.arguments},
        }
    function = {"name": step.name, "arguments": step.arguments}
    return {"id": new_id("call_"), "type": "function", "function": function}


def _begun(step: Call, index: int, new_id: NewId) -> Json:
    return {"index": index, **_called(Call(step.name, "", step.custom), new_id)}


def _usage(script: Script) -> Json:
    return {
        "prompt_tokens": script.input_tokens,
        "completion_tokens": script.output_tokens,
        "total_tokens": script.input_tokens + script.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
    }
