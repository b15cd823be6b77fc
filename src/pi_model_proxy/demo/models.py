"""Which demo models there are: every scene in every format."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.catalog import Model
from pi_model_proxy.demo.chat import Chat
from pi_model_proxy.demo.formats import Format
from pi_model_proxy.demo.messages import Messages
from pi_model_proxy.demo.responses import Responses
from pi_model_proxy.demo.scenes import SCENES, Scene

__all__ = ["CONTEXT_TOKENS", "FORMATS", "PROVIDER", "demo_models", "scene_of"]

PROVIDER: Final = "demo"
CONTEXT_TOKENS: Final = 64_000
"""Longer requests are refused, as a real model would refuse them."""
MAX_OUTPUT_TOKENS: Final = 8_192

FORMATS: Final[tuple[Format, ...]] = (Chat(), Messages(), Responses())
_SCENES: Final = {f"{format_.id}-{scene.id}": scene for format_ in FORMATS for scene in SCENES}


def scene_of(model_id: str) -> Scene | None:
    """Return what a demo model does; None when there is no such model."""
    return _SCENES.get(model_id)


def demo_models(base_url: str) -> list[Model]:
    """Return the models that a demo upstream at `base_url` (`http://127.0.0.1:port`) serves."""
    return [_model(format_, scene, base_url) for format_ in FORMATS for scene in SCENES]


def _model(format_: Format, scene: Scene, base_url: str) -> Model:
    return Model(
        provider=PROVIDER,
        id=f"{format_.id}-{scene.id}",
        name=f"Scripted demo ({format_.kind}): {scene.does}",
        api=format_.kind,
        base_url=base_url + format_.base_path,
        reasoning=scene.thinks,
        input=("text", "image") if scene.sees else ("text",),
        context_window=CONTEXT_TOKENS,
        max_tokens=MAX_OUTPUT_TOKENS,
        compat={"supportsOpenAIGrammarTools": True} if format_.kind != "anthropic-messages" else {},
    )
