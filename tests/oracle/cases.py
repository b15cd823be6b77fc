"""Which models stand for the providers, and the agent directories that lead them all to one loopback port.

Nothing of pi's is changed but `baseUrl` (models.json; Azure's and Vertex's by their own settings). The real host
stays part of the address, as a path segment, so that both sides still tell a provider by its address:
`http://127.0.0.1:PORT/<case>//api.openai.com/v1`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from pi_model_proxy.catalog import Model, builtin_models

__all__ = ["CASES", "Case", "batches", "write_agent_dir"]

FAR: Final = 4_102_444_800_000
"""When the fake logins expire: the year 2100."""


class Case(msgspec.Struct, frozen=True):
    """One model of one provider, with the credential it is asked with."""

    name: str
    provider: str
    model: str
    auth: dict[str, Any]
    """Its entry of auth.json."""
    in_loop: bool = False
    """Whether the conversation ends with a tool's result rather than with a question."""
    thinks: bool = False
    """Whether the model's own thinking, with its token, is part of the conversation."""

    def catalogued(self) -> Model:
        return next(model for model in builtin_models(self.provider) if model.id == self.model)


def _jwt() -> str:
    claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "acct-oracle"}, "exp": FAR // 1000}
    parts = ({"alg": "none"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2ln"])


def _key(**env: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "api_key", "key": "sk-oracle-key"}
    return {**entry, "env": env} if env else entry


def _login(access: str = "oracle-access", **extras: str) -> dict[str, Any]:
    return {"type": "oauth", "access": access, "refresh": "oracle-refresh", "expires": FAR, **extras}


_CLOUDFLARE: Final = _key(CLOUDFLARE_ACCOUNT_ID="acct", CLOUDFLARE_GATEWAY_ID="gate")
_CODEX: Final = _login(_jwt(), accountId="acct-oracle")

_MODELS: Final[tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...]] = (
    (
        "amazon-bedrock",
        ("anthropic.claude-fable-5", "amazon.nova-2-lite-v1:0"),
        _key(),
    ),
    ("ant-ling", ("Ring-2.6-1T",), _key()),
    (
        "anthropic",
        ("claude-haiku-4-5", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-haiku-5-5"),
        _key(),
    ),
    ("azure", ("gpt-5", "deepseek-v4-pro"), _key()),
    ("baseten", ("moonshotai/Kimi-K3.1-Pro", "zai-org/GLM-5.2"), _key()),
    ("cerebras", ("qwen-3.8-27b",), _key()),
    (
        "cloudflare-ai-gateway",
        ("claude-haiku-4-5", "gpt-5", "workers-ai/@cf/google/gemma-4-26b-a4b-it"),
        _CLOUDFLARE,
    ),
    ("cloudflare-workers-ai", ("@cf/deepseek-ai/deepseek-v4.1-flash-1017",), _CLOUDFLARE),
    ("deepseek", ("deepseek-flash", "deepseek-v4-pro"), _key()),
    (
        "fireworks",
        ("accounts/fireworks/models/deepseek-v4p1-flash", "accounts/fireworks/models/kimi-k3"),
        _key(),
    ),
    (
        "github-copilot",
        ("claude-sonnet-4.6", "claude-haiku-4.5", "gpt-5.6-luna", "grok-4.5", "kimi-k3"),
        _key(),
    ),
    ("google", ("gemini-2.5-pro", "gemini-3-flash-preview"), _key()),
    ("google-vertex", ("gemini-2.5-flash",), _key()),
    ("groq", ("qwen/qwen3.6-27b",), _key()),
    ("huggingface", ("deepseek-ai/DeepSeek-V4-Flash-Vision-Exp",), _key()),
    ("kimi-coding", ("k3", "kimi-for-coding-highspeed"), _login()),
    ("meta", ("muse-ember-1.0",), _login()),
    ("minimax", ("MiniMax-M3", "MiniMax-M3.1-Flash"), _key()),
    ("mistral", ("labs-leanstral-1-5-1",), _key()),
    ("moonshotai", ("kimi-k3", "kimi-k2.6"), _key()),
    ("nvidia", ("deepseek-ai/deepseek-v4.1-flash",), _key()),
    ("openai", ("gpt-5", "gpt-5.4", "gpt-5.6-luna", "gpt-6-astra"), _key()),
    ("openai-codex", ("gpt-5.6-luna",), _CODEX),
    ("opencode", ("claude-haiku-4-5", "gpt-5.4", "gemini-3-flash", "kimi-k2.6"), _key()),
    ("opencode-go", ("glm-5.3-flash",), _key()),
    (
        "openrouter",
        ("anthropic/claude-haiku-4.5", "openai/gpt-5", "deepseek/deepseek-v4-flash-vision-exp"),
        _key(),
    ),
    ("qwen-token-plan", ("kimi-k2.5", "deepseek-v4.1-flash"), _key()),
    ("radius", ("balanced",), _key()),
    ("together", ("deepseek-ai/DeepSeek-V4.1-Flash", "openai/gpt-oss-120b"), _key()),
    ("vercel-ai-gateway", ("anthropic/claude-haiku-5.5", "alibaba/qwen3.5-flash"), _key()),
    ("xai", ("grok-4.3",), _key()),
    ("xiaomi", ("mimo-v2.6-flash",), _key()),
    ("zai", ("glm-4.7", "glm-5.3-flash"), _key()),
)
_LOGINS: Final = (
    ("anthropic-login", "anthropic", "claude-sonnet-4-5", _login("sk-ant-oat01-oracle")),
    ("openai-login", "openai", "gpt-5.4", _login(_jwt(), clientId="oracle-client")),
)

_LOOPS: Final = frozenset({
    "anthropic.claude-opus-4-6", "azure.gpt-5", "deepseek.deepseek-flash", "github-copilot.claude-sonnet-4.6",
    "github-copilot.kimi-k3", "google.gemini-2.5-pro", "google.gemini-3-flash-preview",
    "mistral.labs-leanstral-1-5-1", "openai.gpt-5", "radius.balanced", "xiaomi.mimo-v2.6-flash",
})  # fmt: skip
"""Asked in the middle of a tool loop too."""

_THINKERS: Final = frozenset({
    "anthropic.claude-haiku-4-5", "anthropic.claude-opus-4-6", "azure.gpt-5", "deepseek.deepseek-flash",
    "moonshotai.kimi-k3", "openai.gpt-5", "openai-codex.gpt-5.6-luna", "openrouter.claude-haiku-4.5",
})  # fmt: skip
"""Asked in the middle of a tool loop that the model began with a thought."""


def _cases() -> Iterator[Case]:
    for provider, models, auth in _MODELS:
        for model in models:
            name = f"{provider}.{re.sub(r'[^A-Za-z0-9.]+', '-', model.rpartition('/')[2])}"
            yield Case(name, provider, model, auth)
            if name in _LOOPS:
                yield Case(f"{name}.loop", provider, model, auth, in_loop=True)
            if name in _THINKERS:
                yield Case(f"{name}.thought", provider, model, auth, in_loop=True, thinks=True)
    for name, provider, model, auth in _LOGINS:
        yield Case(name, provider, model, auth)


CASES: Final = tuple(_cases())


def batches(cases: Sequence[Case] = CASES) -> list[list[Case]]:
    """Return the cases in groups that hold each provider once: models.json has one `baseUrl` a provider."""
    groups: list[list[Case]] = []
    for case in cases:
        for group in groups:
            if all(case.provider != other.provider for other in group):
                group.append(case)
                break
        else:
            groups.append([case])
    return groups


def write_agent_dir(folder: Path, cases: Sequence[Case], origin: str) -> None:
    """Write pi's files so that every case's requests go to `origin`, below a segment with its name."""
    folder.mkdir(parents=True)
    auth: dict[str, Any] = {}
    providers: dict[str, Any] = {}
    for case in cases:
        model = case.catalogued()
        host = model.base_url.partition("://")[2].replace("{location}", "us-central1")
        led = f"{origin}/{case.name}//{host}"
        auth[case.provider] = case.auth
        if case.provider == "azure":
            auth["azure"] = {**case.auth, "env": {"AZURE_OPENAI_BASE_URL": f"{origin}/{case.name}/openai/v1"}}
        else:
            providers[case.provider] = {"baseUrl": led.rstrip("/")}
    settings = {"transport": "sse", "retry": {"enabled": False}}
    for name, content in (("auth", auth), ("models", {"providers": providers}), ("settings", settings)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content))
        path.chmod(0o600)
