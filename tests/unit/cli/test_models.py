from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from pi_model_proxy.cli import models
from pi_model_proxy.cli.main import main
from pi_model_proxy.gateway import Listing
from pi_model_proxy.sources import Problem, Snapshot
from unit.cli.offers import NOT_SERVED, listing, offer

OFFERS = (
    offer("anthropic/claude-think-see", account="oauth"),
    offer("groq/llama"),
    offer("google/gemini", api=NOT_SERVED),
    offer("xai/grok", usable=False, reason="no key and no login"),
)

Show = Callable[..., tuple[int, str, str]]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    def run(
        *words: str, offered: Listing | None = None, problems: tuple[Problem, ...] = ()
    ) -> tuple[int, str, str]:
        found = listing(*OFFERS) if offered is None else offered
        monkeypatch.setattr(models, "look", lambda *_: (found, Snapshot(problems=problems)))
        status = main(["models", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def test_only_what_can_be_used_is_listed(show: Show) -> None:
    status, out, _ = show()
    assert status == 0
    assert out.splitlines() == [
        "MODEL                       CONTEXT  OUTPUT  $/M IN    OUT  CAN        VIA",
        "anthropic/claude-think-see     200K     64K    3.00  15.00  think,img  login",
        "groq/llama                     200K     64K    3.00  15.00  -          key",
        "",
        "2 models of 2 providers; 2 more cannot be used (--all says why)",
    ]


def test_all_says_why_the_others_cannot_be_used(show: Show) -> None:
    _, out, _ = show("--all")
    assert f"google/gemini  its API kind, {NOT_SERVED}, has no client half in this version" in out
    assert "xai/grok  no key and no login" in out


@pytest.mark.parametrize(
    "pattern", ["CLAUDE", "anthropic/*", "claude-*", "anthropic/claude-think-se[e]", "Think-See"]
)
def test_a_pattern_finds_by_part_or_by_wildcard(pattern: str, show: Show) -> None:
    _, out, _ = show(pattern)
    assert "claude-think-see" in out
    assert "llama" not in out
    assert "1 model of 1 provider" in out


def test_a_pattern_that_fits_nothing_is_status_1(show: Show) -> None:
    status, out, err = show("nonsense")
    assert (status, out) == (1, "")
    assert "no model's name fits 'nonsense'" in err


def test_a_pattern_that_fits_only_unusable_models_says_so(show: Show) -> None:
    status, _, err = show("grok")
    assert status == 1
    assert "--all says why" in err
    assert show("grok", "--all")[0] == 0


def test_without_any_model_the_way_on_is_named(show: Show) -> None:
    status, _, err = show(offered=listing())
    assert status == 1
    assert "`pi-model-proxy check`" in err


def test_errors_of_pi_s_files_are_told_beside_the_list(show: Show) -> None:
    broken = Problem(where="models.json:3:7", what="expecting ','", severity="error")
    status, out, err = show(problems=(broken, Problem(where="x", what="only a warning")))
    assert status == 0
    assert "groq/llama" in out
    assert err == "pi-model-proxy: error: models.json:3:7: expecting ','\n"


def test_json_lists_everything_with_reasons(show: Show) -> None:
    _, out, _ = show("--json")
    found = {model["id"]: model for model in json.loads(out)}
    assert [model["served"] for model in found.values()] == [True, True, False, False]
    assert found["xai/grok"]["reason"] == "no key and no login"
    assert found["groq/llama"] == {
        "id": "groq/llama",
        "provider": "groq",
        "name": "Llama",
        "api": "openai-completions",
        "context_window": 200_000,
        "max_output_tokens": 64_000,
        "price": {"input": 3.0, "output": 15.0, "cache_read": 0.0, "cache_write": 0.0},
        "reasoning": False,
        "input": ["text"],
        "account": "api_key",
        "served": True,
        "reason": "",
    }


def test_a_model_that_is_this_gateway_itself_says_so() -> None:
    own = offer("me/again")
    own = msgspec.structs.replace(
        own, model=msgspec.structs.replace(own.model, base_url="http://localhost:9876/v1")
    )
    (entry,) = listing(own).entries
    assert models.why_not(entry) == "its address is this gateway itself"


def test_a_table_for_80_columns_keeps_to_them_and_cuts_no_name() -> None:
    long = "openrouter/some-vendor/a-model-with-a-really-long-name-think-see"
    lines = models.table(listing(offer(long), *OFFERS[:2]).usable, width=80)
    assert max(map(len, lines)) <= 80
    assert long in lines
    assert lines[lines.index(long) + 1].split() == ["200K", "64K", "3.00", "15.00", "think,img", "key"]


def test_a_table_for_a_pipe_has_one_line_a_model() -> None:
    long = "openrouter/some-vendor/a-model-with-a-really-long-name-think-see"
    lines = models.table(listing(offer(long), *OFFERS[:2]).usable, width=10_000)
    assert len(lines) == 1 + 3
    assert models.table([], width=80) == []


@pytest.mark.parametrize(
    ("count", "text"),
    [(500, "500"), (8192, "8.19K"), (128_000, "128K"), (1_048_576, "1.05M"), (999_999, "1M")],
)
def test_token_counts_are_short(count: int, text: str) -> None:
    assert models._tokens(count) == text


@pytest.mark.parametrize(
    ("price", "text"), [(0, "0"), (3, "3.00"), (0.075, "0.07"), (0.004, "0.004"), (75.5, "75.50")]
)
def test_prices_are_short_and_never_look_free(price: float, text: str) -> None:
    assert models._dollars(price) == text
