"""An upstream's answer on its way to a caller of the same format, event by event.

Framing is ours; the JSON inside stays as it is but for the model's name (`modelVersion`) and raw
line separators. Sources: dialects.md §2.4; clients.md §4.1.
"""

from __future__ import annotations

import re
from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.google_gemini.answer_in import CUT_SHORT, NOT_AN_ANSWER, stream_error
from pi_model_proxy.dialects.google_gemini.answer_out import PING
from pi_model_proxy.dialects.google_gemini.chunks import Glance, read_glance
from pi_model_proxy.dialects.google_gemini.errors_out import error_frame
from pi_model_proxy.dialects.google_gemini.finish import blocked, finish_of
from pi_model_proxy.dialects.google_gemini.framing import ObjectReader
from pi_model_proxy.dialects.google_gemini.usage import read_usage
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, GatewayError, UpstreamError
from pi_model_proxy.hub import Finish
from pi_model_proxy.wire import ascii_json, edit_object, encode_frame, escape_separators, raw_object

__all__ = ["GeminiPipe", "relay_message"]

MAX_HELD_FRAMES: Final = 16
"""Events without an answer are held back until it begins, so that an error can still be a status."""
_VERSION: Final = re.compile(rb'"modelVersion"\s*:\s*"[^"\\]*"')
_KEY: Final = b'"modelVersion"'
_CALL: Final = b'"functionCall"'


class _Reading:
    """What an answer's events have said so far."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._finish_reason: str | None = None
        self._message: str | None = None
        self._block_reason: str | None = None
        self._called = False

    def take(self, said: Glance, data: bytes) -> bool:
        """Note an event; tell whether it is part of the answer, and no mere report of counts.

        Raises:
            UpstreamError: it tells of an error.
        """
        if said.error:
            raise stream_error(said.error)
        facts = self.facts
        if said.usage_metadata is not None:
            facts.usage = read_usage(said.usage_metadata)
        if not facts.upstream_id:
            facts.upstream_id, facts.upstream_model = said.response_id or "", said.model_version or ""
        feedback = said.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._block_reason = feedback.block_reason
            self._message = feedback.block_reason_message
        if not said.candidates:
            return self._block_reason is not None
        if said.candidates[0].finish_reason:
            self._finish_reason = said.candidates[0].finish_reason
            self._message = said.candidates[0].finish_message
        self._called = self._called or _CALL in data
        return True

    def end(self) -> None:
        """Note how the answer ended.

        A reason that means failure elsewhere is the caller's to deal with here: it knows the word, and
        often tries again by itself.

        Raises:
            BrokenStream: it has not ended.
        """
        facts = self.facts
        finish: Finish | UpstreamError
        if self._finish_reason is not None:
            finish = finish_of(self._finish_reason, self._message, called=self._called)
        elif self._block_reason is not None:
            finish = blocked(self._block_reason, self._message)
        else:
            raise BrokenStream(CUT_SHORT if facts.began else NOT_AN_ANSWER)
        facts.finish = finish if isinstance(finish, Finish) else None
        facts.done = True


class GeminiPipe:
    """Implements `Pipe` for one answer, as events."""

    def __init__(self, context: AnswerContext) -> None:
        self.facts = Facts()
        self._objects = ObjectReader()
        self._reading = _Reading(self.facts)
        self._renaming = Renaming(context.model)
        self._held: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        """See `Pipe.feed`."""
        if self._over:
            return b""
        out: list[bytes] = []
        try:
            for data in self._objects.feed(chunk):
                self._take(data, out)
        except UpstreamError as error:
            self.facts.failure = error
        return b"".join(out)

    def close(self) -> bytes:
        """See `Pipe.close`."""
        if self._over:
            return b""
        out: list[bytes] = []
        try:
            for data in self._objects.close():
                self._take(data, out)
            self._reading.end()
            self.facts.began = True
            out += self._held
        except UpstreamError as error:
            self.facts.failure = error
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        """See `Pipe.fail`."""
        return error_frame(error)

    def ping(self) -> bytes:
        """See `Pipe.ping`."""
        return PING

    @property
    def _over(self) -> bool:
        return self.facts.done or self.facts.failure is not None

    def _take(self, data: bytes, out: list[bytes]) -> None:
        is_answer = self._reading.take(read_glance(data), data)
        frame = encode_frame(escape_separators(self._renaming.renamed(data)))
        if not is_answer and not self.facts.began:
            self._held.append(frame)
            del self._held[:-MAX_HELD_FRAMES]
            return
        if not self.facts.began:
            self.facts.began = True
            out += self._held
            self._held = []
        out.append(frame)


class Renaming:
    """Puts the caller's name of the model into `modelVersion`, in place where that is safe.

    Inside JSON strings quotes are escaped, so the key with its quotes can only be a member; one that
    is there once is the event's own.
    """

    def __init__(self, model: str) -> None:
        self._model = ascii_json(model)
        self._seen = b""
        """The member as the last event spelt it."""

    def renamed(self, data: bytes) -> bytes:
        """Return an event under the caller's name of the model; one that names none is left alone.

        Raises:
            BrokenStream: not JSON.
        """
        count = data.count(_KEY)
        if not count:
            return data
        if count == 1:
            if not self._seen or self._seen not in data:
                found = _VERSION.search(data)
                self._seen = found[0] if found else b""
            if self._seen:
                return data.replace(self._seen, _KEY + b":" + self._model)
        try:
            return edit_object(raw_object(mend_body(data)), put={"modelVersion": self._model})
        except (ValueError, RecursionError) as error:
            raise BrokenStream(f"The provider sent something that is not JSON ({error}).") from error


def relay_message(body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return a plain answer under the caller's name of the model, and what it says."""
    facts = Facts()
    reading = _Reading(facts)
    try:
        facts.began = reading.take(read_glance(body), body)
        reading.end()
        return Renaming(context.model).renamed(body), facts
    except UpstreamError as error:
        facts.failure = error
        return b"", facts
