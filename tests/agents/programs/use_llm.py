"""llm, as a library, its model described in extra-openai-models.yaml as a user would."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import llm  # type: ignore[import-not-found,unused-ignore]  # in an environment of its own
from scenes import HELLO, KEY, PLACE, V1, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]


def described(model: str) -> str:
    """Write the user's file about `model` and return the name by which llm knows it."""
    entry = {
        "model_id": "mine", "model_name": model, "api_base": V1, "api_key_name": "mine",
        "supports_tools": True, "supports_schema": True,
    }  # fmt: skip
    Path(os.environ["LLM_USER_PATH"], "extra-openai-models.yaml").write_text(json.dumps([entry]))
    return "mine"


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    found = llm.get_model(described(model))
    found.key = KEY

    def text() -> None:
        same(found.prompt(HELLO, stream=False).text(), f"You said: {HELLO}")

    def stream() -> None:
        same("".join(found.prompt(HELLO, stream=True)), f"You said: {HELLO}")

    def tools() -> None:
        same("sunny in Paris" in found.chain("script:tool-loop", tools=[weather]).text(), True)

    def structured() -> None:
        answer = found.prompt("Where?", schema=PLACE, stream=False).text()
        same(json.loads(answer), {"city": "Paris", "days": 7})

    yield "chat", {"text": text, "stream": stream, "tools": tools, "structured": structured}


play(faces)
