from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pi_model_proxy.cli import check
from pi_model_proxy.cli.main import main
from pi_model_proxy.gateway import Listing
from pi_model_proxy.sources import Offer, Problem, ProviderReport, Snapshot
from unit.cli.offers import NOT_SERVED, listing, offer

Check = Callable[..., tuple[int, str]]
LOGIN = ProviderReport(
    provider="anthropic",
    account="oauth",
    usable=True,
    chosen="auth.json (login)",
    note="Anthropic bills this as extra usage.",
    models=14,
)
EXPIRED = ProviderReport(
    provider="xai", account="oauth", reason="the login has expired", passed_over=("$XAI_API_KEY: not set",)
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return tmp_path


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    def checked(
        *words: str, snapshot: Snapshot | None = None, more: tuple[Offer, ...] = ()
    ) -> tuple[int, str]:
        found: Listing = listing(offer("openai/gpt-5"), *more)
        monkeypatch.setattr(check, "look", lambda *_: (found, snapshot or Snapshot()))
        status = main(["check", *words])
        return status, capsys.readouterr().out

    return checked


def test_nothing_wrong_is_status_0(run: Check) -> None:
    status, out = run()
    assert status == 0
    assert out.splitlines() == [
        "Configuration  fine",
        "pi's files  fine",
        "",
        "0 errors, 0 warnings; 1 models can be used.",
    ]


def test_a_warning_alone_is_status_0(run: Check) -> None:
    status, out = run("--aliases", "smart=openai/gpt-6")
    assert status == 0
    assert "  warning  --aliases: aliases.smart leads nowhere" in out
    assert "→ `pi-model-proxy models` lists the names" in out
    assert "0 errors, 1 warning;" in out


def test_a_broken_file_of_pi_s_is_status_1_with_place_and_remedy(run: Check) -> None:
    problem = Problem(where="models.json:3:7", what="expecting ','", fix="add a comma", severity="error")
    status, out = run(snapshot=Snapshot(problems=(problem,)))
    assert status == 1
    assert "  error    models.json:3:7: expecting ','\n           → add a comma\n" in out


def test_a_wrong_configuration_is_status_1_with_everything_that_is_wrong(run: Check) -> None:
    status, out = run("--port", "x", "--log-keep", "y")
    assert status == 1
    assert "  error    --port: must be" in out
    assert "  error    --log-keep: must be" in out
    assert "2 errors, 0 warnings" in out


def test_files_that_cannot_be_read_at_all_are_status_2(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(check, "look", broken)
    assert main(["check"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_providers_are_listed_with_their_credential_and_its_terms(run: Check) -> None:
    nothing = ProviderReport(provider="mistral")
    _, out = run(snapshot=Snapshot(providers=(LOGIN, EXPIRED, nothing)))
    assert "  anthropic: login from auth.json (login); 14 models" in out
    assert "    Anthropic bills this as extra usage." in out
    assert "  xai: login; not usable: the login has expired" in out
    assert "    $XAI_API_KEY: not set" in out
    assert "mistral" not in out


def test_json_holds_the_same(run: Check) -> None:
    problem = Problem(where="auth.json", what="odd", severity="error")
    status, out = run("--json", snapshot=Snapshot(problems=(problem,), providers=(LOGIN,)))
    report = json.loads(out)
    assert status == 1
    assert (report["ok"], report["errors"], report["warnings"], report["usable_models"]) == (False, 1, 0, 1)
    assert report["problems"] == [{"severity": "error", "where": "auth.json", "what": "odd", "fix": ""}]
    assert report["providers"][0]["from"] == "auth.json (login)"


def test_a_log_that_could_not_be_written_is_warned_about(home: Path, run: Check) -> None:
    (home / "folder").mkdir()
    _, out = run("--log-path", str(home / "folder"))
    assert "is a folder, so requests cannot be logged" in " ".join(out.split())
    (home / "file").touch()
    _, out = run("--log-path", str(home / "file" / "log"))
    assert "cannot be written" in " ".join(out.split())


def test_a_database_that_could_not_be_kept_is_warned_about(home: Path, run: Check) -> None:
    (home / "folder").mkdir()
    _, out = run("--db-path", str(home / "folder"))
    assert "is a folder, so nothing can be kept between requests" in " ".join(out.split())
    assert "name a file in dbPath" in out
    (home / "file").touch()
    _, out = run("--db-path", str(home / "file" / "db"))
    assert "cannot be written, so nothing would be kept" in " ".join(out.split())
    _, out = run("--db-path", "/dev/null")
    assert "/dev/null is no regular file" in out
    status, out = run("--db-path", str(home / "not" / "yet" / "there.db"))
    assert (status, out.splitlines()[0]) == (0, "Configuration  fine")


def test_a_link_in_the_log_s_place_is_never_followed_and_so_warned_about(home: Path, run: Check) -> None:
    (home / "link").symlink_to(home / "elsewhere")
    _, out = run("--log-path", str(home / "link"))
    assert "is no regular file, so requests are not logged" in " ".join(out.split())


def test_models_that_have_a_credential_but_no_client_half_are_told_apart(run: Check) -> None:
    more = (offer("google/a", api=NOT_SERVED), offer("google/b", api=NOT_SERVED), offer("x/c", usable=False))
    status, out = run(more=more)
    assert status == 0
    assert f"  google 2 (API kind {NOT_SERVED} has no client half)\n" in out
    assert json.loads(run("--json", more=more)[1])["not_served_yet"] == [
        {"api": NOT_SERVED, "models": {"google": 2}}
    ]
