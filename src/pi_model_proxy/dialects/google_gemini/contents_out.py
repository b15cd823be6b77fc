"""A conversation as `contents` for an upstream of Google's.

Sources: dialects.md §7 (GM column), vectors 24, 26, 27; pi 1.5.2 `dist/api/google-shared.js`
(`convertMessages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.families import Family
from pi_model_proxy.dialects.google_gemini.parts_out import (
    args_object,
    audio_part,
    data_part,
    heading_of,
    raw_part,
    url_part,
)
from pi_model_proxy.dialects.google_gemini.signatures import STAND_IN, is_valid, standard_base64
from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrap_input
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    ImageBlock,
    Opaque,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Request,
    Target,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    UrlSource,
)

__all__ = ["FIRST_USER", "ContentWriter"]

FIRST_USER: Final = "(The conversation begins with the assistant.)"
"""A conversation must begin with the user's words; some histories do not."""
SEE_IMAGE: Final = "(see attached image)"
"""pi's words for a result that is nothing but pictures."""
_FOREIGN_FILE: Final = "the file is stored at another provider"

Json = dict[str, Any]


class ContentWriter:
    """Writes one request's conversation; what cannot be said is listed in `losses` or refused."""

    def __init__(self, target: Target, family: Family, *, names: ToolNames, losses: Losses) -> None:
        self._target = target
        self._family = family
        self._names = names
        self._losses = losses

    def system(self, instructions: Iterable[TextBlock]) -> Json | None:
        """Return `systemInstruction`; None when there is nothing to say."""
        parts: list[Json] = []
        for block in instructions:
            self._losses.mark(block.cache, block.at, why="the provider caches prompts by itself")
            if block.text:
                parts.append({"text": clean_text(block.text)})
        return {"parts": parts, "role": "user"} if parts else None

    def contents(self, request: Request) -> list[Json]:
        """Return `contents`: neighbours of one side joined, results apart from what the user says.

        Raises:
            UnsupportedFeature: something that the upstream cannot be shown, or anything when strict.
        """
        contents: list[Json] = []
        held_apart = True
        for turn in repair_history(request.turns, self._rules(), self._losses):
            role = "model" if turn.role == "assistant" else "user"
            parts = self._model_parts(turn.blocks) if role == "model" else self._parts(turn.blocks)
            if not parts:
                continue
            if not held_apart and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            else:
                contents.append({"role": role, "parts": parts})
            held_apart = turn.role == "tool"
        if contents and contents[0]["role"] == "model":
            contents.insert(0, {"role": "user", "parts": [{"text": FIRST_USER}]})
        return contents

    def _rules(self) -> HistoryRules:
        return HistoryRules(
            dialect=DIALECT,
            provider=self._target.provider,
            model=self._target.model,
            opaque_kinds=frozenset({"gemini_signature"}),
            takes_images=self._target.takes_images,
            media_in_results="any" if self._family.takes_media_in_results else "none",
            system_turns="fold",
        )

    # What the model said.

    def _model_parts(self, blocks: Sequence[Block]) -> list[Json]:
        parts: list[Json] = []
        for block in blocks:
            if isinstance(block, ReasoningBlock):
                self._write_thought(block, parts)
            else:
                parts += self._part(block)
        if self._family.demands_signatures:
            first = next((part for part in parts if "functionCall" in part), None)
            if first is not None:
                first.setdefault("thoughtSignature", STAND_IN)
        return parts

    def _write_thought(self, block: ReasoningBlock, parts: list[Json]) -> None:
        """Write thinking, or a signature without any: that one stood on the answer's text (vector 26)."""
        signature = self._signature(block.opaque, block.at)
        if signature is None:
            return
        if block.text:
            parts.append({"thought": True, "text": block.text, "thoughtSignature": signature})
        elif parts and parts[-1].keys() == {"text"}:
            parts[-1]["thoughtSignature"] = signature
        else:
            parts.append({"text": "", "thoughtSignature": signature})

    def _signature(self, opaque: Opaque | None, at: str) -> str | None:
        if opaque is None:
            return None
        signature = standard_base64(opaque.data)
        if is_valid(signature):
            return signature
        self._losses.path(at, why="a thought signature must be base64")
        return None

    def _call(self, block: ToolCallBlock) -> Json:
        arguments = wrap_input(block.arguments) if block.custom else block.arguments
        call: Json = {
            "name": self._names.wire(block.name, block.namespace),
            "args": args_object(arguments),
        }
        if self._family.takes_call_ids:
            call["id"] = block.id
        part: Json = {"functionCall": call}
        signature = self._signature(block.opaque, block.at)
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    # What everybody says.

    def _parts(self, blocks: Iterable[Block]) -> list[Json]:
        return [part for block in blocks for part in self._part(block)]

    def _part(self, block: Block) -> list[Json]:
        if isinstance(block, TextBlock | ImageBlock | DocumentBlock | ToolCallBlock | ToolResultBlock):
            self._losses.mark(block.cache, block.at, why="the provider caches prompts by itself")
        written: list[Json] = []
        match block:
            case TextBlock(text=text) | RefusalBlock(text=text):
                written = [{"text": text}]
            case ToolCallBlock():
                written = [self._call(block)]
            case ToolResultBlock():
                written = [self._result(block)]
            case ImageBlock():
                written = [self._image(block)]
            case DocumentBlock():
                written = self._document(block)
            case AudioBlock():
                written = [audio_part(block)]
            case RawBlock():
                written = [raw_part(block)]
            case _:
                self._losses.path(block.at, why="only the model can have thought it")
        return written

    def _result(self, block: ToolResultBlock) -> Json:
        texts: list[str] = []
        media: list[Json] = []
        for part in block.content:
            for written in self._part(part):
                if written.keys() == {"text"}:
                    texts.append(written["text"])
                else:
                    media.append(written)
        said = "\n".join(texts)
        if not said.strip():
            said = SEE_IMAGE if media else ""
        response: Json = {
            "name": self._names.wire(block.name or "tool"),
            "response": {"error" if block.is_error else "output": said},
        }
        if media:
            response["parts"] = media
        if self._family.takes_call_ids:
            response["id"] = block.call_id
        return {"functionResponse": response}

    def _image(self, block: ImageBlock) -> Json:
        if block.detail not in {None, "auto"}:
            self._losses.member(block.at, "image.detail", why="the provider looks at every picture alike")
        if not isinstance(block.source, DataSource | UrlSource):
            self._losses.refuse(block.at, why=_FOREIGN_FILE)
        return (
            data_part(block.source)
            if isinstance(block.source, DataSource)
            else url_part(block.source, "image/jpeg")
        )

    def _document(self, block: DocumentBlock) -> list[Json]:
        if block.citations:
            self._losses.path(f"{block.at}.citations", why="the provider cites no documents")
        heading = heading_of(block)
        match block.source:
            case TextSource(text=text):
                return [{"text": f"{heading}{text}"}]
            case DataSource():
                written = data_part(block.source)
            case UrlSource():
                written = url_part(block.source, "application/pdf")
            case _:
                self._losses.refuse(block.at, why=_FOREIGN_FILE)
        return [{"text": heading}, written] if heading else [written]
