"""Model servers of this machine: found, listed while they answer, never in anybody's way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

import pi_model_proxy.sources.local.source as source_module
from pi_model_proxy.catalog import Model
from pi_model_proxy.credentials import ApiKeyCredential
from pi_model_proxy.errors import CredentialError, UpstreamUnreachable
from pi_model_proxy.sources import LocalServers, LocalSettings, Offer, Snapshot

OLLAMA = "http://127.0.0.1:11434"
STUDIO = "http://127.0.0.1:1234"
LLAMA = "http://127.0.0.1:8080"
VLLM = "http://127.0.0.1:8000"
NOTHING = Snapshot(revision=1)

TAGS = {"models": [{"name": "qwen3:8b", "size": 1}, {"name": "nomic-embed-text:latest"}, {"name": "old:1b"}]}
SHOWN: Mapping[str, Any] = {
    "qwen3:8b": {"capabilities": ["completion", "tools", "thinking", "vision"], "model_info": {"qwen3.context_length": 40960}},
    "nomic-embed-text:latest": {"capabilities": ["embedding"]},
    "old:1b": {},
}  # fmt: skip
ROUTER = {
    "data": [
        {"id": "loaded", "status": {"value": "loaded"}, "meta": {"n_ctx": 8192, "n_ctx_train": 99}},
        {"id": "asleep", "status": {"value": "sleeping", "args": ["-m", "x", "-c", "4096"]}},
        {"id": "preset", "status": {"value": "unloaded"}, "source": "preset", "meta": {"n_ctx_train": 512}},
        {"id": "cached", "status": {"value": "unloaded"}, "source": "cache"},
        {"id": "broken", "status": {"value": "unloaded", "failed": True}, "source": "preset"},
        {"id": "judge", "status": {"value": "loaded"}, "architecture": {"output_modalities": ["decisions"]}},
        {
            "id": "sees",
            "status": {"value": "loaded"},
            "architecture": {"input_modalities": ["text", "image"]},
        },
    ]
}


class Machine:
    """Answers by URL (and body, where there is one); whatever is not named refuses the connection."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.patience_s: list[float] = []
        self.pi = NOTHING
        self.stored: ApiKeyCredential | None = None
        self.environment: dict[str, str] = {}
        self.discovers = True
        self.source = self.new()

    def new(self, **changes: Any) -> LocalServers:
        settings = LocalSettings(environment=self.environment, discovers=lambda: self.discovers)
        return LocalServers(
            msgspec.structs.replace(settings, **changes),
            post=self.post,
            pi=lambda: self.pi,
            stored=lambda provider: self.stored,
        )

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        self.asked.append(url)
        self.headers.append(headers)
        self.patience_s.append(timeout_s)
        answer = self.answers.get(url)
        if answer is None:
            raise UpstreamUnreachable("refused")
        if callable(answer):
            answer = answer(json.loads(body))
        if isinstance(answer, bytes):
            return 200, answer
        return 200, json.dumps(answer).encode()

    def look(self) -> dict[str, Model]:
        asyncio.run(self.source.look())
        return {offer.model.ref: offer.model for offer in self.source.snapshot.offers}


def ollama() -> dict[str, Any]:
    return {f"{OLLAMA}/api/tags": TAGS, f"{OLLAMA}/api/show": lambda body: SHOWN[body["model"]]}


def test_ollamas_models_are_listed_with_what_they_can_do() -> None:
    machine = Machine(ollama())
    models = machine.look()
    assert list(models) == ["ollama/qwen3:8b", "ollama/old:1b"]
    able, plain = models.values()
    assert (able.api, able.base_url) == ("openai-completions", f"{OLLAMA}/v1")
    assert (able.context_window, able.input, able.reasoning) == (40960, ("text", "image"), True)
    assert able.thinking_level_map["off"] == "none"
    assert able.compat["supportsReasoningEffort"]
    assert (plain.context_window, plain.input, plain.reasoning) == (128_000, ("text",), False)
    (report,) = machine.source.snapshot.providers
    assert (report.chosen, report.account, report.models) == (f"found at {OLLAMA}", "none", 2)


