"""instructor: typed answers by tool call and by schema, over chat, Messages and Responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import instructor  # type: ignore[import-not-found,unused-ignore]  # in an environment of its own
import openai
from pydantic import BaseModel
from scenes import KEY, ORIGIN, V1, Scene, play, same  # type: ignore[import-not-found,unused-ignore]


class Place(BaseModel):
    city: str
    days: int


def scenes(client: Any, model: str, **more: Any) -> Mapping[str, Scene]:
    said: Any = {
        "model": model,
        "messages": [{"role": "user", "content": "Where?"}],
        "max_retries": 1,
        **more,
    }

    def structured() -> None:
        same(client.create(response_model=Place, **said).model_dump(), {"city": "Paris", "days": 7})

    def stream() -> None:
        pieces = list(client.create_partial(response_model=Place, **said))
        same((pieces[-1].city, pieces[-1].days), ("Paris", 7))

    return {"structured": structured, "stream": stream}


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    over_openai = openai.OpenAI(base_url=V1, api_key=KEY, max_retries=0)
    over_anthropic = anthropic.Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0)
    mode = instructor.Mode
    yield "chat, tools", scenes(instructor.from_openai(over_openai, mode=mode.TOOLS), model)
    yield "chat, JSON schema", scenes(instructor.from_openai(over_openai, mode=mode.JSON_SCHEMA), model)
    yield "responses", scenes(instructor.from_openai(over_openai, mode=mode.RESPONSES_TOOLS), model)
    yield (
        "messages",
        scenes(instructor.from_anthropic(over_anthropic, mode=mode.ANTHROPIC_TOOLS), model, max_tokens=1_000),
    )


play(faces)
