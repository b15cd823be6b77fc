"""ollama-python: chat, its streaming, a tool, a schema; and what it asks beside that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ollama import Client
from scenes import HELLO, KEY, ORIGIN, PLACE, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]

client = Client(host=ORIGIN, headers={"authorization": f"Bearer {KEY}"})


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    asked = [{"role": "user", "content": HELLO}]

    def text() -> None:
        same(client.chat(model=model, messages=asked).message.content, f"You said: {HELLO}")

    def stream() -> None:
        pieces = list(client.chat(model=model, messages=asked, stream=True))
        same("".join(piece.message.content or "" for piece in pieces), f"You said: {HELLO}")
        same(pieces[-1].done, True)

    def tools() -> None:
        said: list[Any] = [{"role": "user", "content": "script:tool-loop"}]
        first = client.chat(model=model, messages=said, tools=[weather]).message
        said.append(first)
        said += [
            {"role": "tool", "tool_name": call.function.name, "content": weather(**call.function.arguments)}
            for call in first.tool_calls or []
        ]
        answer = client.chat(model=model, messages=said, tools=[weather]).message.content
        same(answer, "The tools said: sunny in Paris")

    def structured() -> None:
        answer = client.chat(model=model, messages=asked, format=PLACE).message.content
        same(json.loads(answer or ""), {"city": "Paris", "days": 7})

    def generate() -> None:
        same(client.generate(model=model, prompt=HELLO).response, f"You said: {HELLO}")
        same(model in [found.model for found in client.list().models], True)
        same("completion" in (client.show(model).capabilities or []), True)

    yield (
        "ollama",
        {"text": text, "stream": stream, "tools": tools, "structured": structured, "generate": generate},
    )


play(faces)
