"""How each coding agent is set up, headless, to use the gateway; the settings are those of docs/clients.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agents.environments import Recipe

__all__ = ["AGENTS", "PLACE", "Agent", "Run", "Site"]

PLACE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
"""What an agent with typed answers is asked to fill in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where one run happens: a fresh home, a fresh project, the gateway and the model to ask for."""

    home: Path
    project: Path
    origin: str
    key: str
    model: str
    thinks: bool = False
    """Whether the agent is to ask the model to think, where that is a setting."""

    @property
    def v1(self) -> str:
        return f"{self.origin}/v1"

    def write(self, name: str, content: object) -> Path:
        """Write a file below the home, text as it stands, anything else as JSON; return its path."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A command line behind the agent's executable, and what to add to its environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


SetUp = Callable[[Site, str], Run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A coding agent: its face is a dialect, its set-up writes its files and returns its command line."""

    name: str
    recipe: Recipe
    program: str
    """Path of its executable in the recipe's environment."""
    package: str
    faces: Mapping[str, SetUp]
    has_shell: bool = True
    typed: SetUp | None = None
    """How it is asked for an answer that follows `PLACE`; over its first face."""


def claude_code(site: Site, prompt: str) -> Run:
    names = ("ANTHROPIC_MODEL", *(f"ANTHROPIC_DEFAULT_{size}_MODEL" for size in ("OPUS", "SONNET", "HAIKU")))
    return Run(
        arguments=("-p", prompt, "--allowedTools", "Bash"),
        environment={
            "ANTHROPIC_BASE_URL": site.origin,
            "ANTHROPIC_AUTH_TOKEN": site.key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **dict.fromkeys(names, site.model),
        },
    )


def claude_code_typed(site: Site, prompt: str) -> Run:
    plain = claude_code(site, prompt)
    more = ("--json-schema", json.dumps(PLACE), "--output-format", "json")
    return Run(arguments=(*plain.arguments, *more), environment=plain.environment)


def codex(site: Site, prompt: str) -> Run:
    effort = (
        'model_reasoning_effort = "high"\nmodel_supports_reasoning_summaries = true\n' if site.thinks else ""
    )
    site.write(
        ".codex/config.toml",
        f'model = "{site.model}"\nmodel_provider = "gateway"\n{effort}\n[model_providers.gateway]\nname = "gateway"\n'
        f'base_url = "{site.v1}"\nenv_key = "GATEWAY_KEY"\nwire_api = "responses"\n',
    )
    # The sandbox of Linux's kernel is not to be had in every container.
    flags = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    return Run(arguments=("exec", *flags, prompt), environment={"GATEWAY_KEY": site.key})


def codex_typed(site: Site, prompt: str) -> Run:
    plain = codex(site, prompt)
    schema = site.write("place.json", PLACE)
    return Run(
        arguments=("exec", "--output-schema", str(schema), *plain.arguments[1:]),
        environment=plain.environment,
    )


def gemini_cli(site: Site, prompt: str) -> Run:
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    site.write(".gemini/settings.json", chosen | {"privacy": {"usageStatisticsEnabled": False}})
    return Run(
        arguments=("-m", site.model, "--yolo", "--skip-trust", "-p", prompt),
        environment={"GOOGLE_GEMINI_BASE_URL": site.origin, "GEMINI_API_KEY": site.key},
    )


def opencode(package: str) -> SetUp:
    """Return the set-up for one of the AI SDK's providers."""

    def set_up(site: Site, prompt: str) -> Run:
        options = {"baseURL": site.v1, "apiKey": site.key}
        provider = {"npm": package, "options": options, "models": {site.model: {"name": "M"}}}
        site.write(".config/opencode/opencode.json", {"provider": {"gateway": provider}})
        return Run(
            arguments=("run", "-m", f"gateway/{site.model}", prompt),
            environment={"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
        )

    return set_up


def qwen_chat(site: Site, prompt: str) -> Run:
    return Run(
        arguments=("--auth-type", "openai", "-m", site.model, "--yolo", "-p", prompt),
        environment={"OPENAI_BASE_URL": site.v1, "OPENAI_API_KEY": site.key},
    )


def qwen_messages(site: Site, prompt: str) -> Run:
    return Run(
        arguments=("--auth-type", "anthropic", "-m", site.model, "--yolo", "-p", prompt),
        environment={"ANTHROPIC_BASE_URL": site.origin, "ANTHROPIC_API_KEY": site.key},
    )


def aider(site: Site, prompt: str) -> Run:
    flags = (
        "--yes-always",
        "--no-git",
        "--no-show-model-warnings",
        "--no-check-update",
        "--analytics-disable",
    )
    return Run(
        arguments=("--model", f"openai/{site.model}", *flags, "--message", prompt),
        environment={"OPENAI_API_BASE": site.v1, "OPENAI_API_KEY": site.key},
    )


def pi(api: str, path: str) -> SetUp:
    """Return the set-up for one of pi's own kinds of provider."""

    def set_up(site: Site, prompt: str) -> Run:
        model = {"id": site.model, "contextWindow": 100_000, "maxTokens": 8_000, "reasoning": site.thinks}
        provider = {"baseUrl": f"{site.origin}{path}", "api": api, "apiKey": site.key, "models": [model]}
        site.write(".pi/agent/models.json", {"providers": {"gateway": provider}})
        thinking = ("--thinking", "high") if site.thinks else ()
        return Run(
            arguments=("--provider", "gateway", "--model", site.model, *thinking, "-p", prompt),
            environment={"PI_OFFLINE": "1", "PI_TELEMETRY": "0"},
        )

    return set_up


AGENTS: Final[tuple[Agent, ...]] = (
    Agent(
        name="Claude Code",
        recipe=Recipe(
            name="claude-code",
            npm=("@anthropic-ai/claude-code",),
            step="@anthropic-ai/claude-code/install.cjs",
        ),
        program="node_modules/.bin/claude",
        package="@anthropic-ai/claude-code",
        faces={"messages": claude_code},
        typed=claude_code_typed,
    ),
    Agent(
        name="Codex CLI",
        recipe=Recipe(name="codex", npm=("@openai/codex",)),
        program="node_modules/.bin/codex",
        package="@openai/codex",
        faces={"responses": codex},
        typed=codex_typed,
    ),
    Agent(
        name="Gemini CLI",
        recipe=Recipe(name="gemini-cli", npm=("@google/gemini-cli",)),
        program="node_modules/.bin/gemini",
        package="@google/gemini-cli",
        faces={"gemini": gemini_cli},
    ),
    Agent(
        name="opencode",
        recipe=Recipe(name="opencode", npm=("opencode-ai",), step="opencode-ai/postinstall.mjs"),
        program="node_modules/.bin/opencode",
        package="opencode-ai",
        faces={
            "chat": opencode("@ai-sdk/openai-compatible"),
            "messages": opencode("@ai-sdk/anthropic"),
            "responses": opencode("@ai-sdk/openai"),
        },
    ),
    Agent(
        name="Qwen Code",
        recipe=Recipe(name="qwen-code", npm=("@qwen-code/qwen-code",)),
        program="node_modules/.bin/qwen",
        package="@qwen-code/qwen-code",
        faces={"chat": qwen_chat, "messages": qwen_messages},
    ),
    Agent(
        name="aider",
        recipe=Recipe(name="aider", pip=("aider-chat",)),
        program="venv/bin/aider",
        package="aider-chat",
        faces={"chat": aider},
        has_shell=False,
    ),
    # Its package asks for dependencies that not every index has; its bundle needs none of them.
    Agent(
        name="pi",
        recipe=Recipe(name="pi", ready="pi/package"),
        program="dist/bundle/cli.js",
        package="@earendil-works/pi-coding-agent",
        faces={
            "chat": pi("openai-completions", "/v1"),
            "responses": pi("openai-responses", "/v1"),
            "messages": pi("anthropic-messages", ""),
            "gemini": pi("google-generative-ai", "/v1beta"),
        },
    ),
)
