"""The installed command between tests and a strict scripted provider."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gateway_process import GatewayProcess, running_gateway
from support.strict_provider import StrictProvider

COST = {"input": 1.0, "output": 2.0, "cacheRead": 0.1, "cacheWrite": 1.25}
KEY = "sk-provider-secret-1234567890"


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let SDKs forget to close sockets: the gateway is another process here, so none of them can be ours."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(autouse=True, scope="module")
def _sdk_leftovers() -> Iterator[None]:
    """Let what an SDK left open be found here, not in a test that cannot help it."""
    yield
    gc.collect()


def write_agent_dir(folder: Path, provider: StrictProvider) -> Path:
    """Write pi's files so that the provider's three dialects are three providers."""
    folder.mkdir(parents=True, exist_ok=True)
    common = {
        "apiKey": KEY,
        "models": [{"id": name, "input": ["text", "image"], "cost": COST} for name in ("vision", "text")],
    }
    providers = {
        "stub-chat": {"baseUrl": provider.base_url, "api": "openai-completions", **common},
        "stub-responses": {"baseUrl": provider.base_url, "api": "openai-responses", **common},
        "stub-messages": {"baseUrl": provider.origin, "api": "anthropic-messages", **common},
        "stub-unserved": {"baseUrl": provider.base_url, "api": "acme-wire", **common},
        "stub-nokey": {"baseUrl": provider.base_url, "api": "openai-completions", "models": common["models"]},
    }
    (folder / "models.json").write_text(json.dumps({"providers": providers}, indent=2))
    return folder


@pytest.fixture(scope="session")
def provider() -> Iterator[StrictProvider]:
    with StrictProvider.running() as running:
        yield running


@pytest.fixture(scope="session")
def gateway(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One server for all tests that only ask."""
    home = tmp_path_factory.mktemp("home")
    agent_dir = write_agent_dir(home / "agent", provider)
    config = {"aliases": {"fast": "stub-chat/text", "deep": "stub-messages/vision"}, "requestTimeoutMs": 5000}
    with running_gateway(home, agent_dir=agent_dir, config=config) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh_diary(request: pytest.FixtureRequest) -> None:
    if "provider" in request.fixturenames:
        running = request.getfixturevalue("provider")
        running.diary.clear()
        running.drop_turns()
