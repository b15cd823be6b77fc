"""A chat upstream's answer on its way to a chat caller: checked, and touched only where it must be.

The JSON of every chunk stays as it came but for the model's name, raw U+2028/2029/0085, and usage
the caller did not ask for. A chunk that would break an SDK (vector 85) is put right first.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.openai_chat.answer_in import (
    is_done,
    read_finish,
    stream_error,
)
from pi_model_proxy.dialects.openai_chat.answer_out import DONE_FRAME, PING_FRAME
from pi_model_proxy.dialects.openai_chat.chunk_repair import ChunkRepair, SoundChunk, read_sound
from pi_model_proxy.dialects.openai_chat.chunks import Chunk, read_chunk, unreadable
from pi_model_proxy.dialects.openai_chat.quirks import quirks_of
from pi_model_proxy.dialects.openai_chat.usage import read_usage, usage_json
from pi_model_proxy.dialects.openai_errors import error_frame
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, GatewayError, UpstreamError
from pi_model_proxy.hub import Finish, Usage
from pi_model_proxy.wire import (
    Frame,
    FrameDecoder,
    ascii_json,
    edit_object,
    encode_frame,
    escape_separators,
    raw_object,
)

__all__ = ["ChatPipe"]

MAX_HELD_FRAMES: Final = 16
"""Frames without a choice are held back until the answer begins, so that an error can still be a status."""

_NULL_USAGE: Final = b',"usage":null'
_NULL_USAGE_AT_END: Final = _NULL_USAGE + b"}"
_HEAD: Final = frozenset({"id", "object", "created"})
_ONCE: Final = 2
"""Parts that a text falls into where something stands in it once."""
_NULL: Final = b"null"
_BRACE, _LF = b"{\n"


def _members(data: bytes) -> dict[str, bytes]:
    """Return a chunk's members; lone surrogates, which the reader refuses, are mended first."""
    return raw_object(mend_body(data))


def _without_null_usage(data: bytes) -> bytes | None:
    """Return a chunk without its `"usage":null`; None when it is not clear which one is the chunk's own."""
    if data.endswith(_NULL_USAGE_AT_END):
        return data[: -len(_NULL_USAGE_AT_END)] + b"}"
    return data.replace(_NULL_USAGE, b"") if data.count(_NULL_USAGE) == 1 else None


