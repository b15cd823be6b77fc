"""pydantic-ai: an agent with a tool and a typed answer, over each of its four model classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent  # type: ignore[import-not-found,unused-ignore]  # in an environment of its own
from pydantic_ai.models.anthropic import AnthropicModel  # type: ignore[import-not-found,unused-ignore]
from pydantic_ai.models.google import GoogleModel  # type: ignore[import-not-found,unused-ignore]
from pydantic_ai.models.openai import (  # type: ignore[import-not-found,unused-ignore]
    OpenAIChatModel,
    OpenAIResponsesModel,
)
from pydantic_ai.output import NativeOutput  # type: ignore[import-not-found,unused-ignore]
from pydantic_ai.providers.anthropic import AnthropicProvider  # type: ignore[import-not-found,unused-ignore]
from pydantic_ai.providers.google import GoogleProvider  # type: ignore[import-not-found,unused-ignore]
from pydantic_ai.providers.openai import OpenAIProvider  # type: ignore[import-not-found,unused-ignore]
from scenes import HELLO, KEY, ORIGIN, V1, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]


class Place(BaseModel):
    city: str
    days: int


def scenes(make: Callable[[], Any], *, has_native: bool = True) -> Mapping[str, Scene]:
    async def text() -> None:
        same((await Agent(make()).run(HELLO)).output, f"You said: {HELLO}")

    async def stream() -> None:
        async with Agent(make()).run_stream(HELLO) as run:
            pieces = [piece async for piece in run.stream_text(delta=True, debounce_by=None)]
        same("".join(pieces), f"You said: {HELLO}")

    async def tools() -> None:
        run = await Agent(make(), tools=[weather]).run("script:tool-loop")
        same("sunny in Paris" in run.output, True)  # over Gemini it wraps what the tool returned

    async def structured() -> None:
        same((await Agent(make(), output_type=Place).run("Where?")).output, Place(city="Paris", days=7))

    async def native() -> None:
        run = await Agent(make(), output_type=NativeOutput(Place)).run("Where?")
        same(run.output, Place(city="Paris", days=7))

    found = {"text": text, "stream": stream, "tools": tools, "structured": structured}
    return {**found, "structured natively": native} if has_native else found


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    def openai() -> Any:
        return OpenAIProvider(base_url=V1, api_key=KEY)

    yield "chat", scenes(lambda: OpenAIChatModel(model, provider=openai()))
    yield "responses", scenes(lambda: OpenAIResponsesModel(model, provider=openai()))
    yield (
        "messages",
        scenes(
            lambda: AnthropicModel(model, provider=AnthropicProvider(base_url=ORIGIN, api_key=KEY)),
            has_native=False,  # the client allows it for models that it knows by name only
        ),
    )
    yield "gemini", scenes(lambda: GoogleModel(model, provider=GoogleProvider(base_url=ORIGIN, api_key=KEY)))


play(faces)
