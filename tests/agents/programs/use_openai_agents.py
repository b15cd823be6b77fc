"""openai-agents: agents with a tool and a typed answer, over Responses and over chat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel
from scenes import HELLO, KEY, V1, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]

from agents import (  # type: ignore[attr-defined,unused-ignore]  # the client's package, not this folder's
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)

set_tracing_disabled(True)


class Place(BaseModel):
    city: str
    days: int


def scenes(kind: Any, name: str) -> Mapping[str, Scene]:
    def agent(**settings: Any) -> Any:
        # A client of its own each time: each scene has an event loop of its own.
        client = AsyncOpenAI(base_url=V1, api_key=KEY, max_retries=0)
        return Agent(name="A", model=kind(model=name, openai_client=client), **settings)

    async def text() -> None:
        same((await Runner.run(agent(), HELLO)).final_output, f"You said: {HELLO}")

    async def stream() -> None:
        run = Runner.run_streamed(agent(instructions="Be brief."), HELLO)
        deltas = [
            event.data.delta
            async for event in run.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        same("".join(deltas), f"You said: {HELLO}")

    async def tools() -> None:
        run = await Runner.run(agent(tools=[function_tool(weather)]), "script:tool-loop")
        same(run.final_output, "The tools said: sunny in Paris")

    async def structured() -> None:
        same((await Runner.run(agent(output_type=Place), "Where?")).final_output, Place(city="Paris", days=7))

    return {"text": text, "stream": stream, "tools": tools, "structured": structured}


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    yield "responses", scenes(OpenAIResponsesModel, model)
    yield "chat", scenes(OpenAIChatCompletionsModel, model)


play(faces)
