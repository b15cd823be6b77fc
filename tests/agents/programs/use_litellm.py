"""LiteLLM as a client: its chat calls over our chat, Messages and Responses endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import litellm  # type: ignore[import-not-found,unused-ignore]  # in an environment of its own
from scenes import CITY, HELLO, KEY, ORIGIN, PLACE, V1, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}}


def scenes(model: str, base: str) -> Mapping[str, Scene]:
    def ask(said: Any, **options: Any) -> Any:
        return litellm.completion(
            model=model, messages=said, api_base=base, api_key=KEY, num_retries=0, **options
        )

    asked = [{"role": "user", "content": HELLO}]

    def text() -> None:
        same(ask(asked).choices[0].message.content, f"You said: {HELLO}")

    def stream() -> None:
        pieces = [piece.choices[0].delta.content or "" for piece in ask(asked, stream=True) if piece.choices]
        same("".join(pieces), f"You said: {HELLO}")

    def tools() -> None:
        said: list[Any] = [{"role": "user", "content": "script:tool-loop"}]
        first = ask(said, tools=[TOOL]).choices[0].message
        said.append(first.model_dump())
        said += [
            {
                "role": "tool",
                "tool_call_id": call.id,
                "content": weather(**json.loads(call.function.arguments)),
            }
            for call in first.tool_calls
        ]
        same(ask(said, tools=[TOOL]).choices[0].message.content, "The tools said: sunny in Paris")

    def structured() -> None:
        answer = ask([{"role": "user", "content": "Where?"}], response_format=FORMAT)
        same(json.loads(answer.choices[0].message.content), {"city": "Paris", "days": 7})

    return {"text": text, "stream": stream, "tools": tools, "structured": structured}


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    yield "chat", scenes(f"openai/{model}", V1)
    yield "messages", scenes(f"anthropic/{model}", ORIGIN)
    # It cuts `responses/` out of any name, so `stub-responses/vision` needs an alias.
    alias = model.partition("/")[0].replace("stub", "behind")
    yield "responses", scenes(f"openai/responses/{alias}", V1)


play(faces)
