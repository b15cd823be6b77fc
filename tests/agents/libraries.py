"""The libraries that are run in front of the gateway: what to install, and which of programs/ plays the scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agents.environments import Recipe

__all__ = ["LIBRARIES", "Library"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A client library, the package that gives the row its version, and its program."""

    name: str
    recipe: Recipe
    package: str
    program: str


def _python(name: str, *packages: str, program: str, package: str = "") -> Library:
    recipe = Recipe(name=name, pip=packages)
    return Library(name=name, recipe=recipe, package=package or packages[0], program=program)


LIBRARIES: Final[tuple[Library, ...]] = (
    _python("openai", "openai", program="use_openai.py"),
    _python("openai-agents", "openai-agents", program="use_openai_agents.py"),
    _python("google-genai", "google-genai", program="use_google_genai.py"),
    _python("ollama-python", "ollama", program="use_ollama.py"),
    _python(
        "pydantic-ai",
        "pydantic-ai-slim[openai,anthropic,google]",
        package="pydantic-ai-slim",
        program="use_pydantic_ai.py",
    ),
    # Its Anthropic class does not start with the newest anthropic.
    _python(
        "llamaindex",
        "llama-index-core",
        "llama-index-llms-openai-like",
        "llama-index-llms-anthropic",
        "anthropic<1",
        program="use_llamaindex.py",
    ),
    # It imports mcp as soon as tools are given.
    _python("litellm", "litellm", "mcp", program="use_litellm.py"),
    _python("llm", "llm", program="use_llm.py"),
    _python("instructor", "instructor", "anthropic", program="use_instructor.py"),
    Library(
        name="Vercel AI SDK",
        recipe=Recipe(
            name="vercel-ai",
            npm=(
                "ai",
                "@ai-sdk/openai",
                "@ai-sdk/anthropic",
                "@ai-sdk/openai-compatible",
                "@ai-sdk/google",
                "zod@4",
            ),
        ),
        package="ai",
        program="use_vercel_ai.mjs",
    ),
    Library(
        name="ollama-js",
        recipe=Recipe(name="ollama-js", npm=("ollama",)),
        package="ollama",
        program="use_ollama.mjs",
    ),
)
