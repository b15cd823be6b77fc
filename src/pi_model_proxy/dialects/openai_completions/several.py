"""Several prompts in one request: asked one after the other, told as one answer with a choice for each.

Source: openai-python 3.54.0 `types/completion_create_params.py` (`prompt`: "or an array of strings").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.openai_completions.request_in import MAX_PROMPTS
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.wire import ascii_json, encode_frame, members_of, object_of

__all__ = ["DONE_FRAME", "choice_frames", "join_answers", "one_prompt", "several_prompts", "usage_frame"]

DONE_FRAME: Final = b"data: [DONE]\n\n"
_prompts_decoder: Final = msgspec.json.Decoder(list[str])
_answer_decoder: Final = msgspec.json.Decoder(dict[str, Any])

Json = dict[str, Any]


def several_prompts(body: bytes) -> list[str] | None:
    """Return the prompts when there are several texts; None for every other body, broken ones too.

    Raises:
        UnsupportedFeature: there are more than `MAX_PROMPTS`.
    """
    try:
        given = bytes(members_of(body).get("prompt", b""))
        prompts = _prompts_decoder.decode(given) if given.startswith(b"[") else []
    except (ValueError, RecursionError):
        return None  # whoever reads the whole request says what is wrong with it
    if len(prompts) <= 1:
        return None
    if len(prompts) > MAX_PROMPTS:
        path = f"prompt[{MAX_PROMPTS}]"
        raise UnsupportedFeature(f"{path}: send at most {MAX_PROMPTS} prompts a request.", param=path)
    return prompts


def one_prompt(body: bytes, prompt: str) -> bytes:
    """Return the request for one of its prompts, not streamed."""
    members = members_of(body)
    members["prompt"] = msgspec.Raw(msgspec.json.encode(prompt))
    members["stream"] = msgspec.Raw(b"false")
    return object_of(members)


def join_answers(answers: Sequence[bytes]) -> bytes:
    """Return whole answers of ours as one: the first one's head, a choice for each, the counts together."""
    read = [_answer_decoder.decode(answer) for answer in answers]
    choices = [{**answer["choices"][0], "index": index} for index, answer in enumerate(read)]
    return ascii_json({**read[0], "choices": choices, "usage": _sum([answer["usage"] for answer in read])})


def choice_frames(answer: bytes, index: int) -> bytes:
    """Return a whole answer as the chunks of one choice in a stream."""
    read = _answer_decoder.decode(answer)
    choice = read["choices"][0]
    head = {name: read[name] for name in ("id", "object", "created", "model")}
    said = {**choice, "index": index, "finish_reason": None}
    ended = {**choice, "index": index, "text": ""}
    return b"".join(encode_frame(ascii_json({**head, "choices": [each]})) for each in (said, ended))


def usage_frame(answers: Sequence[bytes]) -> bytes:
    """Return the chunk with the counts of all answers."""
    joined = _answer_decoder.decode(join_answers(answers))
    return encode_frame(ascii_json({**joined, "choices": []}))


def _sum(usages: Sequence[Json]) -> Json:
    total: Json = {}
    for usage in usages:
        for name, count in usage.items():
            if isinstance(count, dict):
                total[name] = _sum([total.get(name, {}), count])
            else:
                total[name] = total.get(name, 0) + count
    return total
