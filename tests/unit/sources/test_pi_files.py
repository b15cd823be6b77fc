"""The source over pi's files: what it offers, how it follows changes, what it never does."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pi_model_proxy.credentials import OAuthCredential, auth_path, journal_path, write_journal
from pi_model_proxy.sources import Lease, PiFiles, PiFilesSettings, Snapshot
from support.agent_bench import NOW_MS, STUB, Bench, login, model_of, offers_of


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def until(source: PiFiles, is_so: Callable[[Snapshot], bool]) -> Snapshot:
    """Wait for the watcher to see a change."""
    for _ in range(200):
        if is_so(source.snapshot):
            return source.snapshot
        await asyncio.sleep(0.02)
    raise AssertionError("the watcher saw nothing")


def usable(snapshot: Snapshot, provider: str) -> bool:
    return any(offer.usable for offer in offers_of(snapshot, provider))


def test_before_the_first_read_the_snapshot_is_empty_and_says_so(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        assert (source.snapshot.loaded, source.snapshot.offers) == (False, ())
        assert (await source.ready()).loaded
        assert source.alive()

    bench.ask(story)


def test_an_empty_machine_offers_the_whole_catalogue_and_nothing_usable(bench: Bench) -> None:
    snapshot = bench.snapshot()
    assert len(snapshot.offers) == 1643
    assert not any(offer.usable for offer in snapshot.offers)
    assert snapshot.problems == ()


def test_a_missing_agent_directory_is_no_problem_and_is_not_made(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.agent_dir.rmdir()
    assert len(bench.snapshot().offers) == 1643
    assert not bench.agent_dir.exists()


def test_a_reader_writes_nothing_at_all(bench: Bench) -> None:
    bench.write("models", {"providers": {"stub": {**STUB, "apiKey": "k"}}})
    bench.snapshot()
    assert [path.name for path in bench.agent_dir.iterdir()] == ["models.json"]


def test_the_first_look_is_fast(bench: Bench) -> None:
    bench.write("auth", {"anthropic": login()})
    bench.snapshot()  # imports and the shipped catalogue
    started = time.perf_counter()
    bench.snapshot()
    assert time.perf_counter() - started < 0.5


def test_changes_count_without_a_restart_and_raise_the_revision(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        await source.start()
        first = await source.ready()
        bench.write("auth", {"groq": {"type": "api_key", "key": "k"}})
        second = await until(source, lambda snapshot: usable(snapshot, "groq"))
        assert second.revision > first.revision
        bench.write("models", {"providers": {"stub": {**STUB, "apiKey": "k"}}})
        third = await until(source, lambda snapshot: usable(snapshot, "stub"))
        (bench.agent_dir / "auth.json").unlink()
        fourth = await until(source, lambda snapshot: not usable(snapshot, "groq"))
        assert fourth.revision > third.revision

    bench.ask(story)


class HeldRead:
    """Holds the reading of auth.json back until it is let go."""

    def __init__(self, source: PiFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        auth = source._reader._auth
        self._read_once, self._begun, self._gate = auth._read_once, threading.Event(), threading.Event()
        monkeypatch.setattr(auth, "_read_once", self._held)

    def _held(self) -> object:
        self._begun.set()
        self._gate.wait(10)
        return self._read_once()

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.wait, 10)

    def let_go(self) -> None:
        self._gate.set()


@pytest.mark.parametrize("first_one_leaves", [False, True], ids=["both wait", "the first one leaves"])
def test_whoever_asks_while_a_changed_file_is_being_read_gets_what_it_says(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, first_one_leaves: bool
) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"groq": {"type": "api_key", "key": "old"}})
        model = model_of(await source.ready(), "groq")
        bench.write("auth", {"groq": {"type": "api_key", "key": "new"}})
        held = HeldRead(source, monkeypatch)
        first = asyncio.ensure_future(source.lease(model))
        await held.begun()
        if first_one_leaves:
            first.cancel()
        second = asyncio.ensure_future(source.lease(model))
        await asyncio.sleep(0)
        held.let_go()
        leases = await asyncio.gather(first, second, return_exceptions=True)
        for lease in leases[first_one_leaves:]:
            assert isinstance(lease, Lease)
            assert lease.headers["authorization"] == "Bearer new"

    bench.ask(story)


def test_a_rewrite_that_changes_nothing_keeps_the_revision(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"groq": {"type": "api_key", "key": "k"}})
        first = await source.refresh()
        bench.write("auth", {"groq": {"type": "api_key", "key": "other"}})
        assert (await source.refresh()) is first

    bench.ask(story)


@pytest.mark.parametrize("name", ["auth", "models", "models-store", "settings"])
def test_a_broken_file_keeps_what_it_held_and_is_named_with_line_and_column(bench: Bench, name: str) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"groq": {"type": "api_key", "key": "k"}})
        bench.write("models", {"providers": {"stub": {**STUB, "apiKey": "k"}}})
        before = await source.refresh()
        path = bench.write(name, '{\n "hunter2": oops\n}')
        after = await source.refresh()
        assert after.offers == before.offers
        (problem,) = after.problems
        assert problem.where == f"{path}:2:13"
        assert problem.severity == "error"
        assert "hunter2" not in problem.what + problem.fix

    bench.ask(story)


def test_every_fault_of_models_json_is_named(bench: Bench) -> None:
    path = bench.write("models", '{"providers": {\n "a": {"models": 1},\n "b": {"baseUrl": 2}}}')
    problems = bench.snapshot().problems
    assert [problem.where for problem in problems] == [f"{path}:2:18", f"{path}:3:19"]


def test_a_provider_that_cannot_be_composed_is_named_and_the_others_stay(bench: Bench) -> None:
    bench.write("models", {"providers": {"stub": {**STUB, "apiKey": "k"}, "half": {"models": [{"id": "x"}]}}})
    snapshot = bench.snapshot()
    assert usable(snapshot, "stub")
    (problem,) = snapshot.problems
    assert "providers.half" in problem.where


def test_only_enabled_models_offers_what_pis_setting_selects(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": "k"}})
    bench.write("settings", {"enabledModels": ["groq/openai/gpt-oss-120b", "no-such-model"]})
    bench.settings["only_enabled_models"] = True
    snapshot = bench.snapshot()
    assert [offer.model.ref for offer in snapshot.offers if offer.usable] == ["groq/openai/gpt-oss-120b"]
    assert [(problem.severity, problem.what) for problem in snapshot.problems] == [
        ("note", 'no model matches "no-such-model"')
    ]


def test_without_enabled_models_the_filter_leaves_everything_and_says_so(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": "k"}})
    bench.settings["only_enabled_models"] = True
    snapshot = bench.snapshot()
    assert usable(snapshot, "groq")
    assert "no `enabledModels`" in snapshot.problems[0].what


def test_new_settings_count_from_the_next_look(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"anthropic": login()})
        assert usable(await source.refresh(), "anthropic")
        source.configure(
            PiFilesSettings(agent_dir=bench.agent_dir, environment=bench.environment, subscriptions=False)
        )
        assert not usable(await source.refresh(), "anthropic")

    bench.ask(story)


def test_the_note_on_anthropics_billing_goes_when_pis_user_has_hidden_it(bench: Bench) -> None:
    bench.write("auth", {"anthropic": login(), "xai": login()})
    bench.write("settings", {"warnings": {"anthropicExtraUsage": False}})
    assert bench.report("anthropic").note == ""
    assert bench.report("xai").note != ""


def test_credentials_of_an_early_pi_are_used_and_left_where_they_are(bench: Bench) -> None:
    bench.write("oauth", {"anthropic": {"access": "a", "refresh": "r", "expires": NOW_MS + 9_000_000}})
    bench.write("settings", {"apiKeys": {"groq": "sk", "anthropic": "never: the login comes first"}})
    snapshot = bench.snapshot()
    assert (bench.report("anthropic").account, bench.report("groq").account) == ("oauth", "api_key")
    assert "no auth.json" in snapshot.problems[0].what
    assert sorted(os.listdir(bench.agent_dir)) == ["oauth.json", "settings.json"]


def test_an_auth_json_even_an_empty_one_ends_the_early_files(bench: Bench) -> None:
    bench.write("oauth", {"anthropic": {"access": "a", "refresh": "r", "expires": NOW_MS + 9_000_000}})
    bench.write("auth", {})
    assert not usable(bench.snapshot(), "anthropic")


def test_a_key_that_looks_like_a_variables_name_is_pointed_at(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": "MY_GROQ_KEY"}})
    (problem,) = bench.snapshot().problems
    assert problem.where == "auth.json: groq"
    assert "MY_GROQ_KEY" not in problem.what, "it may be the key after all"


def test_an_entry_nothing_is_known_of_is_a_note(bench: Bench) -> None:
    bench.write("auth", {"google-antigravity": login()})
    (problem,) = bench.snapshot().problems
    assert (problem.where, problem.severity) == ("auth.json: google-antigravity", "note")


def test_a_read_only_directory_is_said_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("auth", {"anthropic": login(), "xai": login()})
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (problem,) = bench.snapshot().problems
    assert "read-only" in problem.what
    assert problem.severity == "note"


def test_a_bad_token_address_is_named_before_it_is_needed(bench: Bench) -> None:
    bench.write("auth", {"anthropic": login()})
    bench.environment["PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL"] = "http://far.example/"
    (problem,) = bench.snapshot().problems
    assert problem.severity == "error"
    assert "PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL" in problem.what


def test_secrets_are_known_to_the_redactor_and_shown_nowhere(bench: Bench) -> None:
    bench.write("auth", {
        "groq": {"type": "api_key", "key": "hunter-1"},
        "openai": {"type": "api_key", "key": "$FROM"},
        "deepseek": {"type": "api_key", "key": "!echo hunter-3"},
        "anthropic": login(access="hunter-4", refresh="hunter-5"),
    })  # fmt: skip
    stub = {**STUB, "apiKey": "hunter-6", "headers": {"x-api-token": "hunter-7"}}
    bench.write("models", {"providers": {"stub": stub}})
    bench.environment |= {"FROM": "hunter-2", "CEREBRAS_API_KEY": "hunter-8"}

    async def story(source: PiFiles) -> None:
        snapshot = await source.ready()
        assert {f"hunter-{number}" for number in range(1, 9)} <= set(source.secrets())
        lease = await source.lease(model_of(snapshot, "stub"))
        shown = repr((snapshot.providers, snapshot.problems, lease, source._standing, source._settings))
        assert "hunter" not in shown

    bench.ask(story)


def test_what_a_killed_process_left_is_finished_at_the_next_start(bench: Bench) -> None:
    bench.write("auth", {"anthropic": login()})
    path = auth_path(bench.agent_dir)
    spent = OAuthCredential(access="access-0", refresh="refresh-0")
    write_journal(path, "anthropic", spent=spent, fields={"access": "a9", "refresh": "r9", "expires": NOW_MS})

    async def story(source: PiFiles) -> None:
        await source.start()
        await until(source, lambda _: not journal_path(path).exists())

    bench.ask(story)
    assert json.loads(path.read_text())["anthropic"]["refresh"] == "r9"
