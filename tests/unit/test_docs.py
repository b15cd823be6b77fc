"""The documents say what the code does: links, settings, endpoints, headers, statuses, snippets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from pi_model_proxy import errors
from pi_model_proxy.catalog import builtin_models
from pi_model_proxy.config.settings import SETTINGS
from pi_model_proxy.credentials.auth_write import JOURNAL_SUFFIX
from pi_model_proxy.dialects.anthropic_messages.server import SERVER as MESSAGES
from pi_model_proxy.dialects.error_kinds import KIND_STATUS
from pi_model_proxy.dialects.openai_chat import SERVER as CHAT
from pi_model_proxy.errors import KINDS, GatewayError, UpstreamError
from pi_model_proxy.server.routes import __file__ as routes_file
from pi_model_proxy.server.routes import find_route

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "src" / "pi_model_proxy"
PAGES: Final = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests" / "support").rglob("*.md")]
)
FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE: Final = re.compile(r"`[^`\n]*`")
ENDPOINT_NAME: Final = re.compile(r'^    "(/?[a-z_/]*)": Route\(', re.MULTILINE)
OUR_HEADER: Final = re.compile(r"x-pi-model-proxy-[a-z]+")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def links(path: Path) -> Iterator[str]:
    """The targets of links in prose: what stands in code is an example."""
    yield from LINK.findall(CODE.sub("", FENCE.sub("", path.read_text(encoding="utf-8"))))


def anchors(path: Path) -> set[str]:
    """Headings, as the web sites that show Markdown name them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def first_cells(text: str) -> list[str]:
    """The first cell of every row of every table."""
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), f"{path.name} links to {link}"
        assert not anchor or anchor in anchors(found), f"{path.name} links to {link}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        targets = (link.partition("#")[0] for link in links(path) if not re.match(r"[a-z]+:|#", link))
        ahead += [(path.parent / target).resolve() for target in targets]
    pages = {path for path in PAGES if path.parent in {ROOT, ROOT / "docs"}}
    assert {path.name for path in pages - reached} <= {"benchmarks.md", "real-transcript.md"}


def test_every_setting_has_a_row() -> None:
    cells = "\n".join(first_cells(page("docs/configuration.md")))
    for setting in SETTINGS:
        names = [setting.flag, setting.variable, *([setting.key] if setting.in_file else [])]
        missing = [name for name in names if f"`{name}`" not in cells]
        assert not missing, f"docs/configuration.md has no row for {missing}"


def test_every_endpoint_stands_in_the_table() -> None:
    names = ENDPOINT_NAME.findall(Path(routes_file).read_text(encoding="utf-8"))
    assert {"/health", "chat/completions"} <= set(names)  # else the pattern does not fit the table any more
    rows = "\n".join(first_cells(page("docs/endpoints.md")))
    for name in names:
        path = name if name.startswith("/") else f"/v1/{name}"
        route = find_route(path)
        assert route is not None
        for method in route.methods:
            assert f"`{method} {path}`" in rows, f"docs/endpoints.md has no row for {method} {path}"


def test_every_endpoint_in_the_table_exists() -> None:
    named = re.findall(r"`(GET|POST) (/[^` ]*)`", page("docs/endpoints.md"))
    assert named
    for method, path in named:
        route = find_route(path.replace("{id}", "some/model"))
        assert route is not None, path
        assert method in route.methods, f"{method} {path}"


def test_every_header_of_ours_is_explained() -> None:
    used = {
        name for path in SOURCE.rglob("*.py") for name in OUR_HEADER.findall(path.read_text(encoding="utf-8"))
    }
    assert len(used) > 3
    cells = "\n".join(first_cells(page("docs/endpoints.md")))
    assert not {name for name in used if name not in cells}


def possible_statuses() -> set[int]:
    """What the error tree and the dialects' tables can answer with, an upstream's own numbers aside."""
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, GatewayError)
    ]
    samples: list[GatewayError] = [kind("sample") for kind in classes]
    samples += [UpstreamError("sample", kind=kind, status=KIND_STATUS.get(kind)) for kind in sorted(KINDS)]
    samples.append(UpstreamError("sample", kind="overloaded", status=529, family="anthropic"))
    return {server.encode_error(error, "req_1").status for server in (CHAT, MESSAGES) for error in samples}


def test_every_status_of_ours_is_explained() -> None:
    said = {int(cell) for cell in first_cells(page("docs/errors.md")) if cell.isdecimal()}
    below_http = [
        status
        for path in (SOURCE / "server" / "http1").glob("*.py")
        for status in re.findall(r"Refusal\(\s*(\d{3}),", path.read_text(encoding="utf-8"))
    ]
    statuses = possible_statuses() | {int(status) for status in below_http}
    assert {400, 401, 431, 529} <= statuses
    assert not statuses - said


def test_the_files_beside_auth_json_are_named() -> None:
    assert f"`auth.json{JOURNAL_SUFFIX}`" in page("docs/privacy.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_snippets_compile(path: Path) -> None:
    for language, code in FENCE.findall(path.read_text(encoding="utf-8")):
        if language == "python":
            compile(code, str(path), "exec")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_model_named_as_an_example_exists(path: Path) -> None:
    named = set(re.findall(r"\b(anthropic|groq)/([a-z][\w.-]*\d[\w.-]*)", path.read_text(encoding="utf-8")))
    named |= set(re.findall(r"\b(openai)/(gpt-[\w.-]*\w)", path.read_text(encoding="utf-8")))
    assert not {
        f"{provider}/{model}"
        for provider, model in named
        if model not in {each.id for each in builtin_models(provider)}
    }
