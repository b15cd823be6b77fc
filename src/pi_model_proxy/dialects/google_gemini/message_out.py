"""A whole answer as one `GenerateContentResponse`: what the stream of the same events adds up to."""

from __future__ import annotations

from typing import Any

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.google_gemini.answer_out import CitedText, Step, finish_members
from pi_model_proxy.dialects.google_gemini.grounding import grounding_of
from pi_model_proxy.dialects.google_gemini.parts_out import (
    answer_part,
    are_args_whole,
    call_part,
    malformed_message,
)
from pi_model_proxy.dialects.google_gemini.signatures import Carried, pack
from pi_model_proxy.dialects.google_gemini.usage import usage_object
from pi_model_proxy.hub import (
    Block,
    Message,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    ToolCallBlock,
)
from pi_model_proxy.wire import ascii_json

__all__ = ["encode_message"]

Json = dict[str, Any]


def encode_message(message: Message, context: AnswerContext) -> bytes:
    """Return the answer's body."""
    writer = _MessageWriter(context)
    for block in message.blocks:
        writer.add(block)
    candidate: Json = {
        "content": {"parts": writer.parts or [{"text": ""}], "role": "model"},
        **finish_members(message.finish, malformed=writer.malformed),
        "index": 0,
    }
    grounding = grounding_of(writer.cited.citations())
    if grounding is not None:
        candidate["groundingMetadata"] = grounding
    return ascii_json(
        {
            "candidates": [candidate],
            "usageMetadata": usage_object(message.usage),
            "modelVersion": context.model,
            "responseId": message.id or context.answer_id,
        }
    )


class _MessageWriter:
    def __init__(self, context: AnswerContext) -> None:
        self.parts: list[Json] = []
        self.malformed = ""
        self.cited = CitedText()
        self._context = context
        self._origin = f"{context.target.provider}/{context.target.model}"
        self._step = Step(self._origin)
        self._calls = 0

    def add(self, block: Block) -> None:
        match block:
            case TextBlock(text=text) | RefusalBlock(text=text):
                self._text(text, block)
            case ReasoningBlock():
                self._thinking(block)
            case ToolCallBlock():
                self._call(block)
            case _:
                part = answer_part(block)
                if part is not None:
                    self.parts.append(part)

    def _text(self, text: str, block: TextBlock | RefusalBlock) -> None:
        if not text:
            return
        self._step.speaks()
        self.parts.append({"text": text})
        self.cited.add(text)
        for citation in block.citations if isinstance(block, TextBlock) else ():
            self.cited.cite(citation)
        self.cited.end()

    def _thinking(self, block: ReasoningBlock) -> None:
        hides = not self._context.shows_reasoning
        opaque = block.opaque
        signature: str | None = None
        if opaque is not None and opaque.kind == "gemini_signature":
            signature = opaque.data
            if not block.text or hides:
                self._sign_text(signature)
                return
        elif opaque is not None:
            self._step.thinks(block)
            carried = Carried.of(ReasoningBlock(opaque=opaque, summary=block.summary), self._origin)
            signature = pack([carried]) if carried is not None else None
        if block.text and not hides:
            part: Json = {"thought": True, "text": block.text}
            self.parts.append({**part, "thoughtSignature": signature} if signature else part)

    def _sign_text(self, signature: str) -> None:
        """Put a token back on the text before it, where it stood."""
        if self.parts and self.parts[-1].keys() == {"text"}:
            self.parts[-1]["thoughtSignature"] = signature
        else:
            self.parts.append({"text": "", "thoughtSignature": signature})

    def _call(self, block: ToolCallBlock) -> None:
        if not block.custom and not are_args_whole(block.arguments):
            self.malformed = malformed_message(block.name, block.arguments)
            return
        made_id = f"call_{self._context.answer_id}_{self._calls}"
        self._calls += 1
        signature = self._step.signature(block.opaque)
        self.parts.append(call_part(block, block.arguments, signature=signature, made_id=made_id))