class ChatPipe:
    """Passes one stream on; one object a stream."""

    def __init__(self, context: AnswerContext) -> None:
        self.facts = Facts()
        self._context = context
        self._model = ascii_json(context.model)
        self._told_model = b'"model":' + self._model
        self._frames = FrameDecoder()
        self._repair = ChunkRepair()
        self._held: list[bytes] = []
        self._requires_finish = quirks_of(context.target.compat).supports_finish_reason
        self._usage_shown = False
        self._needle_model: str | None = None
        self._needle = b""
        """The upstream's name of the model, and how a chunk spells it as a member."""
        self._first = b""
        """The first chunk (with an id, if any has one), from which chunks of our own have their head."""
        self._has_id = False

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go to the caller now."""
        facts = self.facts
        out: list[bytes] = []
        if not facts.done and facts.failure is None:
            try:
                for frame in self._frames.feed(chunk):
                    self._frame(frame, out)
            except UpstreamError as error:
                facts.failure = error
            except (RecursionError, ValueError):  # nested too deeply, or no UTF-8
                facts.failure = unreadable()
        return b"".join(out)

    def close(self) -> bytes:
        """Return the end of a stream whose connection ended."""
        out: list[bytes] = []
        if not self._is_over:
            try:
                for frame in self._frames.close():
                    self._frame(frame, out)
                if not self.facts.done:
                    self._end(out)
            except UpstreamError as error:
                self.facts.failure = error
            except (RecursionError, ValueError):
                self.facts.failure = unreadable()
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        """Return the frame that tells the caller; `[DONE]` does not follow it."""
        return error_frame(error)

    def ping(self) -> bytes:
        """Return a comment, which every SDK skips."""
        return PING_FRAME

    @property
    def _is_over(self) -> bool:
        return self.facts.done or self.facts.failure is not None

    def _frame(self, frame: Frame, out: list[bytes]) -> None:
        data = frame.data
        if self.facts.done or not data:
            return
        sound = read_sound(data) if data[0] == _BRACE else None
        if sound is not None and not frame.event:
            kept = self._kept_word(data, sound)
            if kept is not None:
                out.append(kept)
                return
        if sound is None and is_done(frame):
            self._end(out)
            return
        chunk = sound or read_chunk(data)
        if chunk is None:
            return  # a heartbeat that says nothing; some SDKs would take it for a chunk
        error = stream_error(frame, chunk.error)
        if error is not None:
            raise error
        self._learn(chunk)
        told = self._edited(data, chunk, sound)
        if told is not None:
            self._pass_on(told, out, begins=bool(chunk.choices))

    def _kept_word(self, data: bytes, chunk: SoundChunk) -> bytes | None:
        """Return the frame for one more piece of the answer; None when it has to go the long way.

        By far the most chunks are such pieces: of their bytes only the model's name changes, and a
        null count that was not asked for goes. The long way (`_learn`, `_edited`) makes the same of them.
        """
        if not self.facts.began or not self._teaches_nothing(chunk):
            return None
        if chunk.usage and not self._context.wants_usage:
            uncounted = _without_null_usage(data)
            if uncounted is None:
                return None
            data = uncounted
        parts = data.split(self._needle)
        if len(parts) != _ONCE or data.find(_LF) >= 0:
            return None
        told = b"".join((b"data: ", parts[0], self._told_model, parts[1], b"\n\n"))
        return told if told.isascii() else escape_separators(told[:-2]) + b"\n\n"

    def _teaches_nothing(self, chunk: SoundChunk) -> bool:
        """Tell whether id and model are known, and the chunk neither counts nor ends nor begins anything."""
        if chunk.model is None or chunk.model != self._needle_model or len(chunk.choices) != 1:
            return False
        choice = chunk.choices[0]
        return (
            choice.finish_reason is None
            and (not choice.delta.tool_calls or self._repair.only_continues(choice))
            and (not chunk.usage or bytes(chunk.usage) == _NULL)
            and not choice.usage
            and not chunk.error
            and (not chunk.id or self.facts.upstream_id != "")
        )

    def _pass_on(self, data: bytes, out: list[bytes], *, begins: bool) -> None:
        if self.facts.began:
            out.append(b"data: " + data + b"\n\n")
            return
        self._held.append(encode_frame(data))
        if begins:
            self.facts.began = True
            out += self._held
            self._held = []
        else:
            del self._held[:-MAX_HELD_FRAMES]

    def _learn(self, chunk: Chunk | SoundChunk) -> None:
        facts = self.facts
        if not facts.upstream_id:
            facts.upstream_id = chunk.id or ""
        if not facts.upstream_model:
            facts.upstream_model = chunk.model or ""
        for choice in chunk.choices or ():
            if choice.usage and bytes(choice.usage) != _NULL:
                facts.usage = read_usage(choice.usage) or facts.usage
            if choice.finish_reason:
                reason = read_finish(choice.finish_reason)
                facts.finish = facts.finish or Finish(reason=reason, native=choice.finish_reason)
        if chunk.usage and bytes(chunk.usage) != _NULL:
            facts.usage = read_usage(chunk.usage) or facts.usage

    def _edited(self, data: bytes, chunk: Chunk | SoundChunk, sound: SoundChunk | None) -> bytes | None:
        """Return the chunk as the caller shall see it; None for a usage chunk it did not ask for."""
        hides_usage = False
        if chunk.usage:
            counts = bytes(chunk.usage) != _NULL
            hides_usage = not self._context.wants_usage
            if counts and hides_usage and not chunk.choices:
                return None
            self._usage_shown = self._usage_shown or (counts and not hides_usage)
        data = self._repair.repaired(data, sound)
        if not self._has_id and (chunk.id is not None or not self._first):
            self._first, self._has_id = data, chunk.id is not None
        edited = self._edited_in_place(data, chunk, hides_usage=hides_usage)
        if edited is None:
            remove = ("usage",) if hides_usage else ()
            edited = edit_object(_members(data), put={"model": self._model}, remove=remove)
        return escape_separators(edited)

    def _edited_in_place(self, data: bytes, chunk: Chunk | SoundChunk, *, hides_usage: bool) -> bytes | None:
        """Return the chunk edited without taking it apart; None when that cannot be done safely.

        Inside JSON strings quotes are escaped, so a needle can only be a member; one that is there
        once is the chunk's own.
        """
        if chunk.model is None:
            return None
        if chunk.model != self._needle_model:
            self._needle_model, self._needle = chunk.model, b'"model":' + ascii_json(chunk.model)
        if data.count(self._needle) != 1:
            return None
        if hides_usage:
            uncounted = _without_null_usage(data) if bytes(chunk.usage) == _NULL else None
            if uncounted is None:
                return None
            data = uncounted
        return data.replace(self._needle, self._told_model)

    def _end(self, out: list[bytes]) -> None:
        """Write the end.

        Raises:
            BrokenStream: no finish_reason came, so the answer is not complete.
        """
        if self.facts.finish is None:
            if self._requires_finish or not self.facts.began:
                raise BrokenStream(
                    "The provider's answer ended without a finish_reason: it is not complete; try again."
                )
            reason = "tool_calls" if self._repair.called else "stop"
            self.facts.finish = Finish(reason=read_finish(reason))
            choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}
            out.append(self._own_chunk([choice], None))
        out += self._held
        if self._context.wants_usage and not self._usage_shown:
            out.append(self._own_chunk([], self.facts.usage or Usage()))
        out.append(DONE_FRAME)
        self.facts.done = True

    def _own_chunk(self, choices: list[object], usage: Usage | None) -> bytes:
        head = (
            {name: raw for name, raw in _members(self._first).items() if name in _HEAD} if self._first else {}
        )
        put = {
            "object": b'"chat.completion.chunk"',
            "model": self._model,
            "choices": ascii_json(choices),
        }
        if self._context.wants_usage:
            put["usage"] = ascii_json(usage_json(usage) if usage else None)
        return encode_frame(edit_object(head, put=put))
