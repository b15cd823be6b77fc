"""Refreshing a login: once, under the lock, to the end."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.credentials import (
    ApiKeyCredential,
    Clock,
    LockTimings,
    OAuthCredential,
    Refresher,
    RefreshTimings,
    acquire_lock,
    finish_journal,
    journal_path,
    parse_auth,
    parse_entry,
    write_journal,
)
from pi_model_proxy.errors import CredentialError, UpstreamTimeout, UpstreamUnreachable
from support.token_endpoint import TokenEndpoint

NOW_S = 1_000_000.0
SOON_MS = NOW_S * 1000 + 200_000
"""Due (less than five minutes left), but not lapsed."""
LATER_MS = NOW_S * 1000 + 3_600_000
QUICK = RefreshTimings(lock=LockTimings(heartbeat_s=0.05, wait_s=0.5))


class Time:
    """Both clocks; tests turn them."""

    def __init__(self) -> None:
        self.wall_s = NOW_S
        self.running_s = 500.0

    def clock(self) -> Clock:
        return Clock(now_s=lambda: self.wall_s, monotonic_s=lambda: self.running_s)


class Bench:
    """A scratch `auth.json`, an authorization server and a refresher between them."""

    def __init__(self, folder: Path, *, provider: str = "anthropic", timings: RefreshTimings = QUICK) -> None:
        self.provider = provider
        self.path = folder / "auth.json"
        self.endpoint = TokenEndpoint()
        self.time = Time()
        self.timings = timings
        self.refresher = self.new_refresher()

    def new_refresher(self, environment: dict[str, str] | None = None) -> Refresher:
        return Refresher(
            self.path,
            post=self.endpoint,
            environment=environment or {},
            clock=self.time.clock(),
            timings=self.timings,
        )

    def write(self, expires_ms: float = SOON_MS, **fields: object) -> OAuthCredential:
        entry = {
            "type": "oauth",
            "access": "access-0",
            "refresh": "refresh-0",
            "expires": expires_ms,
            **fields,
        }
        self.path.write_text(json.dumps({"other": {"type": "api_key", "key": "k"}, self.provider: entry}))
        return self.login()

    def login(self) -> OAuthCredential:
        login = parse_auth(self.path.read_text())[self.provider]
        assert isinstance(login, OAuthCredential)
        return login

    async def refresh(self, login: OAuthCredential, *, refused: bool = False) -> OAuthCredential:
        renewed = await self.refresher.refreshed(self.provider, login, refused=refused)
        assert isinstance(renewed, OAuthCredential)
        return renewed


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 20))


def test_a_login_is_due_five_minutes_before_it_lapses(bench: Bench) -> None:
    assert bench.refresher.due(OAuthCredential(access="a", expires_ms=NOW_S * 1000 + 300_000))
    assert not bench.refresher.due(OAuthCredential(access="a", expires_ms=NOW_S * 1000 + 300_001))


def test_a_due_login_is_exchanged_and_written_and_no_lock_or_journal_is_left(bench: Bench) -> None:
    async def story() -> None:
        renewed = await bench.refresh(bench.write(future="kept"))
        assert (renewed.access, renewed.refresh) == ("access-1", "refresh-1")
        assert renewed == bench.login()
        assert renewed.extras == {"future": "kept"}
        assert renewed.expires_ms == NOW_S * 1000 + 3_600_000 - 300_000
        assert os.listdir(bench.path.parent) == ["auth.json"]

    run(story())


def test_eight_who_ask_at_once_share_one_refresh(bench: Bench) -> None:
    async def story() -> None:
        login = bench.write()
        renewed = await asyncio.gather(*(bench.refresh(login) for _ in range(8)))
        assert {login.access for login in renewed} == {"access-1"}
        assert bench.endpoint.spent == ["refresh-0"]

    run(story())


def test_a_login_that_another_process_has_refreshed_meanwhile_is_taken_from_the_file(bench: Bench) -> None:
    async def story() -> None:
        stale = bench.write()
        bench.write(LATER_MS, access="theirs", refresh="theirs-r")
        assert (await bench.refresh(stale)).access == "theirs"
        assert bench.endpoint.urls == []

    run(story())


def test_the_lock_is_held_while_the_token_endpoint_is_asked(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.gate.clear()
        asking = asyncio.ensure_future(bench.refresh(bench.write()))
        await bench.endpoint.arrived.wait()
        assert Path(f"{bench.path}.lock").is_dir()
        bench.endpoint.gate.set()
        await asking
        assert not Path(f"{bench.path}.lock").exists()

    run(story())


def test_a_login_that_vanished_or_became_a_key_stops_the_refresh(bench: Bench) -> None:
    async def story() -> None:
        login = bench.write()
        bench.path.write_text('{"other": {"type": "api_key"}}')
        assert await bench.refresher.refreshed("anthropic", login) is None
        bench.path.write_text('{"anthropic": {"type": "api_key", "key": "k"}}')
        assert await bench.refresher.refreshed("anthropic", login) == ApiKeyCredential(key="k")
        assert bench.endpoint.urls == []

    run(story())


def test_a_refresh_that_began_is_finished_and_written_when_its_caller_has_gone(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.gate.clear()
        caller = asyncio.ensure_future(bench.refresh(bench.write()))
        await bench.endpoint.arrived.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        bench.endpoint.gate.set()
        await bench.refresher.close()
        assert bench.login().refresh == "refresh-1"
        assert os.listdir(bench.path.parent) == ["auth.json"]

    run(story())


def test_closing_gives_up_a_wait_for_the_lock_but_not_a_refresh(bench: Bench) -> None:
    async def story() -> None:
        theirs = acquire_lock(bench.path)
        waiting = asyncio.ensure_future(bench.refresh(bench.write(expires_ms=1)))
        await asyncio.sleep(0.05)
        await bench.refresher.close()
        with pytest.raises(CredentialError, match="process is ending"):
            await waiting
        theirs.release()

    run(story())


def test_a_held_lock_is_named_and_a_token_that_still_counts_is_used_meanwhile(bench: Bench) -> None:
    async def story() -> None:
        bench.path.write_text("{}")
        theirs = acquire_lock(bench.path)
        assert (await bench.refresh(bench.write(SOON_MS))).access == "access-0"
        assert "held by another process" in bench.refresher.failures()["anthropic"]
        bench.time.running_s += 60
        with pytest.raises(CredentialError, match=r"auth\.json\.lock"):
            await bench.refresh(bench.write(1))
        theirs.release()

    run(story())


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ((400, b'{"error": "invalid_grant"}'), "HTTP 400 invalid_grant"),
        ((200, b"{}"), "no `access_token`"),
        (UpstreamUnreachable("connection refused"), "connection refused"),
        (UpstreamTimeout("silence"), "silence"),
        (OSError(5, "broken"), "OSError"),
        ((503, b"<html>"), "HTTP 503"),
    ],
    ids=["refused", "no token", "unreachable", "timeout", "os error", "busy"],
)
def test_a_failed_refresh_leaves_the_file_alone_and_says_whose_login_it_is(
    bench: Bench, step: tuple[int, bytes] | Exception, words: str
) -> None:
    async def story() -> None:
        login = bench.write(1)
        before = bench.path.read_bytes()
        bench.endpoint.script.append(step)
        with pytest.raises(CredentialError, match=words) as caught:
            await bench.refresh(login)
        assert caught.value.message.startswith("anthropic: ")
        assert "access-0" not in caught.value.message
        assert "refresh-0" not in caught.value.message
        assert bench.path.read_bytes() == before
        assert os.listdir(bench.path.parent) == ["auth.json"]

    run(story())


def test_a_refused_login_says_to_log_in_again(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.good = "another"
        with pytest.raises(
            CredentialError, match=r"log in again: `pi-model-proxy login anthropic`, or `/login` in pi"
        ):
            await bench.refresh(bench.write(1))

    run(story())


def test_a_failure_is_remembered_briefly_and_forgotten_when_the_file_has_a_new_login(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.script = [UpstreamUnreachable("down"), UpstreamUnreachable("down")]
        login = bench.write(1)
        for _ in range(3):
            with pytest.raises(CredentialError):
                await bench.refresh(login)
        assert len(bench.endpoint.urls) == 1
        bench.time.running_s += QUICK.passing_failure_s + 0.1
        with pytest.raises(CredentialError):
            await bench.refresh(login)
        assert len(bench.endpoint.urls) == 2
        bench.endpoint.good = "refresh-new"
        assert (await bench.refresh(bench.write(1, refresh="refresh-new"))).access == "access-1"
        assert bench.refresher.failures() == {}

    run(story())


def test_all_who_wait_share_one_failure(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.gate.clear()
        bench.endpoint.script = [UpstreamUnreachable("down")]
        login = bench.write(1)
        asking = asyncio.gather(*(bench.refresh(login) for _ in range(5)), return_exceptions=True)
        await bench.endpoint.arrived.wait()
        bench.endpoint.gate.set()
        assert {type(outcome) for outcome in await asking} == {CredentialError}
        assert len(bench.endpoint.urls) == 1

    run(story())


def test_an_endpoint_that_never_answers_is_given_up_after_its_limit(tmp_path: Path) -> None:
    async def story() -> None:
        bench = Bench(tmp_path, timings=RefreshTimings(request_s=0.05))
        bench.endpoint.gate.clear()
        with pytest.raises(CredentialError, match="no answer"):
            await bench.refresh(bench.write(1))

    run(story())


def test_kimi_is_asked_again_after_a_server_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def no_pause(delay_s: float) -> None:
        pauses.append(delay_s)

    async def story() -> None:
        bench = Bench(tmp_path, provider="kimi-coding")
        bench.endpoint.script = [(503, b""), UpstreamUnreachable("reset"), (429, b"")]
        monkeypatch.setattr("pi_model_proxy.credentials.oauth.asyncio.sleep", no_pause)
        assert (await bench.refresh(bench.write())).access == "access-1"
        assert len(bench.endpoint.urls) == 4

    run(story())
    assert pauses == [1.0, 2.0, 4.0]


def test_a_401_forces_one_refresh_and_the_next_one_within_a_minute_none(bench: Bench) -> None:
    async def story() -> None:
        login = bench.write(LATER_MS)
        assert bench.refresher.may_force("anthropic")
        renewed = await bench.refresh(login, refused=True)
        assert renewed.access == "access-1"
        assert not bench.refresher.may_force("anthropic")
        bench.time.running_s += 61
        assert bench.refresher.may_force("anthropic")

    run(story())


def test_a_401_takes_the_newer_token_of_the_file_instead_of_refreshing(bench: Bench) -> None:
    async def story() -> None:
        refused = bench.write(LATER_MS)
        bench.write(LATER_MS, access="newer")
        assert (await bench.refresh(refused, refused=True)).access == "newer"
        assert bench.endpoint.urls == []

    run(story())


def test_a_401_whose_refresh_fails_is_an_error_even_before_the_expiry(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.script = [(400, b'{"error": "invalid_grant"}')]
        with pytest.raises(CredentialError):
            await bench.refresh(bench.write(LATER_MS), refused=True)

    run(story())


@pytest.mark.parametrize(
    ("provider", "fields", "words"),
    [("google-gemini-cli", {}, "only pi itself"), ("anthropic", {"refresh": ""}, "no refresh token")],
)
def test_what_cannot_be_refreshed_here_is_used_until_it_lapses(
    tmp_path: Path, provider: str, fields: dict[str, object], words: str
) -> None:
    async def story() -> None:
        bench = Bench(tmp_path, provider=provider)
        assert (await bench.refresh(bench.write(SOON_MS, **fields))).access == "access-0"
        with pytest.raises(CredentialError, match=words):
            await bench.refresh(bench.write(1, **fields))

    run(story())


def test_a_read_only_folder_is_served_from_and_never_refreshed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        assert (await bench.refresh(bench.write(SOON_MS))).access == "access-0"
        with pytest.raises(CredentialError, match="read-only"):
            await bench.refresh(bench.write(1))
        assert bench.endpoint.urls == []

    run(story())


def test_a_broken_file_stops_the_refresh_before_the_token_is_spent(bench: Bench) -> None:
    async def story() -> None:
        login = bench.write(1)
        bench.path.write_text('{"anthropic": ')
        with pytest.raises(CredentialError, match="not valid JSON"):
            await bench.refresh(login)
        assert bench.endpoint.urls == []

    run(story())


def test_a_bad_override_is_named_and_the_token_is_not_spent(bench: Bench) -> None:
    async def story() -> None:
        bench.refresher = bench.new_refresher({"PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL": "http://far.example/"})
        with pytest.raises(CredentialError, match="PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL"):
            await bench.refresh(bench.write(1))
        assert bench.endpoint.urls == []

    run(story())


def test_the_override_is_asked_instead_of_the_provider(bench: Bench) -> None:
    async def story() -> None:
        bench.refresher = bench.new_refresher({"PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL": "http://127.0.0.1:1/t"})
        await bench.refresh(bench.write())
        assert bench.endpoint.urls == ["http://127.0.0.1:1/t"]

    run(story())


def test_tokens_that_cannot_be_written_are_used_and_written_at_the_next_chance(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    async def story() -> None:
        login = bench.write(1)
        with monkeypatch.context() as patch:
            patch.setattr("pi_model_proxy.credentials.oauth.write_journal", disk_full)
            assert (await bench.refresh(login)).access == "access-1"
            assert (await bench.refresh(bench.login())).access == "access-1"
            assert set(bench.refresher.secrets()) == {"access-1", "refresh-1"}
            assert "could not be written" in bench.refresher.failures()["anthropic"]
            bench.time.wall_s += 7200  # even the unsaved ones lapse
            assert (await bench.refresh(bench.login())).access == "access-2"
        assert bench.login().refresh == "refresh-0"
        assert (await bench.refresh(bench.login())).access == "access-2"
        assert bench.login().refresh == "refresh-2"
        assert bench.endpoint.spent == ["refresh-0", "refresh-1"]
        assert bench.refresher.secrets() == ()
        assert bench.refresher.failures() == {}

    run(story())


def test_a_lock_lost_while_the_endpoint_was_asked_is_taken_again_before_the_write(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.gate.clear()
        asking = asyncio.ensure_future(bench.refresh(bench.write()))
        await bench.endpoint.arrived.wait()
        lock = Path(f"{bench.path}.lock")
        lock.rmdir()
        thief = acquire_lock(bench.path)  # a suspended machine, a pi that found the lock stale
        bench.endpoint.gate.set()
        await asyncio.sleep(0.2)
        assert bench.login().refresh == "refresh-0", "nothing is written while somebody else holds the lock"
        thief.release()
        assert (await asking).access == "access-1"
        assert bench.login().refresh == "refresh-1"

    run(story())


def test_a_thief_that_refreshed_in_between_wins(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.gate.clear()
        asking = asyncio.ensure_future(bench.refresh(bench.write()))
        await bench.endpoint.arrived.wait()
        Path(f"{bench.path}.lock").rmdir()
        bench.write(LATER_MS, access="theirs", refresh="theirs-r")
        bench.endpoint.gate.set()
        assert (await asking).access == "theirs"
        assert bench.login().refresh == "theirs-r"
        assert not journal_path(bench.path).exists()

    run(story())


def test_what_a_killed_process_journalled_is_finished_at_the_next_start(bench: Bench) -> None:
    async def story() -> None:
        spent = bench.write()
        write_journal(
            bench.path, "anthropic", spent=spent, fields={"access": "a", "refresh": "r", "expires": LATER_MS}
        )
        assert await bench.refresher.recover()
        assert (bench.login().access, bench.login().refresh) == ("a", "r")
        assert not await bench.refresher.recover()
        assert os.listdir(bench.path.parent) == ["auth.json"]

    run(story())


def test_closing_waits_for_a_journal_that_is_being_finished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        spent = bench.write()
        write_journal(
            bench.path, "anthropic", spent=spent, fields={"access": "a", "refresh": "r", "expires": LATER_MS}
        )
        begun, gate = threading.Event(), threading.Event()
        finish = finish_journal

        def held(path: Path, *, check_lock: Callable[[], None]) -> bool:
            begun.set()
            gate.wait(10)
            return finish(path, check_lock=check_lock)

        monkeypatch.setattr("pi_model_proxy.credentials.oauth.finish_journal", held)
        starting = asyncio.ensure_future(bench.refresher.recover())
        await asyncio.to_thread(begun.wait, 10)
        starting.cancel()
        closing = asyncio.ensure_future(bench.refresher.close())
        await asyncio.sleep(0.02)
        assert not closing.done()
        gate.set()
        await closing
        assert bench.login().refresh == "r"
        assert os.listdir(bench.path.parent) == ["auth.json"]

    run(story())


def test_a_journal_that_cannot_be_finished_now_stays(bench: Bench) -> None:
    async def story() -> None:
        spent = bench.write()
        write_journal(
            bench.path, "anthropic", spent=spent, fields={"access": "a", "refresh": "r", "expires": LATER_MS}
        )
        bench.path.write_text("{ broken")
        assert not await bench.refresher.recover()
        assert journal_path(bench.path).exists()

    run(story())


def test_a_file_that_breaks_while_the_endpoint_is_asked_keeps_the_tokens_for_later(bench: Bench) -> None:
    async def story() -> None:
        bench.endpoint.gate.clear()
        asking = asyncio.ensure_future(bench.refresh(bench.write()))
        await bench.endpoint.arrived.wait()
        good = bench.path.read_text()
        bench.path.write_text(good[:20])
        bench.endpoint.gate.set()
        assert (await asking).access == "access-1"
        assert bench.path.read_text() == good[:20]
        bench.path.write_text(good)
        assert (await bench.refresh(bench.login())).access == "access-1"
        assert bench.login().refresh == "refresh-1"
        assert bench.endpoint.spent == ["refresh-0"]

    run(story())


def test_what_a_killed_process_journalled_is_finished_before_the_next_refresh(bench: Bench) -> None:
    async def story() -> None:
        spent = bench.write()
        fields = {"access": "a", "refresh": "r", "expires": LATER_MS}
        write_journal(bench.path, "anthropic", spent=spent, fields=fields)
        assert (await bench.refresh(spent)).access == "a"
        assert bench.endpoint.urls == []

    run(story())


def test_two_providers_can_be_refreshed_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        bench = Bench(tmp_path)
        entry = {"type": "oauth", "access": "x", "refresh": "refresh-0", "expires": SOON_MS}
        bench.path.write_text(json.dumps({"anthropic": entry, "xai": {**entry, "refresh": "refresh-1"}}))
        logins = [parse_entry(entry), parse_entry({**entry, "refresh": "refresh-1"})]
        assert all(isinstance(login, OAuthCredential) for login in logins)
        await asyncio.gather(
            *(
                bench.refresher.refreshed(provider, login)
                for provider, login in zip(("anthropic", "xai"), logins, strict=True)
                if isinstance(login, OAuthCredential)
            )
        )
        accesses = {name: entry["access"] for name, entry in json.loads(bench.path.read_text()).items()}
        assert accesses == {"anthropic": "access-1", "xai": "access-2"}

    run(story())


def test_the_answer_is_safe_within_five_milliseconds(bench: Bench) -> None:
    """The window in which a kill costs the login: from the answer to the end of the journal's write."""

    async def story() -> None:
        spent = bench.write()
        best_s = 1.0
        for _ in range(20):
            started = time.perf_counter()
            write_journal(
                bench.path, "anthropic", spent=spent, fields={"access": "a" * 4000, "refresh": "r" * 200}
            )
            best_s = min(best_s, time.perf_counter() - started)
        assert best_s < 0.005

    run(story())


