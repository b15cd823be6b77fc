"""A chat upstream's answer on its way to a chat caller: checked, and touched only where it must be.

The JSON of every chunk stays as it came but for the model's name, raw U+2028/2029/0085, and usage
the caller did not ask for. A chunk that would break an SDK (vector 85) is put right first.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.openai_chat.answer_in import (
    failure_in,
    is_done,
    read_finish,
    stream_error,
)
from pi_model_proxy.dialects.openai_chat.answer_out import DONE_FRAME, PING_FRAME
from pi_model_proxy.dialects.openai_chat.chunk_repair import ChunkRepair
from pi_model_proxy.dialects.openai_chat.chunks import Chunk, read_chunk, unreadable
from pi_model_proxy.dialects.openai_chat.errors_out import error_frame
from pi_model_proxy.dialects.openai_chat.quirks import Quirks, quirks_of
from pi_model_proxy.dialects.openai_chat.usage import read_usage, usage_json
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

__all__ = ["ChatPipe", "relay_message"]

MAX_HELD_FRAMES: Final = 16
"""Frames without a choice are held back until the answer begins, so that an error can still be a status."""

_NULL_USAGE: Final = b',"usage":null'
_NOTHING: Final = frozenset({b"", b"null"})


def _members(data: bytes) -> dict[str, bytes]:
    """Return a chunk's members; lone surrogates, which the reader refuses, are mended first."""
    return raw_object(mend_body(data))


class ChatPipe:
    """Passes one stream on; one object a stream."""

    def __init__(self, context: AnswerContext) -> None:
        self.facts = Facts()
        self._context = context
        self._model = ascii_json(context.model)
        self._frames = FrameDecoder()
        self._repair = ChunkRepair()
        self._held: list[bytes] = []
        self._requires_finish = quirks_of(context.target.compat).supports_finish_reason
        self._usage_shown = False
        self._needle_model, self._needle = "", b""
        """The upstream's name of the model, and how a chunk spells it as a member."""
        self._head: dict[str, bytes] = {}
        """Id, created and model of the first chunk, for chunks of our own."""

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go to the caller now."""
        out: list[bytes] = []
        if not self._is_over:
            try:
                for frame in self._frames.feed(chunk):
                    self._frame(frame, out)
            except UpstreamError as error:
                self.facts.failure = error
            except RecursionError:
                self.facts.failure = unreadable()
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
            except RecursionError:
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
        if self.facts.done or not frame.data:
            return
        if is_done(frame):
            self._end(out)
            return
        chunk = read_chunk(frame.data)
        if chunk is None:
            return  # a heartbeat that says nothing; some SDKs would take it for a chunk
        error = stream_error(frame, chunk)
        if error is not None:
            raise error
        self._learn(chunk)
        data = self._edited(frame.data, chunk)
        if data is None:
            return
        if not chunk.choices and not self.facts.began:
            self._held.append(encode_frame(data))
            del self._held[:-MAX_HELD_FRAMES]
            return
        self.facts.began = True
        out += [*self._held, encode_frame(data)]
        self._held = []

    def _learn(self, chunk: Chunk) -> None:
        facts = self.facts
        facts.upstream_id = facts.upstream_id or chunk.id or ""
        facts.upstream_model = facts.upstream_model or chunk.model or ""
        for choice in chunk.choices or ():
            usage = None if bytes(choice.usage) in _NOTHING else read_usage(choice.usage)
            facts.usage = usage or facts.usage
            if choice.finish_reason:
                reason = read_finish(choice.finish_reason)
                facts.finish = facts.finish or Finish(reason=reason, native=choice.finish_reason)
        if bytes(chunk.usage) not in _NOTHING:
            facts.usage = read_usage(chunk.usage) or facts.usage

    def _edited(self, data: bytes, chunk: Chunk) -> bytes | None:
        """Return the chunk as the caller shall see it; None for a usage chunk it did not ask for."""
        counts = bytes(chunk.usage) not in _NOTHING
        wanted = self._context.wants_usage
        if counts and not wanted and not chunk.choices:
            return None
        data = self._repair.repaired(data)
        self._usage_shown = self._usage_shown or (counts and wanted)
        if not self._head:
            self._head = {
                name: raw for name, raw in _members(data).items() if name in {"id", "object", "created"}
            }
        hides_usage = bool(chunk.usage) and not wanted
        edited = self._edited_in_place(data, chunk, hides_usage=hides_usage)
        if edited is None:
            remove = ("usage",) if hides_usage else ()
            edited = edit_object(_members(data), put={"model": self._model}, remove=remove)
        return escape_separators(edited)

    def _edited_in_place(self, data: bytes, chunk: Chunk, *, hides_usage: bool) -> bytes | None:
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
            if bytes(chunk.usage) != b"null" or data.count(_NULL_USAGE) != 1:
                return None
            data = data.replace(_NULL_USAGE, b"")
        return data.replace(self._needle, b'"model":' + self._model)

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
        put = {
            "object": b'"chat.completion.chunk"',
            "model": self._model,
            "choices": ascii_json(choices),
        }
        if self._context.wants_usage:
            put["usage"] = ascii_json(usage_json(usage) if usage else None)
        return encode_frame(edit_object(self._head, put=put))


def relay_message(body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return a plain answer under the caller's model name, and what it says."""
    facts = Facts()
    try:
        chunk = read_chunk(body)
        if chunk is None:
            raise BrokenStream("The provider answered 200 with JSON that is no chat completion.")
        error = stream_error(Frame("", body), chunk) or failure_in(chunk)
        if error is not None:
            raise error
        _learn_plain(chunk, facts, quirks_of(context.target.compat))
        put = {"model": ascii_json(context.model)}
        if facts.usage is not None and bytes(chunk.usage) in _NOTHING:
            put["usage"] = ascii_json(usage_json(facts.usage))
        renamed = edit_object(_members(body), put=put)
    except UpstreamError as error:
        facts.failure = error
        return b"", facts
    except RecursionError:
        facts.failure = unreadable()
        return b"", facts
    facts.began = facts.done = True
    return renamed, facts


def _learn_plain(chunk: Chunk, facts: Facts, quirks: Quirks) -> None:
    facts.upstream_id, facts.upstream_model = chunk.id or "", chunk.model or ""
    counts = [chunk.usage, *(choice.usage for choice in chunk.choices or ())]
    facts.usage = next((read_usage(raw) for raw in counts if bytes(raw) not in _NOTHING), None)
    native = next((choice.finish_reason for choice in chunk.choices or () if choice.finish_reason), None)
    if native is None and quirks.supports_finish_reason:
        raise BrokenStream("The provider's answer has no finish_reason: it is not complete; try again.")
    facts.finish = Finish(reason=read_finish(native or "stop"), native=native)
