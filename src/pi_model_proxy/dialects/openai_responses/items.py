"""A conversation as Responses input items.

Sources: OpenAI's Responses reference (input items); dialects.md §3.2 (reasoning may only come back
with its blob, its id and the item that followed it) and §7; pi 1.5.2
`dist/api/openai-responses-shared.js` (`convertResponsesMessages`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrap_input
from pi_model_proxy.dialects.openai_responses.quirks import Quirks
from pi_model_proxy.dialects.openai_responses.sealed import unsealed
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    CacheMark,
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

__all__ = ["ItemWriter"]

Json = dict[str, Any]

_CACHE_LIVES: Final = {"5m": "30m", "1h": "12h"}
"""OpenAI's life times nearest to Anthropic's; both longer, so nothing that should hit will miss."""
_ERROR_PREFIX: Final = "[tool error] "
_NO_OUTPUT: Final = "(no tool output)"
"""pi's words for a result without content."""
_ANSWER_ITEMS: Final = frozenset({"message", "function_call", "custom_tool_call", "reasoning"})


class ItemWriter:
    """Writes the turns of one request, which `repair_history` has seen to."""

    def __init__(
        self, request: Request, target: Target, *, names: ToolNames, quirks: Quirks, losses: Losses
    ) -> None:
        self._names = names
        self._quirks = quirks
        self._losses = losses
        self._role = "developer" if target.reasoning and quirks.takes_developer_role else "system"
        self._files_are_ours = target.hosted_by_vendor and request.dialect.startswith("openai_")
        self._marks_count = quirks.takes_cache_marks and not (
            {"prompt_cache_options", "prompt_cache_breakpoint"} & target.identity.omitted_fields
        )
        self._custom_calls: set[str] = set()
        self._reasoning_ids: set[str] = set()

    def write(self, instructions: tuple[TextBlock, ...], turns: Iterable[Turn]) -> list[Json]:
        """Return the whole `input`.

        Raises:
            UnsupportedFeature: a block cannot be said to this target and cannot be left out.
        """
        items: list[Json] = []
        if any(block.text for block in instructions):
            items.append(self._message(self._role, instructions))
        for turn in turns:
            match turn.role:
                case "assistant":
                    items += self._answer(turn)
                case "tool":
                    items += [
                        self._result(block) for block in turn.blocks if isinstance(block, ToolResultBlock)
                    ]
                case "system":
                    items.append(self._message(self._role, turn.blocks))
                case _:
                    items.append(self._message("user", turn.blocks))
        return _without_stray_reasoning(items)

    # What the caller's side says.

    def _message(self, role: str, blocks: Iterable[Block]) -> Json:
        parts = [part for block in blocks for part in self._parts(block)]
        if role != "user" and len(parts) == 1 and parts[0].keys() == {"type", "text"}:
            return {"role": role, "content": parts[0]["text"]}
        return {"role": role, "content": parts}

    def _parts(self, block: Block) -> list[Json]:
        match block:
            case TextBlock(text=text):
                return [self._marked({"type": "input_text", "text": text}, block.cache, block.at)]
            case ImageBlock():
                return [self._marked(self._image(block), block.cache, block.at)]
            case DocumentBlock():
                return self._document(block)
            case AudioBlock():
                self._losses.refuse(block.at, why="this format takes no audio")
            case RawBlock(data=data):
                return [_raw_decoder.decode(data)]
            case RefusalBlock(text=text):
                return [{"type": "input_text", "text": text}]
            case _:
                # A call or thinking in a caller's turn: no dialect can say that.
                self._losses.path(block.at)
        return []

    def _marked(self, part: Json, mark: CacheMark | None, at: str) -> Json:
        if mark is not None:
            if self._marks_count:
                life = {"ttl": _CACHE_LIVES[mark.ttl]} if mark.ttl else {}
                part["prompt_cache_breakpoint"] = {"mode": "explicit", **life}
            else:
                self._losses.mark(mark, at)
        return part

    def _image(self, block: ImageBlock) -> Json:
        part: Json = {"type": "input_image", "detail": block.detail or "auto"}
        match block.source:
            case DataSource(media_type=media_type, data=data):
                part["image_url"] = f"data:{media_type};base64,{data}"
            case UrlSource(url=url):
                part["image_url"] = url
            case FileSource(file_id=file_id):
                part["file_id"] = self._own_file(file_id, block.at)
            case TextSource():
                self._losses.refuse(block.at, why="an image cannot be text")
        return part

    def _document(self, block: DocumentBlock) -> list[Json]:
        if block.citations:
            self._losses.path(f"{block.at}.citations")
        heading = "\n".join(text for text in (block.name, block.context) if text)
        if isinstance(block.source, TextSource):
            text = f"{heading}\n\n{block.source.text}" if heading else block.source.text
            return [self._marked({"type": "input_text", "text": text}, block.cache, block.at)]
        part: Json = {"type": "input_file"}
        match block.source:
            case DataSource(media_type=media_type, data=data):
                heading = block.context or ""
                part["filename"] = block.name or "document.pdf"
                part["file_data"] = f"data:{media_type};base64,{data}"
            case UrlSource(url=url):
                part["file_url"] = url
            case FileSource(file_id=file_id):
                part["file_id"] = self._own_file(file_id, block.at)
        said = [{"type": "input_text", "text": heading}] if heading else []
        return [*said, self._marked(part, block.cache, block.at)]

    def _own_file(self, file_id: str, at: str) -> str:
        if not self._files_are_ours:
            self._losses.refuse(at, why="the file is stored at another provider; send its content")
        return file_id

    # What tools gave back.

    def _result(self, block: ToolResultBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        custom = block.call_id in self._custom_calls
        return {
            "type": "custom_tool_call_output" if custom else "function_call_output",
            "call_id": block.call_id,
            "output": self._output(block),
        }

    def _output(self, block: ToolResultBlock) -> str | list[Json]:
        prefix = _ERROR_PREFIX if block.is_error else ""
        if all(isinstance(part, TextBlock) and part.cache is None for part in block.content):
            text = "\n".join(part.text for part in block.content if isinstance(part, TextBlock))
            return prefix + (text or _NO_OUTPUT)
        parts = [each for part in block.content for each in self._parts(part)]
        return [{"type": "input_text", "text": prefix.rstrip()}, *parts] if prefix else parts

    # What the model said before.

    def _answer(self, turn: Turn) -> list[Json]:
        items: list[Json] = []
        thought = False
        for block in turn.blocks:
            match block:
                case TextBlock() | RefusalBlock():
                    self._say(block, items)
                case ReasoningBlock():
                    thought |= self._remember(block, items)
                case ToolCallBlock():
                    items.append(self._call(block, keeps_id=thought))
                case RawBlock(data=data):
                    items.append(_raw_decoder.decode(data))
                case _:
                    self._losses.path(block.at, why="an assistant turn holds text and calls only")
        return items

    def _say(self, block: TextBlock | RefusalBlock, items: list[Json]) -> None:
        """Add to the message that is being written, or begin one.

        Messages go back without their id, as Codex sends them: with `store: false` the server
        knows none, and an id would tie the message to a reasoning item that may be gone.
        """
        part: Json
        if isinstance(block, RefusalBlock):
            part = {"type": "refusal", "refusal": block.text}
        else:
            self._losses.mark(block.cache, block.at)
            part = {"type": "output_text", "text": block.text, "annotations": []}
        if items and items[-1].get("type") == "message":
            items[-1]["content"].append(part)
        else:
            items.append({"type": "message", "role": "assistant", "status": "completed", "content": [part]})

    def _remember(self, block: ReasoningBlock, items: list[Json]) -> bool:
        """Add a reasoning item exactly as it was; without its id no server takes it back."""
        opaque = block.opaque
        if opaque is None or not opaque.item_id:
            self._losses.path(block.at, why="thinking without the id it came with")
            return False
        if opaque.item_id in self._reasoning_ids:
            return False
        self._reasoning_ids.add(opaque.item_id)
        blob, parts = unsealed(opaque.data, block.text)
        summary = [{"type": "summary_text", "text": part} for part in parts]
        items.append(
            {"type": "reasoning", "id": opaque.item_id, "summary": summary, "encrypted_content": blob}
        )
        return True

    def _call(self, block: ToolCallBlock, *, keeps_id: bool) -> Json:
        self._losses.mark(block.cache, block.at)
        custom = block.custom and self._quirks.takes_custom_tools
        item: Json = {"type": "custom_tool_call" if custom else "function_call"}
        # The id ties a call to the reasoning before it; without that, it is refused.
        if keeps_id and block.item_id and block.item_id.startswith("ctc_" if custom else "fc_"):
            item["id"] = block.item_id
        item["call_id"] = block.id
        item["name"] = self._names.wire(block.name, block.namespace)
        if custom:
            self._custom_calls.add(block.id)
            item["input"] = block.arguments
        else:
            item["arguments"] = wrap_input(block.arguments) if block.custom else block.arguments or "{}"
        return item


def _without_stray_reasoning(items: list[Json]) -> list[Json]:
    """Drop reasoning that is not followed by what it led to (an answer that was cut): upstreams refuse it."""
    kept: list[Json] = []
    led_to_something = False
    for item in reversed(items):
        if item.get("type") != "reasoning":
            led_to_something = item.get("type") in _ANSWER_ITEMS
        elif not led_to_something:
            continue
        kept.append(item)
    kept.reverse()
    return kept


_raw_decoder = msgspec.json.Decoder(Json)
