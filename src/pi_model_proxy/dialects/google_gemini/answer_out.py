"""Hub events to a caller's stream of `GenerateContentResponse` objects.

Each event is a whole small answer; there is no terminator but the last one's `finishReason`
(dialects.md §2.4, §2.7). Text goes out piece by piece, a call whole when it is complete. Thinking is
shown only to callers that asked for it.

What the SDKs need (measured with google-genai 3.4.0 and @google/genai 3.1): `error` is the first
member of an error event; a sign of life is a blank line, since the former takes a comment for JSON.
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.google_gemini.errors_out import error_frame
from pi_model_proxy.dialects.google_gemini.finish import MALFORMED_CALL, finish_reason_of
from pi_model_proxy.dialects.google_gemini.grounding import MAX_CITED_CHARS, grounding_of
from pi_model_proxy.dialects.google_gemini.parts_out import (
    answer_part,
    are_args_whole,
    call_part,
    malformed_message,
)
from pi_model_proxy.dialects.google_gemini.signatures import Carried, pack
from pi_model_proxy.dialects.google_gemini.usage import usage_object
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Failure,
    Finish,
    Opaque,
    OpaqueDelta,
    Ping,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
)
from pi_model_proxy.wire import ascii_json, encode_frame

__all__ = ["PING", "GeminiEncoder"]

PING: Final = b"\n\n"
_TEXT_HEAD: Final = b'data: {"candidates":[{"content":{"parts":[{"text":'
_THOUGHT_HEAD: Final = b'data: {"candidates":[{"content":{"parts":[{"thought":true,"text":'

Json = dict[str, Any]


class GeminiEncoder:
    """One answer as a stream."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._hides = not context.shows_reasoning
        target = context.target
        self._origin = f"{target.provider}/{target.model}"
        self._about: Json = {}
        """What every event says of the answer."""
        self._tail = b""
        self._usage = Usage()
        self._stub: Block | None = None
        """The open block; None between blocks."""
        self._text: list[str] = []
        """The open block's text, or a call's arguments."""
        self._opaque: Opaque | None = None
        self._step = Step(self._origin)
        self._calls = 0
        self._malformed = ""
        self._cited = CitedText()
        self._ended = False

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        out = b""
        if self._ended:
            return out
        match event:
            case TextDelta(text=text):
                out = self._write_text(text)
            case ArgumentsDelta(text=text):
                self._text.append(text)
            case BlockStart(block=block):
                self._begin(block)
            case BlockStop():
                out = self._end_block()
            case Finish():
                out, self._ended = self._finish(event), True
            case Failure(error=error):
                out, self._ended = error_frame(error), True
            case _:
                out = self._aside(event)
        return out

    def ping(self) -> bytes:
        """See `StreamEncoder.ping`."""
        return PING

    def _aside(self, event: Event) -> bytes:
        """Take an event that writes nothing of its own."""
        match event:
            case OpaqueDelta(opaque=opaque):
                self._opaque = opaque
            case CitationDelta(citation=citation):
                self._cited.cite(citation)
            case UsageUpdate(usage=usage):
                self._usage = usage
            case Start():
                self._usage = event.usage or self._usage
                self._about = {
                    "modelVersion": self._context.model,
                    "responseId": event.id or self._context.answer_id,
                }
                self._tail = b'}],"role":"model"},"index":0}],' + ascii_json(self._about)[1:] + b"\n\n"
            case Ping():
                return PING
        return b""

    def _begin(self, block: Block) -> None:
        self._stub, self._text = block, []
        self._opaque = block.opaque if isinstance(block, ReasoningBlock | ToolCallBlock) else None

    def _write_text(self, text: str) -> bytes:
        if not text:
            return b""
        if isinstance(self._stub, ReasoningBlock):
            self._text.append(text)
            return b"" if self._hides else _THOUGHT_HEAD + ascii_json(text) + self._tail
        self._step.speaks()
        self._cited.add(text)
        return _TEXT_HEAD + ascii_json(text) + self._tail

    def _end_block(self) -> bytes:
        stub, self._stub = self._stub, None
        match stub:
            case ReasoningBlock():
                return self._end_thinking(stub)
            case ToolCallBlock():
                return self._end_call(stub)
            case TextBlock() | RefusalBlock():
                self._cited.end()
                return b""
            case None:
                return b""
            case _:
                part = answer_part(stub)
                return b"" if part is None else self._part(part)

    def _end_thinking(self, stub: ReasoningBlock) -> bytes:
        """Write the token of thinking that ends; one of another vendor rides on the next call, too."""
        opaque = self._opaque
        if opaque is None:
            return b""
        if opaque.kind == "gemini_signature":
            part: Json = {"text": "", "thoughtSignature": opaque.data}
            is_shown = bool(self._text) and not self._hides
            return self._part({"thought": True, **part} if is_shown else part)
        block = ReasoningBlock(text="".join(self._text), opaque=opaque, summary=stub.summary)
        self._step.thinks(block)
        carried = Carried.of(ReasoningBlock(opaque=opaque, summary=stub.summary), self._origin)
        if self._hides or carried is None or not block.text:
            return b""
        return self._part({"thought": True, "text": "", "thoughtSignature": pack([carried])})

    def _end_call(self, stub: ToolCallBlock) -> bytes:
        arguments = stub.arguments + "".join(self._text)
        if not stub.custom and not are_args_whole(arguments):
            # Whatever comes out as a call is run by the SDKs' automatic function calling.
            self._malformed = malformed_message(stub.name, arguments)
            return b""
        signature = self._step.signature(self._opaque)
        position, self._calls = self._calls, self._calls + 1
        return self._part(
            call_part(
                stub, arguments, signature=signature, made_id=f"call_{self._context.answer_id}_{position}"
            )
        )

    def _part(self, part: Json) -> bytes:
        candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
        return encode_frame(ascii_json({"candidates": [candidate], **self._about}))

    def _finish(self, finish: Finish) -> bytes:
        candidate: Json = {
            "content": {"parts": [{"text": ""}], "role": "model"},
            **finish_members(finish, malformed=self._malformed),
            "index": 0,
        }
        grounding = grounding_of(self._cited.citations())
        if grounding is not None:
            candidate["groundingMetadata"] = grounding
        counts = usage_object(self._usage)
        return encode_frame(ascii_json({"candidates": [candidate], "usageMetadata": counts, **self._about}))


