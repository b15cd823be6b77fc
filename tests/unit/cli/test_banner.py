from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pi_model_proxy import __version__
from pi_model_proxy.cli.banner import MAX_LINES, Banner
from pi_model_proxy.cli.console import Paint
from pi_model_proxy.config import Secret, Settings
from pi_model_proxy.sources import Problem, ProviderReport
from unit.cli.offers import NOT_SERVED, listing, offer

SETTINGS = Settings(log_path=Path("/home/ada/.pi/log"), agent_dir=Path("/home/ada/.pi/agent"))
ADDRESS = "http://127.0.0.1:9876"
LONG_NOTE = "Anthropic bills use through other tools than its own as extra usage, per token, at https://claude.ai/settings."


def login(provider: str, note: str = "", **more: Any) -> ProviderReport:
    return ProviderReport(
        provider=provider, account="oauth", usable=True, subscription=True, note=note, **more
    )


def text(*offers: Any, banner: Banner | None = None, **facts: Any) -> str:
    reports, problems = facts.pop("reports", ()), facts.pop("problems", ())
    return (banner or Banner())(
        listing=listing(*offers, reports=reports),
        settings=facts.pop("settings", SETTINGS),
        address=facts.pop("address", ADDRESS),
        problems=problems,
    )


def test_a_plain_start_is_told_in_four_lines() -> None:
    said = text(offer("openai/a"), offer("openai/b"), offer("groq/c"))
    assert said.splitlines() == [
        f"pi-model-proxy {__version__} at http://127.0.0.1:9876",
        "Base URLs OpenAI http://127.0.0.1:9876/v1 · Anthropic http://127.0.0.1:9876",
        "Models    3 of 2 providers: openai 2, groq 1",
        "Next      pi-model-proxy status | models | check | config, each with --help",
    ]


@pytest.mark.parametrize(
    ("address", "names", "base"),
    [
        ("http://0.0.0.0:9876", (), "http://127.0.0.1:9876"),
        ("http://[::]:9876", (), "http://[::1]:9876"),
        ("http://0.0.0.0:9876", ("gateway.lan", "other.lan"), "http://gateway.lan:9876"),
        ("http://192.168.1.5:9876", ("192.168.1.5",), "http://192.168.1.5:9876"),
    ],
)
def test_a_base_url_is_one_that_the_host_check_lets_in(
    address: str, names: tuple[str, ...], base: str
) -> None:
    host = address.removeprefix("http://").removesuffix(":9876").strip("[]")
    settings = msgspec.structs.replace(SETTINGS, host=host, allowed_hosts=names)
    said = text(offer("openai/a"), address=address, settings=settings).splitlines()
    assert said[0].endswith(f" at {address}")
    assert said[1] == f"Base URLs OpenAI {base}/v1 · Anthropic {base}"


def test_a_single_provider_is_named_once() -> None:
    assert "Models    2 of groq\n" in text(offer("groq/a"), offer("groq/b"))


def test_a_fresh_machine_learns_what_to_do() -> None:
    said = text(
        offer("openai/a", usable=False),
        banner=Banner(short=lambda path: path.replace("/home/ada", "~")),
    )
    assert "none yet: pi has no usable login or key in ~/.pi/agent." in said
    assert "--demo" in said


def test_models_of_a_kind_without_client_half_are_named_with_the_kind() -> None:
    said = text(
        offer("openai/a"),
        offer("google/g", api=NOT_SERVED),
        offer("google/h", api=NOT_SERVED),
        offer("vertex/v", api=NOT_SERVED),
        reports=[login("google"), login("vertex"), login("openai")],
    )
    flat = " ".join(said.split())
    assert f"Not yet google 2, vertex 1 (API kind {NOT_SERVED} has no client half)" in flat


def test_providers_without_any_credential_are_not_complained_about() -> None:
    said = text(
        offer("openai/a"),
        offer("google/g", api=NOT_SERVED, usable=False),
        reports=[ProviderReport(provider="google")],
    )
    assert "google" not in said


def test_a_credential_that_cannot_be_used_says_why() -> None:
    broken = ProviderReport(
        provider="xai", account="oauth", reason="the login has expired; run pi and /login"
    )
    said = text(offer("openai/a"), reports=[broken])
    assert "Not yet   xai (the login has expired; run pi and /login)" in said


def test_a_login_s_terms_are_said_once() -> None:
    said = text(offer("anthropic/a"), offer("anthropic/b"), reports=[login("anthropic", LONG_NOTE)])
    assert " ".join(said.split()).count(LONG_NOTE) == 1
    assert "Note      anthropic: " in said


def test_terms_of_a_login_that_serves_nothing_are_not_said() -> None:
    said = text(offer("openai/a"), offer("codex/b", api=NOT_SERVED), reports=[login("codex", LONG_NOTE)])
    assert "Anthropic bills" not in said


def test_errors_come_before_warnings_and_notes_are_left_out() -> None:
    problems = [
        Problem(where="x", what="doubtful"),
        Problem(where="y", what="broken", severity="error", fix="mend it"),
        Problem(where="z", what="by the way", severity="note"),
    ]
    said = text(offer("openai/a"), problems=problems)
    assert said.index("Error     y: broken; mend it") < said.index("Warning   x: doubtful")
    assert "by the way" not in said


def test_callers_are_told_of_the_key_but_not_the_key() -> None:
    settings = Settings(
        log_path=SETTINGS.log_path, agent_dir=SETTINGS.agent_dir, api_key=Secret("a-key-of-twenty-chars")
    )
    said = text(offer("openai/a"), settings=settings)
    assert "(callers need the key)" in said
    assert "a-key-of-twenty-chars" not in said


@pytest.mark.parametrize("width", [80, 60, 200])
def test_however_much_there_is_to_say_it_stays_short_and_narrow(width: int) -> None:
    providers = [f"provider-{number}" for number in range(30)]
    said = text(
        *(offer(f"{name}/model") for name in providers),
        *(offer(f"{name}/other", api=f"{NOT_SERVED}-{name}") for name in providers),
        reports=[login(name, LONG_NOTE) for name in providers],
        problems=[
            Problem(where="f:1:1", what="wrong in many words " * 8, severity="error") for _ in providers
        ],
        banner=Banner(width=width),
    )
    lines = said.splitlines()
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= 80
    for label in ("Models", "Note", "Error", "Next"):
        assert any(line.startswith(label) for line in lines), label
    assert "more: see `pi-model-proxy check`" in said
    assert "see `pi-model-proxy check` for" in said


def test_without_colour_there_is_no_escape_and_with_it_only_escapes_are_added() -> None:
    problems = [Problem(where="y", what="broken", severity="error")]
    plain = text(offer("openai/a"), problems=problems)
    painted = text(offer("openai/a"), problems=problems, banner=Banner(paint=Paint(on=True)))
    assert "\x1b" not in plain
    assert "\x1b[31m" in painted
    assert painted.replace("\x1b[1m", "").replace("\x1b[31m", "").replace("\x1b[0m", "") == plain


def test_terms_go_before_everything_that_can_be_asked_for_later() -> None:
    said = text(
        offer("anthropic/a"),
        *(offer(f"google/{number}", api=f"{NOT_SERVED}-{number}") for number in range(9)),
        reports=[login("anthropic", LONG_NOTE), login("google")],
        problems=[
            Problem(where="f:1:1", what="wrong in many words " * 8, severity="error") for _ in range(9)
        ],
    )
    assert LONG_NOTE in " ".join(said.split())
    assert "Error     f:1:1: wrong" in said
    assert "Not yet   google 1" in said
