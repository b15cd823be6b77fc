"""Seeded agent directories: random but repeatable mixtures of everything that decides which models can be used."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pi_model_proxy.providers import PROVIDERS

__all__ = ["write_agent_dir"]

LATER_MS = 4_000_000_000_000
OAUTH = ("anthropic", "openai", "openai-codex", "github-copilot", "xai", "kimi-coding", "meta", "openrouter")
PLAIN = tuple(row.id for row in PROVIDERS.values() if len(row.key_variables) == 1 and not row.ambient)
KINDS = ("openai-completions", "openai-responses", "anthropic-messages", "google-generative-ai")


def write_agent_dir(folder: Path, seed: int) -> dict[str, str]:
    """Fill `folder` with pi's files and return the environment that goes with them."""
    dice = random.Random(seed)
    folder.mkdir(parents=True)
    clouds = random.Random(f"clouds {seed}")
    environment = _environment(dice) | _cloud_environment(clouds, folder)
    _write(folder / "auth.json", dice, _auth(dice) | _cloud_auth(clouds, folder))
    _write(folder / "models.json", dice, _models(dice), by_hand=True)
    _write(folder / "models-store.json", dice, _store(dice), odds=0.4)
    _write(folder / "settings.json", dice, {"enabledModels": ["claude*"]}, odds=0.3)
    return environment


