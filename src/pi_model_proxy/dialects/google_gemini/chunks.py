"""What an upstream says, as types; fields nobody needs are not even decoded.

A plain answer and each event of a stream have one shape, `GenerateContentResponse`.

Source: google-genai 3.4.0 `types.py` and @google/genai 3.1; dialects.md §2.4.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from pi_model_proxy.dialects.google_gemini.usage import UsageMetadata
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream

__all__ = [
    "DIALECT",
    "FAMILY",
    "Blob",
    "Candidate",
    "Chunk",
    "FunctionCall",
    "Glance",
    "Part",
    "raw_parts",
    "read_chunk",
    "read_glance",
]

DIALECT: Final = "google_gemini"
FAMILY: Final = "google"
"""Whose words the types and codes of errors are."""

_ABSENT: Final = msgspec.Raw()
"""Raw JSON that is not there is empty: msgspec knows no `Raw | None`."""
T = TypeVar("T")


class FunctionCall(msgspec.Struct, rename="camel"):
    """A call, whole."""

    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = _ABSENT
    partial_args: msgspec.Raw = _ABSENT
    """Pieces of the arguments, only where a request asked for them (`streamFunctionCallArguments`)."""


class Blob(msgspec.Struct, rename="camel"):
    """Bytes."""

    mime_type: str | None = None
    data: str | None = None


class Part(msgspec.Struct, rename="camel"):
    """A piece of content; one of all kinds in one type, since text is by far the most."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(msgspec.Struct):
    """What the model says."""

    parts: list[Part] | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why there is no answer at all."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer of possibly several; only the first is read."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: msgspec.Raw = _ABSENT
    citation_metadata: msgspec.Raw = _ABSENT


class Chunk(msgspec.Struct, rename="camel"):
    """One event of a stream, or a plain answer."""

    candidates: list[Candidate] | None = None
    usage_metadata: UsageMetadata | None = None
    prompt_feedback: PromptFeedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: msgspec.Raw = _ABSENT


class GlancedCandidate(msgspec.Struct, rename="camel"):
    """A candidate without what it says."""

    finish_reason: str | None = None
    finish_message: str | None = None


class Glance(msgspec.Struct, rename="camel"):
    """An event as far as a relay must know it."""

    candidates: list[GlancedCandidate] | None = None
    usage_metadata: UsageMetadata | None = None
    prompt_feedback: PromptFeedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: msgspec.Raw = _ABSENT


class _RawContent(msgspec.Struct):
    parts: list[msgspec.Raw] | None = None


class _RawCandidate(msgspec.Struct):
    content: _RawContent | None = None


class _RawChunk(msgspec.Struct):
    candidates: list[_RawCandidate] | None = None


_chunk_decoder: Final = msgspec.json.Decoder(Chunk)
_glance_decoder: Final = msgspec.json.Decoder(Glance)
_raw_decoder: Final = msgspec.json.Decoder(_RawChunk)
_part_decoder: Final = msgspec.json.Decoder(dict[str, Any])


def read_chunk(data: bytes) -> Chunk:
    """Return an event with all it says.

    Raises:
        BrokenStream: not JSON, or not of this shape.
    """
    return _read(data, _chunk_decoder)


def read_glance(data: bytes) -> Glance:
    """Return an event without its content.

    Raises:
        BrokenStream: not JSON, or not of this shape.
    """
    return _read(data, _glance_decoder)


def raw_parts(data: bytes) -> list[dict[str, Any]]:
    """Return the first candidate's parts as they came, for those that only this format can say.

    Raises:
        BrokenStream: a part is no object.
    """
    chunk = _read(data, _raw_decoder)
    content = chunk.candidates[0].content if chunk.candidates else None
    try:
        return [_part_decoder.decode(part) for part in (content.parts if content else None) or ()]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _broken(error) from error


def _read(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        mended = mend_body(data)
        if mended is data:
            raise _broken(error) from error
    try:
        return decoder.decode(mended)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _broken(error) from error


def _broken(error: Exception) -> BrokenStream:
    return BrokenStream(
        f"The provider sent a part of its answer that is no valid JSON of its kind ({error})."
    )
