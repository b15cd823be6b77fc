"""Writes compose.json: what pi offers for generated models.json and models-store.json files.

    python make_compose_golden.py NODE UNPACKED-PI-CODING-AGENT-PACKAGE COUNT > compose.json

Each case is a pair of files, made from a seed, and the full records that a running pi (`--mode rpc`,
`get_available_models`) gives for every provider named in them; all providers have a credential. A record that pi
gives without any files too is written as its id alone.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pi_model_proxy.catalog import builtin_models, builtin_provider_ids, catalog_index

OWN = ("acme", "acme/eu", "azure-openai-responses", "llm.local")
OFTEN = ("openrouter", "radius", "anthropic", "openai", "deepseek", "github-copilot")
FAR = 9007199254740991


class Dice:
    """Makes pieces of files, seeded."""

    def __init__(self, seed: int) -> None:
        self.roll = random.Random(seed)

    def sometimes(
        self, target: dict[str, Any], name: str, make: Callable[[], Any], chance: float = 0.4
    ) -> None:
        if self.roll.random() < chance:
            target[name] = make()

    def cost(self) -> dict[str, Any]:
        rates = {"input": self.roll.choice([1, 2.5]), "output": 3, "cacheRead": 0, "cacheWrite": 0.5}
        tier = {"inputTokensAbove": 1000, "input": 1, "output": 1, "cacheRead": 1, "cacheWrite": 1}
        return {**rates, "tiers": [tier]} if self.roll.random() < 0.4 else rates

    def compat(self) -> dict[str, Any]:
        return self.roll.choice([
            {"supportsStore": False}, {"openRouterRouting": {"only": ["a"]}, "unheardOf": 1}, {},
            {"chatTemplateKwargs": {"a": 1}}, {"chatTemplateArgs": {"b": True}, "supportsStore": True},
        ])  # fmt: skip

    def levels(self) -> dict[str, Any]:
        names = self.roll.sample(["off", "minimal", "low", "high", "xhigh", "max"], 2)
        return {name: self.roll.choice([None, name, "x"]) for name in names}

    def limits(self) -> dict[str, Any]:
        return self.roll.choice([
            {"maxRequestBytes": 5}, {"images": {"maxPerRequest": 3}}, {"images": {"resize": {"maxWidth": 9}}}, {},
        ])  # fmt: skip

    def settings(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        pick = self.roll.choice
        self.sometimes(made, "name", lambda: "N", 0.3)
        self.sometimes(made, "reasoning", lambda: pick([True, False]))
        self.sometimes(made, "thinkingLevelMap", self.levels)
        self.sometimes(made, "input", lambda: pick([["text"], ["text", "image"], []]))
        self.sometimes(made, "inputLimits", self.limits)
        self.sometimes(made, "promptCache", lambda: {"short": pick([5, 9])}, 0.3)
        self.sometimes(made, "contextWindow", lambda: pick([1000, 2000]))
        self.sometimes(made, "maxTokens", lambda: pick([10, 20]))
        self.sometimes(made, "samplingParams", lambda: pick([{"top_p": 0.5}, {"a": {"b": 1}}, {}]), 0.3)
        self.sometimes(
            made,
            "samplingParamsByThinkingLevel",
            lambda: {pick(["off", "low"]): pick([{"t": 1}, {"u": 2}])},
            0.3,
        )
        self.sometimes(made, "headers", lambda: {"x-a": "1"}, 0.3)
        self.sometimes(made, "compat", self.compat)
        return made

    def model(self, ids: list[str]) -> dict[str, Any]:
        made = {"id": self.roll.choice([*ids, "new1", "new2"]), **self.settings()}
        self.sometimes(made, "cost", self.cost)
        self.sometimes(
            made, "api", lambda: self.roll.choice(["openai-completions", "anthropic-messages"]), 0.3
        )
        self.sometimes(made, "baseUrl", lambda: "http://m", 0.2)
        return made

    def override(self) -> dict[str, Any]:
        made = self.settings()
        self.sometimes(
            made,
            "cost",
            lambda: {name: rate for name, rate in self.cost().items() if self.roll.random() < 0.5},
        )
        return made

    def provider(self, ids: list[str]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        pick = self.roll.choice
        self.sometimes(
            made, "baseUrl", lambda: pick(["http://x/v1", "https://radius.pi.dev/v1", "radius.pi.dev"]), 0.6
        )
        self.sometimes(
            made, "api", lambda: pick(["openai-completions", "anthropic-messages", "openai-responses"]), 0.5
        )
        self.sometimes(made, "apiKey", lambda: "literal")
        self.sometimes(made, "oauth", lambda: "radius", 0.12)
        self.sometimes(made, "headers", lambda: pick([{}, {"h": "v"}]), 0.2)
        self.sometimes(made, "compat", self.compat)
        self.sometimes(made, "authHeader", lambda: pick([True, False]), 0.2)
        self.sometimes(made, "models", lambda: [self.model(ids) for _ in range(self.roll.randint(0, 3))], 0.6)
        self.sometimes(
            made, "modelOverrides", lambda: {pick([*ids, "new1"]): self.override() for _ in range(2)}, 0.5
        )
        return made

    def stored(self, provider: str, ids: list[str], *, types: tuple[str, ...]) -> dict[str, Any]:
        records = []
        for _ in range(self.roll.randint(0, 4)):
            record = {
                "id": self.roll.choice([*ids, "s1", "s2"]), "name": "S", "api": "openai-completions",
                "provider": self.roll.choice([provider, provider, provider, "other"]), "baseUrl": "http://s",
                "reasoning": True, "input": ["text"], "contextWindow": 77, "maxTokens": 7,
                "cost": {"input": 7, "output": 8, "cacheRead": 0, "cacheWrite": 0},
            }  # fmt: skip
            self.sometimes(record, "type", lambda: self.roll.choice(types), 0.6)
            records.append(record)
        entry: dict[str, Any] = {"models": records, "checkedAt": 1}
        shipped = catalog_index().generated_at_ms
        self.sometimes(
            entry, "lastModified", lambda: self.roll.choice([0, shipped - 1, shipped, shipped + 1]), 0.85
        )
        return entry

    def files(self) -> tuple[dict[str, Any], dict[str, Any]]:
        shipped = builtin_provider_ids()
        few = [name for name in shipped if len(builtin_models(name)) <= 7]
        providers = {}
        for name in self.roll.sample(
            [*few, *OWN * 4, "anthropic", "deepseek", "github-copilot"], self.roll.randint(1, 4)
        ):
            entry = self.provider(_some_ids(name))
            if "oauth" in entry or name == "typesafe":
                # pi judges such an entry before it has read its stored models, and borrows nothing from them.
                entry |= {"api": "openai-completions", "baseUrl": entry.get("baseUrl", "http://x/v1")}
            # An old id is read as the current one by us alone, unless it defines models: see test_compose.
            if name != "azure-openai-responses" or entry.get("models"):
                providers[name] = entry
        store = {}
        for name in self.roll.sample([*few, *OWN, *OFTEN[:4] * 3], self.roll.randint(0, 3)):
            # pi lists other types as Radius chat models; we do not.
            is_radius = name == "radius" or providers.get(name, {}).get("oauth")
            types = ("chat", "future") if is_radius else ("chat", "image", "classifier", "future")
            store[name] = self.stored(name, _some_ids(name), types=types)
        return {"providers": providers}, store


def _some_ids(provider: str) -> list[str]:
    return [model.id for model in builtin_models(provider)][:5] or ["m1"]


def credentials() -> dict[str, Any]:
    env = {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_GATEWAY_ID": "g"}
    entries: dict[str, Any] = {
        provider: {"type": "api_key", "key": "k", "env": env} for provider in (*builtin_provider_ids(), *OWN)
    }
    login = {"type": "oauth", "access": "a", "refresh": "r", "expires": FAR, "accountId": "x"}
    return entries | {"openai-codex": login}


def ask_pi(
    models: dict[str, Any], store: dict[str, Any], *, node: str, package: Path
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        agent = Path(scratch) / "agent"
        agent.mkdir()
        for name, content in (("models", models), ("models-store", store), ("auth", credentials())):
            (agent / f"{name}.json").write_text(json.dumps(content))
        environment = {
            "HOME": scratch, "PATH": os.environ["PATH"], "PI_CODING_AGENT_DIR": str(agent), "PI_OFFLINE": "1",
            "PI_TELEMETRY": "0",
        }  # fmt: skip
        command = [node, str(package / "dist/bundle/cli.js"), "--mode", "rpc", "--no-session"]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=scratch
        ) as pi:
            assert pi.stdin is not None
            assert pi.stdout is not None
            pi.stdin.write('{"id":"1","type":"get_available_models"}\n')
            pi.stdin.flush()
            answer = next(line for line in pi.stdout if '"id":"1"' in line)
            pi.stdin.close()
    models_of_pi: list[dict[str, Any]] = json.loads(answer)["data"]["models"]
    return models_of_pi


def main(node: str, package: str, count: str) -> None:
    cases = []
    plain = ask_pi({"providers": {}}, {}, node=node, package=Path(package))
    for seed in range(int(count)):
        models, store = Dice(seed).files()
        named = {*models["providers"], *store}
        offered = [
            [model["provider"], model["id"]] if model in plain else model
            for model in ask_pi(models, store, node=node, package=Path(package))
            if model["provider"] in named
        ]
        cases.append({"seed": seed, "models": models, "store": store, "offered": offered})
    sys.stdout.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
