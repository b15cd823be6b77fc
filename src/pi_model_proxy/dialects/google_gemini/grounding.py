"""Where an answer's text comes from, between Google's metadata and the hub's citations.

`groundingSupports` point with UTF-8 byte offsets into a text and with numbers into
`groundingChunks`; the hub counts characters. `citationMetadata` is about recited sources.

Source: dialects.md §2.8; google-genai 3.4.0 `GroundingMetadata`, `CitationMetadata`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pi_model_proxy.hub import Citation

__all__ = ["MAX_CITED_CHARS", "citations_in", "grounding_of"]

MAX_CITED_CHARS: Final = 1024 * 1024
"""Text longer than this is not kept to count characters in; its citations have no places."""


class _Web(msgspec.Struct):
    uri: str | None = None
    title: str | None = None


class _GroundingChunk(msgspec.Struct, rename="camel"):
    web: _Web | None = None
    retrieved_context: _Web | None = None
    maps: _Web | None = None

    @property
    def source(self) -> _Web:
        return self.web or self.retrieved_context or self.maps or _Web()


class _Segment(msgspec.Struct, rename="camel"):
    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class _Support(msgspec.Struct, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class _Grounding(msgspec.Struct, rename="camel"):
    grounding_chunks: list[_GroundingChunk] | None = None
    grounding_supports: list[_Support] | None = None


class _Recited(msgspec.Struct, rename="camel"):
    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class _Recitation(msgspec.Struct, rename="camel"):
    citation_sources: list[_Recited] | None = None
    citations: list[_Recited] | None = None


_grounding_decoder: Final = msgspec.json.Decoder(_Grounding)
_recitation_decoder: Final = msgspec.json.Decoder(_Recitation)


def citations_in(grounding: msgspec.Raw, recitation: msgspec.Raw, text: str | None) -> list[Citation]:
    """Return what both kinds of metadata say about `text`; None: it was too long to keep.

    Metadata that cannot be read say nothing: they are no part of the answer.
    """
    try:
        found = _grounded(_grounding_decoder.decode(grounding), text) if grounding else []
        return found + (_recited(_recitation_decoder.decode(recitation), text) if recitation else [])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return []


def _grounded(said: _Grounding, text: str | None) -> list[Citation]:
    sources = [chunk.source for chunk in said.grounding_chunks or ()]
    found: list[Citation] = []
    for support in said.grounding_supports or ():
        segment = support.segment or _Segment()
        start, end = _characters(text, segment.start_index or 0, segment.end_index)
        found += [
            _citation(sources[index], segment.text, start, end)
            for index in support.grounding_chunk_indices or ()
            if 0 <= index < len(sources)
        ]
    return found or [_citation(source, None, None, None) for source in sources]


def _citation(source: _Web, cited: str | None, start: int | None, end: int | None) -> Citation:
    return Citation(url=source.uri, title=source.title, cited_text=cited, start=start, end=end)


def _recited(said: _Recitation, text: str | None) -> list[Citation]:
    found: list[Citation] = []
    for each in (*(said.citation_sources or ()), *(said.citations or ())):
        start, end = _characters(text, each.start_index or 0, each.end_index)
        found.append(Citation(url=each.uri, title=each.title, start=start, end=end))
    return found


def _characters(text: str | None, start: int, end: int | None) -> tuple[int | None, int | None]:
    """Return byte offsets as character offsets."""
    if text is None or end is None or start < 0 or end < start:
        return None, None
    if text.isascii():
        return min(start, len(text)), min(end, len(text))
    data = text.encode("utf-8", "surrogatepass")
    return len(data[:start].decode("utf-8", "ignore")), len(data[:end].decode("utf-8", "ignore"))


def grounding_of(cited: Iterable[tuple[Citation, str, int]]) -> dict[str, Any] | None:
    """Return `groundingMetadata` for citations, each with its block's text and that text's offset in bytes.

    None when no citation names an address: this metadata know nothing else.
    """
    chunks: dict[str, dict[str, Any]] = {}
    supports: list[dict[str, Any]] = []
    for citation, text, offset in cited:
        if not citation.url:
            continue
        source = {"uri": citation.url, **({"title": citation.title} if citation.title else {})}
        chunks.setdefault(citation.url, {"web": source})
        start = citation.start if citation.start is not None else 0
        end = citation.end if citation.end is not None else len(text)
        segment: dict[str, Any] = {
            "endIndex": offset + len(text[:end].encode("utf-8", "replace")),
            "text": text[start:end],
        }
        if offset or start:
            segment["startIndex"] = offset + len(text[:start].encode("utf-8", "replace"))
        place = list(chunks).index(citation.url)
        if supports and supports[-1]["segment"] == segment:
            supports[-1]["groundingChunkIndices"].append(place)
        else:
            supports.append({"segment": segment, "groundingChunkIndices": [place]})
    if not chunks:
        return None
    return {"groundingChunks": list(chunks.values()), "groundingSupports": supports}
