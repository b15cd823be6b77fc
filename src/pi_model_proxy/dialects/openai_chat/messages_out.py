"""A conversation as messages for an upstream of chat completions.

Source: pi-ai 1.5.2 `dist/api/openai-completions.js` (`convertMessages`): assistant text as one
string (arrays make some models copy the structure), thinking back in the field it came in,
pictures from tool results in a user message after all of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeGuard

import msgspec

from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrap_input
from pi_model_proxy.dialects.openai_chat.cache_marks import CacheMarks
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.quirks import Quirks
from pi_model_proxy.dialects.openai_chat.reasoning_details import replay_fields
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Request,
    Target,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
)

__all__ = ["BRIDGE", "MAX_CALL_ID_CHARS", "MessageWriter", "instruction_role"]

MAX_CALL_ID_CHARS: Final = 40
"""OpenAI's limit."""
BRIDGE: Final = {"role": "assistant", "content": "I have processed the tool results."}
"""pi's words between a tool result and a user message, for upstreams that want an assistant there."""
NO_OUTPUT: Final = "(no tool output)"
SEE_IMAGE: Final = "(see attached image)"
ERROR_PREFIX: Final = "[tool error] "
"""Chat has no error flag on results."""

_Json = dict[str, Any]


def instruction_role(target: Target, quirks: Quirks) -> str:
    """Return the role of instructions: reasoning models listen to `developer`, where it is known."""
    return "developer" if target.reasoning and quirks.supports_developer_role else "system"


