"""google-genai: Gemini, with its own loop over Python functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from google import genai
from google.genai import types
from scenes import HELLO, KEY, ORIGIN, PLACE, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]

client = genai.Client(api_key=KEY, vertexai=False, http_options=types.HttpOptions(base_url=ORIGIN))


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    def text() -> None:
        same(client.models.generate_content(model=model, contents=HELLO).text, f"You said: {HELLO}")

    def stream() -> None:
        pieces = list(client.models.generate_content_stream(model=model, contents=HELLO))
        same("".join(piece.text or "" for piece in pieces), f"You said: {HELLO}")

    def tools() -> None:
        config = types.GenerateContentConfig(tools=[weather])
        answer = client.models.generate_content(model=model, contents="script:tool-loop", config=config)
        same("sunny in Paris" in (answer.text or ""), True)

    def structured() -> None:
        config = types.GenerateContentConfig(
            response_mime_type="application/json", response_json_schema=PLACE
        )
        answer = client.models.generate_content(model=model, contents="Where?", config=config)
        same(json.loads(answer.text or ""), {"city": "Paris", "days": 7})

    def counts() -> None:
        same((client.models.count_tokens(model=model, contents=HELLO).total_tokens or 0) > 0, True)

    yield (
        "gemini",
        {"text": text, "stream": stream, "tools": tools, "structured": structured, "counts": counts},
    )


play(faces)
