"""Anthropic's messages, as an upstream speaks them; thinking is signed and must come back as it was.

Source: Anthropic's Messages reference (streaming, extended thinking, errors).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pi_model_proxy.demo.formats import NewId, frame
from pi_model_proxy.demo.reading import Conversation, Refused, integer, objects, offered, strings, text
from pi_model_proxy.demo.scenes import Ask, Call, Offered, Script, Step, Thought, pieces
from pi_model_proxy.demo.seals import seal

__all__ = ["Messages"]

Json = dict[str, Any]

_JSON_WISH = "JSON object"
_FINISH = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}


class Messages:
    """Implements `Format`."""

    id = "messages"
    kind = "anthropic-messages"
    base_path = ""
    path = "/v1/messages"
    key_header = "x-api-key"
    key_prefix = ""
    required_header = "anthropic-version"

    def read(self, body: Json) -> Ask:
        """See `Format.read`."""
        messages = objects(body.get("messages"))
        if not messages:
            raise Refused(400, "invalid_request_error", "messages: Field required")
        said = Conversation()
        said.count(body.get("system"))
        for index, message in enumerate(messages):
            content = message.get("content")
            said.add(text(message.get("role")), content)
            for block in objects(content):
                self._read_block(block, said, index)
        said.weigh(body.get("tools"))
        return self._ask(body, said)

    def _read_block(self, block: Json, said: Conversation, index: int) -> None:
        match block.get("type"):
            case "tool_use":
                said.call(block.get("id"), block.get("name"), block.get("input"))
            case "tool_result":
                said.result(block.get("tool_use_id"), block.get("content"))
            case "thinking" if block.get("signature") != seal(text(block.get("thinking"))):
                place = f"messages.{index}.content"
                raise Refused(
                    400, "invalid_request_error", f"{place}: Invalid `signature` in `thinking` block"
                )

    def _ask(self, body: Json, said: Conversation) -> Ask:
        choice = body.get("tool_choice")
        choice = choice if isinstance(choice, dict) else {}
        thinking = body.get("thinking")
        output = body.get("output_config")
        form = output.get("format") if isinstance(output, dict) else None
        schema = form.get("schema") if isinstance(form, dict) else None
        return Ask(
            model=text(body.get("model")),
            stream=body.get("stream") is True,
            user_text=said.user_text,
            input_chars=said.chars,
            images=said.images,
            documents=said.documents,
            tools=() if choice.get("type") == "none" else tuple(_tools(body)),
            must_call=choice.get("type") in {"any", "tool"},
            must_call_name=text(choice.get("name")),
            parallel=choice.get("disable_parallel_tool_use") is not True,
            results=tuple(said.results),
            max_tokens=integer(body.get("max_tokens")),
            stops=strings(body.get("stop_sequences")),
            # This format thinks only when asked to.
            thinking_off=not isinstance(thinking, dict) or thinking.get("type") == "disabled",
            schema=schema if isinstance(schema, dict) else None,
            # This format has no switch for JSON without a schema: a model is told to, and obeys.
            wants_json=_JSON_WISH in said.user_text or _JSON_WISH in _system_text(body),
        )

    def stream(self, script: Script, ask: Ask, new_id: NewId) -> Iterator[bytes]:
        """See `Format.stream`."""
        head = {**self._head(ask, new_id), "usage": _usage(script, output=1)}
        yield _event("message_start", message=head)
        yield _event("ping")
        for index, step in enumerate(script.steps):
            stub = {**_block(step, new_id), **_EMPTY[type(step).__name__]}
            yield _event("content_block_start", index=index, content_block=stub)
            for delta in _deltas(step):
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        yield _event("message_delta", delta=_end(script), usage=_usage(script, output=script.output_tokens))
        yield _event("message_stop")

    def whole(self, script: Script, ask: Ask, new_id: NewId) -> Json:
        """See `Format.whole`."""
        return {
            **self._head(ask, new_id),
            "content": [_block(step, new_id) for step in script.steps],
            **_end(script),
            "usage": _usage(script, output=script.output_tokens),
        }

    def _head(self, ask: Ask, new_id: NewId) -> Json:
        empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None}
        return {"id": new_id("msg_"), "type": "message", "role": "assistant", "model": ask.model, **empty}

    def refusal(self, error: Refused) -> Json:
        """See `Format.refusal`."""
        return {"type": "error", "error": {"type": error.type, "message": error.message}}

    def broken(self, error: Refused) -> bytes:
        """See `Format.broken`."""
        return frame(self.refusal(error), event="error")


_EMPTY: dict[str, Json] = {
    "Thought": {"thinking": "", "signature": ""},
    "Say": {"text": ""},
    "Call": {"input": {}},
}


def _event(type_: str, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return frame({"type": type_, **fields}, event=type_)


def _block(step: Step, new_id: NewId) -> Json:
    match step:
        case Thought(text=said):
            return {"type": "thinking", "thinking": said, "signature": seal(said)}
        case Call(name=name, arguments=arguments):
            return {
                "type": "tool_use",
                "id": new_id("toolu_"),
                "name": name,
                "input": msgspec.json.decode(arguments),
            }
    return {"type": "text", "text": step.text}


def _deltas(step: Step) -> Iterator[Json]:
    match step:
        case Thought(text=said):
            for piece in pieces(said):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": seal(said)}
        case Call(arguments=arguments):
            for piece in pieces(arguments):
                yield {"type": "input_json_delta", "partial_json": piece}
        case _:
            for piece in pieces(step.text):
                yield {"type": "text_delta", "text": piece}


def _system_text(body: Json) -> str:
    return Conversation().count(body.get("system"))


def _tools(body: Json) -> Iterator[Offered]:
    for tool in objects(body.get("tools")):
        if tool.get("type") in {None, "custom"}:
            yield offered(tool.get("name"), tool.get("input_schema"))


def _end(script: Script) -> Json:
    return {"stop_reason": _FINISH[script.finish], "stop_sequence": script.stop_sequence}


def _usage(script: Script, *, output: int) -> Json:
    return {
        "input_tokens": script.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
    }
