from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pi_model_proxy import server
from pi_model_proxy.cli import main
from pi_model_proxy.config import Environment, SettingsWatcher
from pi_model_proxy.demo import open_demo
from pi_model_proxy.server import Announcement
from pi_model_proxy.server.build import MoreSources
from pi_model_proxy.sources import Problem
from unit.cli.offers import listing, offer


class FakeServer:
    """Announces what it is told to, remembers what it was given, and is over."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        self.watcher: SettingsWatcher | None = None
        self.more_sources: MoreSources | None = None

    def __call__(
        self,
        watcher: SettingsWatcher,
        environment: Environment,
        *,
        announce: Callable[[Announcement], None],
        complain: Callable[[Problem], None],
        more_sources: MoreSources | None,
    ) -> int:
        self.watcher, self.more_sources = watcher, more_sources
        found = listing(offer("groq/llama"), problems=self.problems)
        announce(
            Announcement(
                url="http://127.0.0.1:4711", settings=watcher.current, listing=found, ready_after_s=0.1
            )
        )
        complain(Problem(where="127.0.0.1:1", what="the port is taken by sshd", severity="error"))
        return 7


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def start(
    monkeypatch: pytest.MonkeyPatch, *words: str, problems: tuple[Problem, ...] = ()
) -> tuple[int, FakeServer]:
    fake = FakeServer(*problems)
    monkeypatch.setattr(server, "serve", fake)
    return main(words), fake


@pytest.mark.parametrize("words", [(), ("serve",)], ids=["alone", "by name"])
def test_without_a_command_it_serves(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, fake = start(monkeypatch, *words, "--rate-limit", "5", "--strict")
    assert status == 7
    assert fake.watcher is not None
    assert (fake.watcher.current.rate_limit, fake.watcher.current.strict) == (5, True)
    captured = capsys.readouterr()
    assert " at http://127.0.0.1:4711" in captured.out
    assert "Models    1 of groq" in captured.out
    assert captured.err == "pi-model-proxy: error: 127.0.0.1:1: the port is taken by sshd\n"


def test_the_banner_tells_of_the_configuration_the_files_and_the_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Problem(where="models.json:1:1", what="broken", severity="error")
    start(monkeypatch, "--aliases", "a=b/c", "--allowed-origins", "*", problems=(broken,))
    out = " ".join(capsys.readouterr().out.split())
    assert "Error models.json:1:1: broken" in out
    assert "Warning --allowed-origins: allowedOrigins is *" in out


def test_quiet_means_no_banner_but_not_no_problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(monkeypatch, "--quiet", "--aliases", "a=b/c")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pi-model-proxy: warning: --aliases: aliases.a leads nowhere")


def test_the_demo_is_opened_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(monkeypatch, "--demo")[1].more_sources is open_demo
    assert start(monkeypatch)[1].more_sources is None