def _environment(dice: random.Random) -> dict[str, str]:
    values = ("sk-from-environment", "sk-from-environment", " ", "", "  x ")
    names = {name for row in PROVIDERS.values() for name in row.key_variables}
    environment = {name: dice.choice(values) for name in sorted(names) if dice.random() < 0.15}
    for name in ("CLOUDFLARE_API_KEY", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_GATEWAY_ID"):
        if dice.random() < 0.6:
            environment[name] = dice.choice(values)
    for name in ("ONE", "TWO", "BLANK", "VOID"):
        if dice.random() < 0.7:
            environment[name] = {"BLANK": " ", "VOID": ""}.get(name, f"value-of-{name}")
    return environment


def _cloud_environment(dice: random.Random, folder: Path) -> dict[str, str]:
    """Return credentials of clouds, each perhaps, perhaps not whole."""
    values = {
        "AWS_PROFILE": "p",
        "AWS_ACCESS_KEY_ID": "i",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/keys",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "GOOGLE_CLOUD_PROJECT": "p",
        "GCLOUD_PROJECT": "p",
        "GOOGLE_CLOUD_LOCATION": "global",
        "GOOGLE_APPLICATION_CREDENTIALS": dice.choice((str(folder / "models.json"), "/nowhere")),
        "ANTHROPIC_FEDERATION_RULE_ID": "r",
        "ANTHROPIC_ORGANIZATION_ID": "o",
        "ANTHROPIC_IDENTITY_TOKEN_FILE": "/token",
    }
    odds = dice.choice((0.0, 0.1, 0.4, 0.9))
    return {
        name: dice.choice((value, value, value, " "))
        for name, value in values.items()
        if dice.random() < odds
    }


def _cloud_auth(dice: random.Random, folder: Path) -> dict[str, Any]:
    root: dict[str, Any] = {}
    if dice.random() < 0.3:
        root["amazon-bedrock"] = dice.choice(
            (
                {"type": "api_key"},
                {"type": "api_key", "key": "$GONE"},
                {"type": "api_key", "key": "token"},
                {"type": "api_key", "env": {"AWS_PROFILE": dice.choice(("own", ""))}},
                {"type": "api_key", "env": {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}},
            )
        )
    if dice.random() < 0.3:
        place = {"GOOGLE_CLOUD_PROJECT": "own", "GOOGLE_CLOUD_LOCATION": dice.choice(("eu", ""))}
        file = {"GOOGLE_APPLICATION_CREDENTIALS": str(folder / "models.json")}
        root["google-vertex"] = dice.choice(
            (
                {"type": "api_key", "key": "gcp-vertex-credentials"},
                {"type": "api_key", "key": "<your key>"},
                {"type": "api_key", "env": place},
                {"type": "api_key", "env": {**place, **file}},
            )
        )
    return root


def _key(dice: random.Random) -> str:
    return dice.choice((
        "sk-literal", "sk-ant-oat-literal", "GROQ_API_KEY", "$ONE", "${TWO}", "$ONE-$TWO", "$GONE", "$VOID", "$BLANK",
        "$$ONE", "$!x", "!echo key", "!exit 3", "!true", "!printf '%s' \"$ONE\"", "${bad-name}", "$",
    ))  # fmt: skip


def _auth(dice: random.Random) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for provider in dice.sample(PLAIN, 6):
        entry: dict[str, Any] = {"type": "api_key"}
        if dice.random() < 0.85:
            entry["key"] = _key(dice)
        if dice.random() < 0.3:
            entry["env"] = {"ONE": dice.choice(("own", "")), "CLOUDFLARE_ACCOUNT_ID": "own-account"}
        root[provider] = entry
    for provider in dice.sample(OAUTH, 3):
        root[provider] = _login(dice, provider)
    if dice.random() < 0.4:
        root["cloudflare-ai-gateway"] = {
            "type": "api_key",
            "key": _key(dice),
            "env": {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_GATEWAY_ID": dice.choice(("g", ""))},
        }
    if dice.random() < 0.3:
        root["custom-0"] = {"type": "api_key", "key": _key(dice)}
    if dice.random() < 0.2:
        root[dice.choice(PLAIN)] = {"type": "oauth", "access": "a", "refresh": "r", "expires": LATER_MS}
    if dice.random() < 0.2:
        root["google-gemini-cli"] = {
            "type": "oauth",
            "access": "a",
            "refresh": "r",
            "expires": 1,
            "projectId": "p",
        }
    return root


def _login(dice: random.Random, provider: str) -> dict[str, Any]:
    login: dict[str, Any] = {
        "type": "oauth",
        "access": "tid=1;proxy-ep=proxy.business.githubcopilot.com;x",
        "refresh": "r",
        "expires": dice.choice((1, LATER_MS, LATER_MS + 0.5)),
    }
    if provider == "github-copilot" and dice.random() < 0.7:
        login["availableModelIds"] = dice.choice(
            (["gpt-5-mini", "claude-haiku-4.5", "nothing"], [], [1], "gpt")
        )
    return login


def _models(dice: random.Random) -> dict[str, Any]:
    providers: dict[str, Any] = {}
    for number in range(dice.randint(0, 3)):
        providers[f"custom-{number}"] = _custom(dice)
    for provider in dice.sample(PLAIN, 3):
        entry: dict[str, Any] = {}
        if dice.random() < 0.6:
            entry["apiKey"] = _key(dice)
        if dice.random() < 0.4:
            entry["baseUrl"] = "http://127.0.0.1:9/v1"
        if dice.random() < 0.4:
            entry["models"] = [_model(dice, "added")]
        if dice.random() < 0.3:
            entry["authHeader"] = True
        if dice.random() < 0.3:
            entry["modelOverrides"] = {"added": {"name": "Renamed"}}
        providers[provider] = entry or {"compat": {"supportsStore": False}}
    if dice.random() < 0.1:
        providers["custom-0"] = {"models": "not a list"}  # the whole file is refused
    return {"providers": providers}


def _custom(dice: random.Random) -> dict[str, Any]:
    entry: dict[str, Any] = {"baseUrl": "http://127.0.0.1:9/v1"}
    if dice.random() < 0.85:
        entry["api"] = dice.choice(KINDS)
    if dice.random() < 0.7:
        entry["apiKey"] = _key(dice)
    if dice.random() < 0.3:
        entry["headers"] = {"x-extra": "$GONE"}
    entry["models"] = [_model(dice, f"m{number}") for number in range(dice.randint(0, 2))]
    return entry


def _model(dice: random.Random, model_id: str) -> dict[str, Any]:
    model: dict[str, Any] = {"id": f"{model_id}/x:{dice.randint(0, 1)}"}
    if dice.random() < 0.5:
        model["api"] = dice.choice(KINDS)
    if dice.random() < 0.3:
        model["baseUrl"] = "http://127.0.0.1:8/v1"
    return model


def _store(dice: random.Random) -> dict[str, Any]:
    store: dict[str, Any] = {}
    for provider in dice.sample(("groq", "openai", "openrouter", "anthropic"), 2):
        record = {
            "id": f"stored-{provider}", "name": "Stored", "provider": provider, "api": dice.choice(KINDS),
            "baseUrl": "http://127.0.0.1:7/v1", "reasoning": False, "input": ["text"], "contextWindow": 1000,
            "maxTokens": 100, "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        }  # fmt: skip
        foreign = {**record, "id": "foreign", "provider": "elsewhere"}
        picture = {**record, "id": "picture", "type": "image"}
        store[provider] = {"models": dice.choice(([record, foreign, picture], [], [picture])), "checkedAt": 1}
        if dice.random() < 0.7:
            store[provider]["lastModified"] = dice.choice((0, 1, LATER_MS))
    return store


def _write(
    path: Path, dice: random.Random, root: dict[str, Any], *, by_hand: bool = False, odds: float = 0.9
) -> None:
    """Write one file, or not; what people write by hand may have comments and be broken (pi 1.5.2 ends when auth.json is)."""
    if dice.random() > odds:
        return
    text = json.dumps(root, indent=2)
    damages: tuple[tuple[float, Callable[[str], str]], ...] = (
        (0.08 if by_hand else 0.0, lambda good: good[: len(good) // 2]),
        (0.04, lambda _: ""),
        (0.15, lambda good: "\ufeff" + good),
    )
    for chance, damage in damages:
        if dice.random() < chance:
            text = damage(text)
            break
    if by_hand and dice.random() < 0.5:
        text = text.replace("{", '{ // what this is: "{"', 1).replace("\n}", ",\n}") if len(root) else text
    path.write_text(text)
    path.chmod(0o600)