def test_a_copilot_login_is_renewed_with_its_github_token_and_the_list_of_its_models(tmp_path: Path) -> None:
    async def story() -> None:
        bench = Bench(tmp_path, provider="github-copilot")
        models = {"data": [{"id": "gpt-5", "model_picker_enabled": True}, {"id": "old"}]}
        bench.endpoint.script = [
            (
                200,
                json.dumps(
                    {"token": "tid=1;proxy-ep=proxy.business.example;x", "expires_at": 1_001_800}
                ).encode(),
            ),
            (200, json.dumps(models).encode()),
        ]
        renewed = await bench.refresh(bench.write(1, availableModelIds=["old"], future="kept"))
        assert bench.endpoint.urls == [
            "https://api.github.com/copilot_internal/v2/token",
            "https://api.business.example/models",
        ]
        assert json.loads(bench.path.read_text())["github-copilot"] == {
            "type": "oauth",
            "access": renewed.access,
            "refresh": "refresh-0",
            "expires": 1_001_800_000 - 300_000,
            "availableModelIds": ["gpt-5"],
            "future": "kept",
        }

    run(story())


@pytest.mark.parametrize("answer", [(500, b""), (200, b"<html>"), (200, b"{}"), UpstreamUnreachable("down")])
def test_a_copilot_login_keeps_its_models_when_the_list_cannot_be_had(
    tmp_path: Path, answer: tuple[int, bytes] | Exception
) -> None:
    async def story() -> None:
        bench = Bench(tmp_path, provider="github-copilot")
        bench.endpoint.script = [(200, b'{"token": "t", "expires_at": 1001800}'), answer]
        renewed = await bench.refresh(
            bench.write(1, availableModelIds=["old"], enterpriseUrl="company.ghe.com")
        )
        assert bench.endpoint.urls == [
            "https://api.company.ghe.com/copilot_internal/v2/token",
            "https://copilot-api.company.ghe.com/models",
        ]
        assert renewed.access == "t"
        assert renewed.extras == {"availableModelIds": ["old"], "enterpriseUrl": "company.ghe.com"}

    run(story())


def test_a_key_that_never_lapses_is_never_renewed(tmp_path: Path) -> None:
    async def story() -> None:
        bench = Bench(tmp_path, provider="openrouter")
        login = bench.write(2**53 - 1, refresh="")
        assert not bench.refresher.due(login)
        with pytest.raises(CredentialError, match="pi-model-proxy login openrouter"):
            await bench.refresh(login, refused=True)
        assert bench.endpoint.urls == []

    run(story())


def test_a_gateway_that_models_json_declares_is_asked_for_its_own_logins(tmp_path: Path) -> None:
    async def story() -> None:
        bench = Bench(tmp_path, provider="corp")
        login = bench.write(1)
        with pytest.raises(CredentialError, match="only pi itself"):
            await bench.refresh(login)
        bench.refresher.use_gateways({"corp": "gateway.corp.example/radius/"})
        assert (await bench.refresh(login)).access == "access-1"
        assert bench.endpoint.urls == ["https://gateway.corp.example/v1/oauth/token"]

    run(story())