def test_a_server_is_asked_briefly_at_first_and_for_details_once() -> None:
    machine = Machine(ollama())
    machine.look()
    assert (
        max(p for url, p in zip(machine.asked, machine.patience_s, strict=True) if "show" not in url) <= 0.3
    )
    before = machine.source.snapshot
    machine.asked.clear()
    machine.look()
    assert not [url for url in machine.asked if url.endswith("show")]
    assert machine.source.snapshot is before, "nothing changed, so nobody derives anything anew"


def test_a_server_that_stops_is_listed_no_more() -> None:
    machine = Machine(ollama())
    model = next(iter(machine.look().values()))
    machine.answers.clear()
    assert machine.look() == {}
    with pytest.raises(CredentialError, match="no longer answers"):
        asyncio.run(machine.source.lease(model))


def test_lm_studio_tells_chat_models_from_others() -> None:
    data = [
        {
            "id": "openai/gpt-oss-20b",
            "type": "llm",
            "max_context_length": 131072,
            "loaded_context_length": 4096,
        },
        {"id": "qwen-vl", "type": "vlm", "max_context_length": 32768},
        {"id": "nomic", "type": "embeddings"},
    ]
    models = Machine({f"{STUDIO}/api/v0/models": {"data": data}}).look()
    assert {ref: (model.context_window, model.input) for ref, model in models.items()} == {
        "lmstudio/openai/gpt-oss-20b": (4096, ("text",)),
        "lmstudio/qwen-vl": (32768, ("text", "image")),
    }


def test_vllm_says_that_it_is_vllm() -> None:
    card = {"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "max_model_len": 32768}
    models = Machine({f"{VLLM}/v1/models": {"data": [card]}}).look()
    assert models["vllm/Qwen/Qwen3-8B"].context_window == 32768
    somebody = {"data": [{**card, "owned_by": "acme"}]}
    assert Machine({f"{VLLM}/v1/models": somebody}).look() == {}


def test_llamas_router_lists_what_it_would_answer_for() -> None:
    def props(url: str) -> Any:
        return {"chat_template": "{% if enable_thinking %}"} if "loaded" in url else {}

    answers: dict[str, Any] = {f"{LLAMA}/models": ROUTER, f"{LLAMA}/props": {"models_autoload": True}}
    for name in ("loaded", "sees"):
        url = f"{LLAMA}/props?model={name}&autoload=false"
        answers[url] = props(url)
    machine = Machine(answers)
    models = machine.look()
    assert {model.id: model.context_window for model in models.values()} == {
        "loaded": 8192,
        "asleep": 4096,
        "preset": 512,
        "sees": 128_000,
    }
    assert models["llama.cpp/loaded"].compat["thinkingFormat"] == "qwen-chat-template"
    assert models["llama.cpp/sees"].input == ("text", "image")
    assert not [url for url in machine.asked if "asleep" in url], "a question would wake it"
    machine.answers[f"{LLAMA}/props"] = {"models_autoload": False}
    assert "llama.cpp/preset" not in machine.look()


def test_a_llama_server_with_one_model_counts_too() -> None:
    one = {"data": [{"id": "gemma", "owned_by": "llamacpp", "meta": {"n_ctx_train": 2048}}]}
    assert Machine({f"{LLAMA}/models": one}).look()["llama.cpp/gemma"].context_window == 2048


def test_pis_variables_for_llama_count_even_where_nothing_is_looked_for() -> None:
    there = "http://gpu.example:9931"
    one = {"data": [{"id": "gemma", "owned_by": "llamacpp"}]}
    machine = Machine({f"{there}/models": one})
    machine.discovers = False
    assert machine.look() == {}
    assert machine.asked == []
    machine.environment |= {"LLAMA_BASE_URL": f"{there}/v1/", "LLAMA_API_KEY": "k"}
    model = machine.look()["llama.cpp/gemma"]
    assert model.base_url == f"{there}/v1"
    lease = asyncio.run(machine.source.lease(model))
    assert lease.headers["authorization"] == machine.headers[-1]["authorization"] == "Bearer k"
    assert machine.source.secrets() == ("k",)
    machine.stored = ApiKeyCredential(key="$MINE", env={"MINE": "own", "LLAMA_BASE_URL": there})
    machine.look()
    assert machine.headers[-1]["authorization"] == "Bearer own"
    assert machine.source.snapshot.providers[0].chosen == "auth.json (LLAMA_BASE_URL)"


def offered(provider: str, base_url: str) -> Snapshot:
    model = Model(provider=provider, id="m", api="openai-completions", base_url=base_url)
    return Snapshot(offers=(Offer(model=model, usable=False),), revision=2)


@pytest.mark.parametrize(
    "pi",
    [offered("ollama", "https://elsewhere.example/v1"), offered("mine", "http://localhost:11434/v1")],
    ids=["the name is taken", "the address is taken"],
)
def test_what_models_json_says_is_never_shadowed(pi: Snapshot) -> None:
    machine = Machine(ollama())
    machine.pi = pi
    assert machine.look() == {}
    assert not [url for url in machine.asked if url.startswith(OLLAMA)]


def test_the_gateways_own_port_is_not_asked() -> None:
    machine = Machine(ollama())
    machine.source = machine.new(own_port=11434)
    assert machine.look() == {}


def test_a_proxy_is_not_asked_for_what_is_on_this_machine() -> None:
    machine = Machine(ollama())
    machine.environment["http_proxy"] = "http://proxy.example:3128"
    machine.source = machine.new()
    assert machine.look() == {}
    assert machine.asked == []
    machine.environment["no_proxy"] = "127.0.0.1"
    machine.source = machine.new()
    assert machine.look()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"models": 5}',
        b'{"models": [{"name": 5}]}',
        b'{"data": null}',
        b"[" * 5000,
        b"\xff",
    ],
    ids=repr,
)
def test_what_is_no_such_server_is_passed_over(answer: bytes) -> None:
    urls = (f"{OLLAMA}/api/tags", f"{STUDIO}/api/v0/models", f"{LLAMA}/models", f"{VLLM}/v1/models")
    assert Machine(dict.fromkeys(urls, answer)).look() == {}


