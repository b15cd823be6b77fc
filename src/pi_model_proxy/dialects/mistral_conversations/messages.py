"""A conversation as Mistral takes it.

Sources: dialects.md §1.1 MI, §7 (order of roles: after a tool's result only the assistant speaks,
code 3230; empty answers are refused); pi 1.5.2 `dist/api/mistral-conversations.js` (`toChatMessages`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pi_model_proxy.dialects.contents import text_of_file
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.mistral_conversations.ids import ShortIds
from pi_model_proxy.dialects.names import ToolNames, wrap_input
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    ImageBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
)

__all__ = ["DIALECT", "MessageWriter"]

DIALECT: Final = "mistral_conversations"
BRIDGE: Final = "Understood."
"""What the assistant says between a tool's result and the user, who may not follow it."""
ERROR_PREFIX: Final = "[tool error] "
NO_OUTPUT: Final = "(no tool output)"
SEE_IMAGE: Final = "(see attached image)"
"""pi's words, all three."""

Json = dict[str, Any]


class MessageWriter:
    """Writes the turns of one request, which `repair_history` has seen to."""

    def __init__(self, names: ToolNames, losses: Losses) -> None:
        self._names = names
        self._losses = losses
        self._ids = ShortIds()

    def write(self, instructions: tuple[TextBlock, ...], turns: Iterable[Turn]) -> list[Json]:
        """Return the messages; instructions without any conversation are the user's words.

        Raises:
            UnsupportedFeature: a block cannot be said to this target and cannot be left out.
        """
        messages: list[Json] = []
        for turn in turns:
            for message in self._turn(turn):
                after_result = bool(messages) and messages[-1]["role"] == "tool"
                if after_result and message["role"] not in {"tool", "assistant"}:
                    messages.append({"role": "assistant", "content": BRIDGE, "prefix": False})
                messages.append(message)
        for block in instructions:
            self._losses.mark(block.cache, block.at)
        leading = "\n\n".join(clean_text(block.text) for block in instructions if block.text)
        if leading:
            messages.insert(0, {"role": "system" if messages else "user", "content": leading})
        if messages and messages[-1]["role"] == "assistant":
            messages[-1]["prefix"] = True  # the last word is the assistant's: it is to go on from there
        return messages

    def _turn(self, turn: Turn) -> list[Json]:
        match turn.role:
            case "tool":
                return [self._result(block) for block in turn.blocks if isinstance(block, ToolResultBlock)]
            case "assistant":
                return self._answer(turn)
            case role:
                content = [part for block in turn.blocks for part in self._parts(block)]
                return [{"role": role, "content": _plain(content)}] if content else []

    # What the caller's side says.

    def _parts(self, block: Block) -> list[Json]:
        match block:
            case TextBlock(text=text, cache=cache, at=at):
                self._losses.mark(cache, at)
                return [{"type": "text", "text": text}]
            case RefusalBlock(text=text):
                return [{"type": "text", "text": text}]
            case ImageBlock():
                return [self._image(block)]
            case DocumentBlock():
                return self._document(block)
            case AudioBlock(data=data):
                return [{"type": "input_audio", "input_audio": data}]
            case _:
                # A call or thinking in a caller's turn: no dialect can say that.
                self._losses.path(block.at)
                return []

    def _image(self, block: ImageBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        if block.detail not in {None, "auto"}:
            self._losses.member(block.at, "image.detail")
        match block.source:
            case DataSource(media_type=media_type, data=data):
                url = f"data:{media_type};base64,{data}"
            case UrlSource(url=url):
                pass
            case _:
                self._losses.refuse(
                    block.at, why="the picture is stored at another provider; send its content"
                )
        return {"type": "image_url", "image_url": url}

    def _document(self, block: DocumentBlock) -> list[Json]:
        self._losses.mark(block.cache, block.at)
        if block.citations:
            self._losses.member(block.at, "document.citations")
        heading = "\n".join(clean_text(text) for text in (block.name, block.context) if text)
        match block.source:
            case TextSource(text=text):
                return [_headed(heading, text)]
            case DataSource(media_type=media_type, data=data):
                readable = text_of_file(media_type, data)
                if readable is not None:
                    return [_headed(heading, readable)]
                url = f"data:{media_type};base64,{data}"
            case UrlSource(url=url):
                pass
            case _:
                self._losses.refuse(block.at, why="the file is stored at another provider; send its content")
        named = {"document_name": clean_text(block.name)} if block.name else {}
        context = [{"type": "text", "text": clean_text(block.context)}] if block.context else []
        return [*context, {"type": "document_url", "document_url": url, **named}]

    def _result(self, block: ToolResultBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        parts = [part for each in block.content for part in self._parts(each)]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text").strip()
        media = [part for part in parts if part["type"] != "text"]
        told = text or (SEE_IMAGE if media else NO_OUTPUT)
        prefix = ERROR_PREFIX if block.is_error else ""
        named = {"name": self._names.wire(block.name)} if block.name else {}
        return {
            "role": "tool",
            "tool_call_id": self._ids.wire(block.call_id),
            **named,
            "content": [{"type": "text", "text": prefix + told}, *media],
        }

    # What the model said before.

    def _answer(self, turn: Turn) -> list[Json]:
        content: list[Json] = []
        calls: list[Json] = []
        for block in turn.blocks:
            match block:
                case TextBlock(text=text) | RefusalBlock(text=text):
                    content += self._parts(block) if text.strip() else []
                case ReasoningBlock(text=text) if text.strip():
                    _think(content, text)
                case ReasoningBlock():
                    pass
                case ToolCallBlock():
                    calls.append(self._call(block))
                case _:
                    self._losses.path(block.at, why="an assistant turn holds text and calls only")
        message: Json = {"role": "assistant", "prefix": False}
        if content:
            message["content"] = content
        if calls:
            message["tool_calls"] = calls
        return [message] if content or calls else []

    def _call(self, block: ToolCallBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        arguments = wrap_input(block.arguments) if block.custom else block.arguments or "{}"
        return {
            "id": self._ids.wire(block.id),
            "type": "function",
            "function": {"name": self._names.wire(block.name, block.namespace), "arguments": arguments},
            "index": 0,  # as pi: the place in the array tells which call it is
        }


def _think(content: list[Json], text: str) -> None:
    """Add thinking; neighbours become one chunk, since several are refused."""
    part = {"type": "text", "text": text}
    if content and content[-1]["type"] == "thinking":
        content[-1]["thinking"].append(part)
    else:
        content.append({"type": "thinking", "thinking": [part]})


def _plain(content: list[Json]) -> str | list[Json]:
    """Return a text that stands alone as what it is."""
    return content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content


def _headed(heading: str, text: str) -> Json:
    return {"type": "text", "text": f"{heading}\n\n{text}" if heading else text}