def finish_members(finish: Finish, *, malformed: str) -> Json:
    """Return what a candidate says of its end.

    Args:
        finish: How the answer ended.
        malformed: What to say of a call that broke off; empty when all were whole.
    """
    reason = finish_reason_of(finish)
    if malformed and reason == "STOP":
        return {"finishReason": MALFORMED_CALL, "finishMessage": malformed}
    return {"finishReason": reason, **({"finishMessage": finish.detail} if finish.detail else {})}


class Step:
    """The thinking since the last call, whose tokens the next call carries."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._thoughts: list[tuple[ReasoningBlock, bool]] = []

    def thinks(self, block: ReasoningBlock) -> None:
        """Take thinking that has ended."""
        self._thoughts.append((block, False))

    def speaks(self) -> None:
        """Note that text follows what has been thought so far."""
        if self._thoughts and not self._thoughts[-1][1]:
            self._thoughts = [(block, True) for block, _ in self._thoughts]

    def signature(self, own: Opaque | None) -> str | None:
        """Return the `thoughtSignature` of a call: its own, else a package of the step's foreign tokens."""
        thoughts, self._thoughts = self._thoughts, []
        if own is not None and own.kind == "gemini_signature":
            return own.data
        carried = [
            each
            for block, before_text in thoughts
            if (each := Carried.of(block, self._origin, before_text=before_text)) is not None
        ]
        return pack(carried) if carried else None


class CitedText:
    """The answer's texts, kept while they may be cited, and their citations."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._chars = 0
        self._waiting: list[Citation] = []
        self._done: list[tuple[Citation, str, int]] = []
        self._offset = 0

    def add(self, text: str) -> None:
        """Take more of the open text; past the limit its citations lose their places."""
        self._chars += len(text)
        if self._chars <= MAX_CITED_CHARS:
            self._open.append(text)

    def cite(self, citation: Citation) -> None:
        """Take a citation of the open text."""
        self._waiting.append(citation)

    def end(self) -> None:
        """End the open text: the places in the next one count on from its bytes."""
        text = "".join(self._open)
        self._done += [(citation, text, self._offset) for citation in self._waiting]
        self._offset += len(text.encode("utf-8", "replace"))
        self._open, self._waiting = [], []

    def citations(self) -> list[tuple[Citation, str, int]]:
        """Return each citation with its text and that text's offset in bytes."""
        return self._done
