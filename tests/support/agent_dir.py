"""A scratch agent dir of pi's, whose providers all lead to a strict provider.

Three providers, one per dialect: `stub-chat`, `stub-responses`, `stub-messages`. Their models are those
of `strict_provider.traits.MODELS`, with the compat flags that pi's users would set for such servers, so
that a gateway that heeds the flags is never refused, and one that does not, is.

Field names and defaults: pi.md §6.1, §6.2, §6.4; credentials: §2.1, §2.2.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["COST", "STUB_KEY", "AgentDir", "agent_dir"]

STUB_KEY: Final = "sk-stub-0123456789"
"""What `$STUB_KEY` holds in the environment that goes with the directory."""

COST: Final = {"input": 3.0, "output": 15.0, "cacheRead": 0.3, "cacheWrite": 3.75}
"""US dollars per million tokens, for every stub model."""

PRIVATE: Final = 0o600

CONTEXT: Final = 200_000
SEES: Final = ("text", "image")

SIMPLE_SERVER: Final = {
    "supportsStore": False,
    "supportsDeveloperRole": False,
    "supportsReasoningEffort": False,
    "supportsUsageInStreaming": False,
    "maxTokensField": "max_tokens",
    "promptCacheKeyMode": "disabled",
    "requiresToolResultName": True,
    "requiresNonNullAssistantContent": True,
    "requiresToolsWithToolHistory": True,
}
DEEPSEEK: Final = {
    "supportsStore": False,
    "supportsDeveloperRole": False,
    "maxTokensField": "max_tokens",
    "thinkingFormat": "deepseek",
    "requiresReasoningContentOnAssistantMessages": True,
}
OPENROUTER: Final = {
    "supportsDeveloperRole": False,
    "thinkingFormat": "openrouter",
    "cacheControlFormat": "anthropic",
}
ORDERED: Final = {"supportsDeveloperRole": False, "requiresAssistantAfterToolResult": True}
ADAPTIVE: Final = {
    "forceAdaptiveThinking": True,
    "supportsTemperature": False,
    "supportsMidConvoSystemMessages": True,
}


@dataclass(frozen=True, slots=True)
class AgentDir:
    """A written agent dir and the environment to start a process with."""

    path: Path
    environment: dict[str, str]
    """Only what matters here; merge it over the environment of the process."""
    models: tuple[str, ...]
    """Every model as `provider/id`, in the order of models.json."""


def agent_dir(
    root: Path,
    origin: str,
    *,
    key: str = "$STUB_KEY",
    more_models: Iterable[str] = (),
    base_urls: Mapping[str, str] | None = None,
    auth: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AgentDir:
    """Write an agent dir below `root` for the provider at `origin` (`http://127.0.0.1:PORT`).

    Args:
        root: an empty folder; the agent dir becomes `root/agent`, `HOME` becomes `root/home`.
        origin: where the strict provider listens, without `/v1`.
        key: `apiKey` of all three providers: a literal, `$NAME`, or `!command`.
        more_models: further ids for every provider, e.g. names of scripts and faults.
        base_urls: built-in providers led elsewhere, e.g. `{"anthropic": origin}`.
        auth: content of auth.json; none is written when None.
        settings: content of settings.json; none is written when None.
    """
    home, path = root / "home", root / "agent"
    home.mkdir(parents=True)
    path.mkdir(mode=0o700)
    providers = _providers(origin, key, tuple(more_models))
    elsewhere = {name: {"baseUrl": url} for name, url in (base_urls or {}).items()}
    _write(path / "models.json", {"providers": {**providers, **elsewhere}})
    if auth is not None:
        _write(path / "auth.json", auth)
    if settings is not None:
        _write(path / "settings.json", settings)
    names = tuple(f"{name}/{model['id']}" for name, found in providers.items() for model in found["models"])
    environment = {
        "HOME": str(home),
        "PI_CODING_AGENT_DIR": str(path),
        "PI_OFFLINE": "1",
        "PI_TELEMETRY": "0",
        "STUB_KEY": STUB_KEY,
    }
    return AgentDir(path, environment, names)


def _providers(origin: str, key: str, more: tuple[str, ...]) -> dict[str, Any]:
    extra = [_model(name, sees=True) for name in more]
    chat = [
        _model("text"),
        _model("vision", sees=True),
        _model("thinker", sees=True, reasoning=True, output=128_000),
        _model("compatible", compat=SIMPLE_SERVER),
        _model("deepseek", reasoning=True, compat=DEEPSEEK),
        _model("openrouter", sees=True, reasoning=True, compat=OPENROUTER),
        _model("moonshot", reasoning=True, compat=DEEPSEEK),
        _model("ordered", compat=ORDERED),
        _model("small", context=2_000, output=500),
    ]
    responses = [
        _model("text"),
        _model("vision", sees=True),
        _model("thinker", sees=True, reasoning=True, output=128_000),
        _model("small", context=2_000, output=500),
    ]
    messages = [
        _model("text"),
        _model("vision", sees=True),
        _model("thinker", sees=True, reasoning=True),
        _model("adaptive", sees=True, reasoning=True, compat=ADAPTIVE),
        _model("compatible", sees=True, compat={"allowEmptySignature": True}),
        _model("small", context=2_000, output=500),
    ]
    return {
        "stub-chat": _provider("openai-completions", f"{origin}/v1", key, [*chat, *extra]),
        "stub-responses": _provider("openai-responses", f"{origin}/v1", key, [*responses, *extra]),
        "stub-messages": _provider("anthropic-messages", origin, key, [*messages, *extra]),
    }


def _provider(api: str, base_url: str, key: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    return {"api": api, "baseUrl": base_url, "apiKey": key, "models": models}


def _model(
    model_id: str,
    *,
    sees: bool = False,
    reasoning: bool = False,
    context: int = CONTEXT,
    output: int = 64_000,
    compat: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    model = {
        "id": model_id,
        "name": f"Stub {model_id}",
        "reasoning": reasoning,
        "input": list(SEES) if sees else ["text"],
        "contextWindow": context,
        "maxTokens": output,
        "cost": COST,
    }
    return {**model, "compat": dict(compat)} if compat else model


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    os.chmod(path, PRIVATE)
