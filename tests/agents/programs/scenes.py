"""What every program in this folder does: play scenes with one model after the other, one line of JSON per scene.

Each program runs in an environment of its own, where only its client is installed; so does this file.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

__all__ = ["CITY", "HELLO", "KEY", "ORIGIN", "PLACE", "V1", "play", "same", "weather"]

ORIGIN: Final = os.environ["GATEWAY_ORIGIN"]
V1: Final = f"{ORIGIN}/v1"
KEY: Final = os.environ["GATEWAY_KEY"]

HELLO: Final = "Hello, 世界!"
"""What the scripted model repeats after `You said: `."""
CITY: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of the city"}},
    "required": ["city"],
    "additionalProperties": False,
}
PLACE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
"""The scripted model fills it with `Paris` and `7`."""

Scene = Callable[[], object]
Faces = Iterable[tuple[str, Mapping[str, Scene]]]


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def same(seen: object, wanted: object) -> None:
    """Raise an AssertionError that shows both when they differ."""
    if seen != wanted:
        raise AssertionError(f"{seen!r} instead of {wanted!r}")


def play(faces: Callable[[str], Faces]) -> None:
    """Play each scene of each face with each model of `$MODELS`; a scene may be a coroutine function."""
    for model in os.environ["MODELS"].split():
        for face, scenes in faces(model):
            for name, scene in scenes.items():
                print(json.dumps({"face": face, "model": model, "scene": name, "error": outcome(scene)}))


def outcome(scene: Scene) -> str | None:
    """Return how the scene went wrong, if it did."""
    try:
        if inspect.iscoroutinefunction(scene):
            asyncio.run(scene())
        else:
            scene()
    except Exception as error:  # noqa: BLE001, RUF100 - whatever the client raises is the outcome
        return f"{type(error).__name__}: {error}"
    return None
