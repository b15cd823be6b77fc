"""`/api/embed` and the older `/api/embeddings`, said to upstreams that speak OpenAI's `/embeddings`.

Source: dialects.md §9; ollama-python 0.6.3 `EmbedRequest`, `EmbeddingsRequest`.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from pi_model_proxy.dialects.reading import read_json, says_nothing
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.wire import ascii_json

__all__ = ["EmbedForm", "embed_request", "encode_embeddings"]

EmbedForm: TypeAlias = Literal["embed", "embeddings"]
"""The second is the older one: one text under `prompt`, one list of numbers back."""

_KNOWN: Final[dict[EmbedForm, frozenset[str]]] = {
    "embed": frozenset({"model", "name", "input", "dimensions"}),
    "embeddings": frozenset({"model", "name", "prompt"}),
}
_NEUTRAL: Final = {"truncate": True}
_NANOSECONDS: Final = 1_000_000_000


class _Item(msgspec.Struct):
    embedding: msgspec.Raw
    index: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]
    usage: _Usage | None = None


_answer_decoder: Final = msgspec.json.Decoder(_Answer)


def embed_request(body: bytes, form: EmbedForm) -> tuple[str | None, bytes, tuple[str, ...]]:
    """Return the model's name, OpenAI's request for the same, and the JSON paths of what it cannot say.

    Raises:
        BadRequest: names the JSON path.
    """
    request = read_json(body)
    source = "input" if form == "embed" else "prompt"
    given = request.values.get(source)
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        request.refuse(source, "must be a string, or an array of strings that is not empty")
    if form == "embeddings" and not isinstance(given, str):
        request.refuse(source, "must be a string")
    asked: dict[str, Any] = {"model": "", "input": given, "encoding_format": "float"}
    dimensions = request.whole("dimensions") if form == "embed" else None
    if dimensions:
        asked["dimensions"] = dimensions
    dropped = tuple(
        name
        for name, value in request.values.items()
        if name not in _KNOWN[form] and not says_nothing(value) and _NEUTRAL.get(name) != value
    )
    return request.text("model") or request.text("name"), ascii_json(asked), dropped


def encode_embeddings(answer: bytes, form: EmbedForm, *, name: str, seconds: float) -> bytes:
    """Return an upstream's answer in this format's words; the numbers keep their digits.

    Raises:
        BrokenStream: it is none.
    """
    try:
        found = _answer_decoder.decode(answer)
    except (ValueError, RecursionError) as error:
        raise BrokenStream("The provider's answer holds no embeddings; try again.") from error
    vectors = [item.embedding for item in sorted(found.data, key=lambda item: item.index)]
    if form == "embeddings":
        if not vectors:
            raise BrokenStream("The provider's answer holds no embedding; try again.")
        return msgspec.json.encode({"embedding": vectors[0]})
    usage = found.usage or _Usage()
    return msgspec.json.encode(
        {
            "model": name,
            "embeddings": vectors,
            "total_duration": max(1, round(seconds * _NANOSECONDS)),
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens or usage.total_tokens or 0,
        }
    )
