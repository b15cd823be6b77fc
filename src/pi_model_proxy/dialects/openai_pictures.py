"""OpenAI's request for pictures, said to providers whose models draw in answer to a chat.

Sources: openai-python 3.54.0 `types/image_generate_params.py`, `images_response.py`; pi 1.5.2
`dist/api/openrouter-images.js` (what is asked: `modalities`; where pictures stand: `message.images[].image_url`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.reading import read_json, says_nothing
from pi_model_proxy.errors import BrokenStream, UnsupportedFeature
from pi_model_proxy.hub import Usage
from pi_model_proxy.wire import compact_json

__all__ = ["MODALITIES", "PictureWish", "encode_pictures", "picture_chat", "read_pictures"]

MODALITIES: Final = (("image", "text"), ("image",))
"""What to ask for, first to last: a model that only draws refuses to be asked for words as well."""
_KNOWN: Final = frozenset({"model", "prompt", "n", "stream", "response_format", "user"})
_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "size": ("auto",), "quality": ("auto",), "background": ("auto",), "moderation": ("auto",), "partial_images": (0,),
}  # fmt: skip
"""Values that ask for what the model does anyway."""
_DATA_URL: Final = re.compile(r"data:[^;,]*;base64,(.+)", re.DOTALL)


class PictureWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be drawn."""

    prompt: str
    end_user: str | None = None
    dropped: tuple[str, ...] = ()
    """JSON paths of what cannot be said in a chat."""


class _Url(msgspec.Struct):
    url: str = ""


class _Picture(msgspec.Struct):
    image_url: _Url | str = ""


class _Message(msgspec.Struct):
    images: list[_Picture] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Counts(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    created: int = 0
    usage: _Counts | None = None


_answer_decoder: Final = msgspec.json.Decoder(_Answer)


def read_pictures(body: bytes) -> PictureWish:
    """Return the wish.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: several pictures, pictures in parts, or addresses instead of pictures.
    """
    request = read_json(body)
    if (request.whole("n") or 1) > 1:
        raise UnsupportedFeature(
            "n: this model draws one picture a request; send several requests.", param="n"
        )
    if request.flag("stream"):
        raise UnsupportedFeature(
            "stream: this model's picture comes as a whole; remove the field.", param="stream"
        )
    if request.text("response_format") == "url":
        raise UnsupportedFeature(
            "response_format: this model's picture comes as base64; ask for b64_json.",
            param="response_format",
        )
    dropped = tuple(
        name
        for name, value in request.values.items()
        if name not in _KNOWN and not says_nothing(value) and value not in _NEUTRAL.get(name, ())
    )
    return PictureWish(prompt=request.filled_text("prompt"), end_user=request.text("user"), dropped=dropped)


def picture_chat(wish: PictureWish, modalities: Sequence[str]) -> bytes:
    """Return the chat completions request for it; its `model` is for whoever sends it to fill in."""
    said: dict[str, Any] = {
        "model": "",
        "messages": [{"role": "user", "content": [{"type": "text", "text": wish.prompt}]}],
        "stream": False,
        "modalities": list(modalities),
    }
    if wish.end_user:
        said["user"] = wish.end_user
    return compact_json(said)


def encode_pictures(answer: bytes, *, created: int) -> tuple[bytes, Usage | None]:
    """Return the pictures in a chat's answer in OpenAI's words, and the counts; `created` in seconds since the epoch.

    Raises:
        BrokenStream: there is none, or it is no answer.
    """
    try:
        found = _answer_decoder.decode(answer)
    except (ValueError, RecursionError) as error:
        raise BrokenStream("The provider's answer cannot be read; try again.") from error
    pictures = [picture for choice in found.choices for picture in choice.message.images or ()]
    addresses = [
        each.image_url if isinstance(each.image_url, str) else each.image_url.url for each in pictures
    ]
    drawn = [match[1] for match in map(_DATA_URL.fullmatch, addresses) if match]
    if not drawn:
        raise BrokenStream("The model answered without a picture; say more clearly what it is to draw.")
    told: dict[str, Any] = {
        "created": found.created or created,
        "data": [{"b64_json": data} for data in drawn],
    }
    usage: Usage | None = None
    if found.usage is not None:
        usage = Usage(
            input=max(0, found.usage.prompt_tokens or 0), output=max(0, found.usage.completion_tokens or 0)
        )
        told["usage"] = {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "total_tokens": usage.total,
            "input_tokens_details": {"text_tokens": usage.input, "image_tokens": 0},
        }
    return compact_json(told), usage