def test_a_list_is_bounded_and_its_names_are_sensible() -> None:
    cards = [{"id": name, "owned_by": "vllm"} for name in ("", "a\nb", " x", "y" * 300)]
    cards += [{"id": f"m{number}", "owned_by": "vllm"} for number in range(1000)]
    models = Machine({f"{VLLM}/v1/models": {"data": cards}}).look()
    assert len(models) == 256 - 4


def test_nobody_waits_for_the_first_look() -> None:
    machine = Machine(ollama())
    assert machine.source.snapshot.loaded
    machine.pi = Snapshot(loaded=False)

    async def story() -> None:
        source = machine.new(look_s=0.01)
        await source.start()
        await asyncio.sleep(0)
        assert machine.asked == [], "pi's files are not read yet"
        machine.pi = NOTHING
        async with asyncio.timeout(20):
            while not source.snapshot.offers:
                await asyncio.sleep(0.01)
        await source.close()

    asyncio.run(story())


def test_what_a_hostile_server_tells_of_its_models_is_bounded_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "MAX_DETAILS_BYTES", 50_000)
    tags = {"models": [{"name": f"m{number}"} for number in range(20)]}
    shown = b'{"capabilities":["completion"],"x":"' + b"x" * 9_000 + b'"}'
    machine = Machine({f"{OLLAMA}/api/tags": tags, f"{OLLAMA}/api/show": shown})
    assert len(machine.look()) == 20
    held = machine.source._details.values()
    assert 0 < sum(map(len, held)) <= 50_000


@pytest.mark.parametrize("length", [-1, 10**30, 0, True])
def test_a_context_that_no_model_has_is_not_believed(length: int) -> None:
    shown = {"capabilities": ["completion"], "model_info": {"a.context_length": length}}
    machine = Machine({f"{OLLAMA}/api/tags": {"models": [{"name": "a"}]}, f"{OLLAMA}/api/show": shown})
    (model,) = machine.look().values()
    assert 0 < model.context_window <= 128_000
