"""README's snippets, run as they stand against the installed command and its demo models."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import pytest

from support.gateway_process import GatewayProcess, running_gateway

pytestmark = [
    pytest.mark.clients,
    # The snippets close nothing, as people's first lines do not.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

README: Final = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
ADDRESS: Final = "http://127.0.0.1:9876"
MODEL: Final = re.compile(r'model="([^"]+)"')
# Each asks a model whose upstream speaks another dialect, as README's own names do.
DEMO_MODELS: Final = {
    "anthropic/claude-sonnet-4-5": "demo/messages-text",
    "openai/gpt-5.1": "demo/responses-text",
}

HEARD: Final = f"Your last message has {len('Hello!')} characters"
"""What a scripted model says of the question."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("readme")
    with running_gateway(home, "--demo", agent_dir=home / "agent") as running:
        yield running


def snippet(title: str) -> str:
    """The Python block under a bold title."""
    found = re.search(
        rf"^\*\*{re.escape(title)}\*\*\n+```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"README has no Python snippet under {title}"
    return found[1]


def run(title: str, demo: GatewayProcess) -> tuple[str, dict[str, Any]]:
    """Run a snippet; return what it printed and the names it leaves."""
    code = snippet(title)
    assert ADDRESS in code
    code = MODEL.sub(lambda found: f'model="{DEMO_MODELS[found[1]]}"', code.replace(ADDRESS, demo.origin))
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, f"README.md, {title}", "exec"), names)
    return printed.getvalue(), names


def test_the_openai_snippet_prints_an_answer(demo: GatewayProcess) -> None:
    printed, _ = run("OpenAI SDK", demo)
    assert HEARD in printed


def test_the_anthropic_snippet_prints_an_answer(demo: GatewayProcess) -> None:
    printed, _ = run("Anthropic SDK", demo)
    assert HEARD in printed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_langchain_snippet_makes_a_model_that_answers(demo: GatewayProcess) -> None:
    _, names = run("LangChain", demo)
    assert HEARD in str(names["model"].invoke("Hello!").content)


def test_the_curl_line_gets_an_answer(demo: GatewayProcess) -> None:
    found = re.search(rf"^curl {ADDRESS}(\S+) -H '([^:]+): ([^']+)' \\\n +-d '(.*)'$", README, re.MULTILINE)
    assert found is not None
    path, name, value, body = found.groups()
    answer = demo.post(
        path, body.replace("anthropic/claude-sonnet-4-5", "demo/messages-text").encode(), {name: value}
    )
    assert answer.status == 200
    assert HEARD in answer.json()["choices"][0]["message"]["content"]