class MessageWriter:
    """Writes one request's conversation."""

    def __init__(
        self, target: Target, quirks: Quirks, *, names: ToolNames, losses: Losses, marks: CacheMarks
    ) -> None:
        self._target = target
        self._quirks = quirks
        self._names = names
        self._losses = losses
        self._marks = marks
        self._role = instruction_role(target, quirks)

    def write(self, request: Request) -> list[_Json]:
        """Return the messages.

        Raises:
            UnsupportedFeature: something that the upstream cannot be shown, or anything when strict.
        """
        messages = self._instructions(request.instructions)
        for turn in repair_history(request.turns, self._rules(), self._losses):
            written = list(self._turn(turn))
            if self._needs_bridge(messages, written):
                messages.append(dict(BRIDGE))
            messages += written
        return messages

    def _rules(self) -> HistoryRules:
        keeps_system = self._quirks.supports_mid_convo_system_messages or self._target.hosted_by_vendor
        return HistoryRules(
            dialect=DIALECT,
            provider=self._target.provider,
            model=self._target.model,
            opaque_kinds=frozenset({"reasoning_details", "gemini_signature"}),
            plain_reasoning=True,
            takes_images=self._target.takes_images,
            media_in_results="none",
            system_turns="keep" if keeps_system else "fold",
            max_call_id=MAX_CALL_ID_CHARS,
            speaker_names=True,
        )

    def _needs_bridge(self, messages: Sequence[_Json], written: Sequence[_Json]) -> bool:
        return (
            self._quirks.requires_assistant_after_tool_result
            and bool(messages and written)
            and messages[-1]["role"] == "tool"
            and written[0]["role"] == "user"
        )

    # One function a role.

    def _instructions(self, blocks: Sequence[TextBlock]) -> list[_Json]:
        """Write one message: many templates allow no second one. Marked blocks stay apart."""
        identity = self._target.identity.system_text
        messages: list[_Json] = [{"role": self._role, "content": identity}] if identity else []
        said = [block for block in blocks if block.text]
        parts = [self._text_part(block) for block in said]
        if any("cache_control" in part for part in parts):
            messages.append({"role": self._role, "content": parts})
        elif parts:
            messages.append({"role": self._role, "content": "\n\n".join(part["text"] for part in parts)})
        return messages

    def _turn(self, turn: Turn) -> Iterable[_Json]:
        if turn.role == "assistant":
            return self._assistant(turn)
        if turn.role == "tool":
            return [self._result(block) for block in turn.blocks if isinstance(block, ToolResultBlock)]
        role = self._role if turn.role == "system" else "user"
        content = self._content(turn.blocks)
        name = {"name": turn.name} if turn.name else {}
        return [{"role": role, "content": content, **name}] if content else []

    def _assistant(self, turn: Turn) -> list[_Json]:
        thoughts = [block for block in turn.blocks if isinstance(block, ReasoningBlock)]
        calls = [block for block in turn.blocks if isinstance(block, ToolCallBlock)]
        texts = [
            block
            for block in turn.blocks
            if isinstance(block, TextBlock | RefusalBlock) and block.text.strip()
        ]
        for block in turn.blocks:
            if isinstance(block, ImageBlock | DocumentBlock | AudioBlock | RawBlock):
                self._losses.path(block.at, why="an assistant message holds only text and tool calls")
            elif isinstance(block, TextBlock) and block not in texts:
                self._marks.lose(block.cache, block.at)
        message: _Json = {
            "role": "assistant",
            "content": self._assistant_content(texts),
            **({"name": turn.name} if turn.name else {}),
            **self._replayed(thoughts),
        }
        if self._quirks.requires_thinking_as_text:
            message = self._with_thinking_as_text(message, thoughts)
        if calls:
            message["tool_calls"] = [self._call(call) for call in calls]
        if message["content"] is None:
            if not calls:
                return []
            message["content"] = "" if self._needs_content() else None
        if self._quirks.requires_reasoning_content_on_assistant_messages and self._target.reasoning:
            message.setdefault("reasoning_content", "")
        return [message]

    def _needs_content(self) -> bool:
        return (
            self._quirks.requires_assistant_after_tool_result
            or self._quirks.requires_non_null_assistant_content
        )

    def _assistant_content(self, texts: Sequence[TextBlock | RefusalBlock]) -> str | list[_Json] | None:
        parts = [self._text_part(block) for block in texts]
        if any("cache_control" in part for part in parts):
            return parts
        return "".join(part["text"] for part in parts) or None

    def _replayed(self, thoughts: Sequence[ReasoningBlock]) -> _Json:
        """Return the field that gives the upstream its own thinking back; what it cannot read is listed."""
        for block in thoughts:
            if not block.text.strip() and (block.opaque is None or block.opaque.kind != "reasoning_details"):
                self._losses.path(block.at, why="a token of another format")
        fields = replay_fields(thoughts)
        spoken = [block for block in thoughts if block.text.strip()]
        if fields or not spoken or self._quirks.requires_thinking_as_text:
            return fields
        if self._quirks.requires_reasoning_content_on_assistant_messages:
            return {"reasoning_content": "\n".join(block.text for block in spoken)}
        for block in spoken:
            self._losses.path(block.at, why="the thinking of another model")
        return {}

    def _with_thinking_as_text(self, message: _Json, thoughts: Sequence[ReasoningBlock]) -> _Json:
        thinking = "\n\n".join(block.text for block in thoughts if block.text.strip())
        if not thinking:
            return message
        content = message["content"]
        rest = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        return {**message, "content": [{"type": "text", "text": thinking}, *rest]}

    def _call(self, call: ToolCallBlock) -> _Json:
        self._marks.lose(call.cache, call.at)
        name = self._names.wire(call.name, call.namespace)
        if call.custom and not self._names.origin(name).wrapped and self._speaks_custom:
            return {"id": call.id, "type": "custom", "custom": {"name": name, "input": call.arguments}}
        arguments = wrap_input(call.arguments) if call.custom else call.arguments.strip() or "{}"
        written: _Json = {
            "id": call.id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        if call.opaque is not None and call.opaque.kind == "gemini_signature":
            written["extra_content"] = {"google": {"thought_signature": call.opaque.data}}
        return written

    @property
    def _speaks_custom(self) -> bool:
        return self._quirks.supports_open_ai_grammar_tools or self._target.hosted_by_vendor

    def _result(self, result: ToolResultBlock) -> _Json:
        texts = [part.text for part in result.content if isinstance(part, TextBlock)]
        text = "\n".join(texts)
        if not text.strip():
            text = NO_OUTPUT
        message: _Json = {
            "role": "tool",
            "tool_call_id": result.call_id,
            "content": f"{ERROR_PREFIX}{text}" if result.is_error else text,
        }
        marked = [
            part for part in (*result.content, result) if _can_be_marked(part) and part.cache is not None
        ]
        for part in marked[:-1]:
            self._marks.lose(part.cache, part.at)
        mark = self._marks.json(marked[-1].cache, marked[-1].at) if marked else None
        if mark:
            message["content"] = [{"type": "text", "text": message["content"], "cache_control": mark}]
        if self._quirks.requires_tool_result_name and result.name:
            message["name"] = self._names.wire(result.name)
        return message

    # Parts.

    def _content(self, blocks: Sequence[Block]) -> str | list[_Json]:
        parts = [part for block in blocks for part in self._part(block)]
        if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
            text: str = parts[0]["text"]
            return text
        return parts

    def _text_part(self, block: TextBlock | RefusalBlock) -> _Json:
        part: _Json = {"type": "text", "text": clean_text(block.text)}
        mark = self._marks.json(block.cache, block.at) if isinstance(block, TextBlock) else None
        return {**part, "cache_control": mark} if mark else part

    def _part(self, block: Block) -> Iterable[_Json]:
        match block:
            case TextBlock() | RefusalBlock():
                yield self._text_part(block)
            case ImageBlock():
                yield self._image(block)
            case DocumentBlock():
                yield from self._document(block)
            case AudioBlock():
                yield {"type": "input_audio", "input_audio": {"data": block.data, "format": block.format}}
            case RawBlock():
                yield msgspec.json.decode(block.data)
            case _:
                self._losses.path(block.at)

    def _image(self, image: ImageBlock) -> _Json:
        match image.source:
            case DataSource(media_type=media_type, data=data):
                url = f"data:{media_type};base64,{data}"
            case UrlSource(url=url):
                pass
            case _:
                self._losses.refuse(image.at, why="a file stored at another provider")
        part: _Json = {"type": "image_url", "image_url": {"url": url}}
        if image.detail:
            part["image_url"]["detail"] = image.detail
        mark = self._marks.json(image.cache, image.at)
        return {**part, "cache_control": mark} if mark else part

    def _document(self, document: DocumentBlock) -> Iterable[_Json]:
        if document.citations:
            self._losses.path(f"{document.at}.citations", why="the provider cites no documents")
        name = document.name or "document"
        mark = self._marks.json(document.cache, document.at)
        match document.source:
            case TextSource(text=text):
                part: _Json = {"type": "text", "text": f"{_heading(document)}{text}"}
            case DataSource(media_type=media_type, data=data) if media_type.startswith("text/"):
                text = base64.b64decode(data).decode("utf-8", "replace")
                part = {"type": "text", "text": f"{_heading(document)}{text}"}
            case DataSource(media_type=media_type, data=data):
                if document.context:
                    yield {"type": "text", "text": document.context}
                file = {"filename": name, "file_data": f"data:{media_type};base64,{data}"}
                part = {"type": "file", "file": file}
            case FileSource():
                self._losses.refuse(document.at, why="a file stored at another provider")
            case _:
                self._losses.refuse(document.at, why="a document by address; send its bytes")
        yield {**part, "cache_control": mark} if mark else part


def _can_be_marked(block: Block) -> TypeGuard[TextBlock | ToolResultBlock]:
    return isinstance(block, TextBlock | ToolResultBlock)


def _heading(document: DocumentBlock) -> str:
    lines = [line for line in (document.name, document.context) if line]
    return "\n".join(lines) + "\n\n" if lines else ""
