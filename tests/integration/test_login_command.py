"""`pi-model-proxy login`, `logout` and `accounts` as a person runs them, against a scripted authorization server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.credentials import OAuthCredential, Refresher
from pi_model_proxy.transport.http1 import Http1Transport
from support.authorization_server import COPILOT_TOKEN, GITHUB_TOKEN, AuthorizationServer, listening

PATIENCE_S = 60
OTHERS: dict[str, Any] = {
    "groq": {"type": "api_key", "key": "kept", "strange": [1]},
    "old": {"type": "oauth"},
}
BROWSER = """\
#!{python}
import sys, urllib.error, urllib.request
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(sys.argv[1], timeout=20).read()
except urllib.error.HTTPError:
    pass
"""


class Machine:
    """A home folder with pi's files, and a provider that can be reached from it."""

    def __init__(self, folder: Path, provider: str) -> None:
        self.home = folder
        self.agent_dir = folder / "agent"
        self.agent_dir.mkdir()
        self.auth_json = self.agent_dir / "auth.json"
        self.auth_json.write_text(json.dumps(OTHERS, indent=2))
        self.auth_json.chmod(0o600)
        self.server = AuthorizationServer(provider)
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "PI_CODING_AGENT_DIR": str(self.agent_dir),
        }

    def use(self, origin: str) -> None:
        stem = f"PI_MODEL_PROXY_{self.server.provider.upper().replace('-', '_')}"
        for what in ("TOKEN", "AUTHORIZE", "DEVICE"):
            self.environment[f"{stem}_{what}_URL"] = f"{origin}/{what.lower()}"

    def install_browser(self) -> None:
        browser = self.home / "browser"
        browser.write_text(BROWSER.format(python=sys.executable))
        browser.chmod(0o700)
        self.environment["BROWSER"] = str(browser)

    def start(self, words: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Run:
        return Run(
            [sys.executable, "-m", "pi_model_proxy", *words], {**self.environment, **(environment or {})}
        )

    def run(self, *words: str, typed: str = "") -> tuple[int, str]:
        run = self.start(words)
        return run.finish(typed)

    def entries(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.auth_json.read_text())
        return content

    def is_untouched(self) -> bool:
        return self.auth_json.read_text() == json.dumps(OTHERS, indent=2) and sorted(
            each.name for each in self.agent_dir.iterdir()
        ) == ["auth.json"]


class Run:
    """One run of the command; what it prints is kept as it comes."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.printed = ""
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._grown:
                self.printed += line
                self._grown.notify_all()

    def wait_for(self, text: str) -> None:
        with self._grown:
            assert self._grown.wait_for(lambda: text in self.printed, PATIENCE_S), self.printed

    def page(self) -> str:
        """Return the address that is shown."""
        self.wait_for("http")
        self.wait_for("\n\n")
        return next(word for word in self.printed.split() if word.startswith("http") and "?" in word)

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def finish(self, typed: str = "") -> tuple[int, str]:
        assert self.process.stdin is not None
        if typed:
            self.type(typed)
        self.process.stdin.close()
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status, self.printed


@contextmanager
def machine(folder: Path, provider: str) -> Iterator[Machine]:
    made = Machine(folder, provider)
    with listening(made.server) as origin:
        made.use(origin)
        yield made


def test_a_login_in_the_browser_ends_in_pis_file_and_shows_no_secret(tmp_path: Path) -> None:
    with machine(tmp_path, "anthropic") as here:
        here.install_browser()
        status, printed = here.run("login", "anthropic")
        assert status == 0, printed
        assert (
            "Logged in to Anthropic (Claude Pro/Max); the login is in ~/agent/auth.json, for pi too."
            in printed
        )
        assert "extra usage" in printed, "the terms are told before"
        assert "secret" not in printed
        entry = here.entries().pop("anthropic")
        assert abs(entry.pop("expires") - (time.time() + 3600 - 300) * 1000) < 60_000
        assert entry == {"type": "oauth", "access": "access-secret", "refresh": "refresh-secret"}
        assert {name: here.entries()[name] for name in OTHERS} == OTHERS
        assert stat.S_IMODE(here.auth_json.stat().st_mode) == 0o600
        assert sorted(each.name for each in here.agent_dir.iterdir()) == ["auth.json"]
        _, told = here.run("accounts", "--json")
        account = next(each for each in json.loads(told)["accounts"] if each["provider"] == "anthropic")
        assert (account["usable"], account["account"], account["renewed_here"]) == (True, "oauth", True)
        assert account["terms"]["source"].startswith("https://")
        assert "secret" not in told


def test_a_denied_login_changes_nothing(tmp_path: Path) -> None:
    with machine(tmp_path, "anthropic") as here:
        here.install_browser()
        here.server.mood = "denies"
        status, printed = here.run("login", "anthropic")
        assert (status, here.is_untouched()) == (1, True)
        assert "pi-model-proxy: error: anthropic: the provider said `access_denied`" in printed


def test_a_callback_with_a_wrong_state_does_not_count_and_the_right_address_still_does(
    tmp_path: Path,
) -> None:
    with machine(tmp_path, "anthropic") as here:
        here.install_browser()
        here.server.mood = "forges"
        run = here.start(["login", "anthropic"])
        page = run.page()
        run.wait_for("paste the address")
        run.type("http://localhost:1/callback?code=x&state=forged")
        run.wait_for("belongs to another")
        assert here.is_untouched()
        here.server.mood = "grants"
        status, printed = run.finish(here.server.visit(page))
        assert status == 0, printed
        assert here.server.granted == 1
        assert here.entries()["anthropic"]["access"] == "access-secret"


def test_on_a_headless_machine_the_code_is_pasted_and_a_used_one_is_refused(tmp_path: Path) -> None:
    with machine(tmp_path, "anthropic") as here:
        run = here.start(["login", "anthropic", "--no-browser"])
        address = here.server.visit(run.page())
        status, printed = run.finish(address)
        assert status == 0, printed
        here.auth_json.write_text(json.dumps(OTHERS, indent=2))
        code = address.partition("code=")[2].partition("&")[0]
        status, printed = here.run("login", "anthropic", "--no-browser", typed=code)
        assert (status, here.is_untouched()) == (1, True)
        assert "refused the code (HTTP 400 invalid_grant)" in printed
        assert here.server.replayed == 1


@contextmanager
def holding(port: int) -> Iterator[None]:
    """Listen on a port of pi's, once whoever may have it (another test's pi, say) is done with it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                holder.bind(("127.0.0.1", port))
                holder.listen()
                break
            except OSError:
                assert time.monotonic() < until_s, f"port {port} stays taken"
                time.sleep(0.1)
        yield


def test_a_taken_port_is_named_and_the_address_is_pasted(tmp_path: Path) -> None:
    with machine(tmp_path, "openai-codex") as here, holding(1455):
        run = here.start(["login", "openai-codex"])
        address = here.server.visit(run.page())
        status, printed = run.finish(address)
        assert status == 0, printed
        assert "Port 1455 of 127.0.0.1 cannot be listened on" in printed
        assert "`pi-model-proxy login openai-codex --device` needs no browser on this machine." in printed
        assert here.entries()["openai-codex"]["accountId"] == "account-7"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("", 0, "Logged in to xAI"),
        ("access_denied", 1, "denied in the browser"),
        ("expired_token", 1, "has lapsed before it was used"),
    ],
)
def test_a_device_code_is_shown_and_waited_for(tmp_path: Path, code: str, status: int, words: str) -> None:
    with machine(tmp_path, "xai") as here:
        here.server.script = [(400, {"error": code})] if code else []
        ended, printed = here.run("login", "XAI")
        assert (ended, words in printed) == (status, True), printed
        assert "https://login.example/device?code=ABCD-1234" in printed
        assert "and enter the code  ABCD-1234" in printed
        assert here.is_untouched() is (status != 0)


def test_ctrl_c_ends_a_login_at_once_and_changes_nothing(tmp_path: Path) -> None:
    with machine(tmp_path, "anthropic") as here:
        run = here.start(["login", "anthropic"])
        run.wait_for("Paste the code")
        os.killpg(run.process.pid, signal.SIGINT)
        status, printed = run.finish()
        assert (status, here.is_untouched()) == (130, True)
        assert printed.endswith("pi-model-proxy: note: given up; nothing was stored\n")
        assert "Traceback" not in printed


def test_a_stored_key_is_replaced_only_when_that_is_meant(tmp_path: Path) -> None:
    with machine(tmp_path, "kimi-coding") as here:
        kept = {**OTHERS, "kimi-coding": {"type": "api_key", "key": "k"}}
        here.auth_json.write_text(json.dumps(kept))
        status, printed = here.run("login", "kimi-coding")
        assert status == 1
        assert "say --yes if that is meant" in printed
        assert here.entries() == kept
        status, printed = here.run("login", "kimi-coding", "--yes")
        assert status == 0, printed
        assert here.entries()["kimi-coding"]["type"] == "oauth"


def test_a_logout_takes_the_login_out_and_says_what_is_used_then(tmp_path: Path) -> None:
    here = Machine(tmp_path, "xai")
    login = {"type": "oauth", "access": "access-secret", "refresh": "r", "expires": 4_000_000_000_000}
    here.auth_json.write_text(json.dumps({"xai": login, **OTHERS}, indent=2))
    here.environment["XAI_API_KEY"] = "key-secret"
    status, printed = here.run("logout", "xai")
    assert (status, printed) == (
        0,
        "Took the login of xai out of ~/agent/auth.json.\nIt is still used, with $XAI_API_KEY.\n",
    )
    assert here.is_untouched()
    status, printed = here.run("logout", "xia")
    assert status == 1
    assert "holds nothing for 'xia'" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["login", "antropic"], "did you mean anthropic?"),
        (["login", "groq"], "groq has no login, only keys: set GROQ_API_KEY"),
        (["login", "anthropic", "--device"], "has no login by device code"),
        (["login", "xai", "--enterprise", "x.example"], "--enterprise is for github-copilot only"),
        (["login", "github-copilot", "--enterprise", "a b"], "no domain"),
        (["logout"], "say which provider"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    here = Machine(tmp_path, "anthropic")
    status, printed = here.run(*words)
    assert (status, said in printed, printed.count("\n")) == (2, True, 1), printed
    assert here.is_untouched()


def test_a_login_that_cannot_be_stored_says_why(tmp_path: Path) -> None:
    with machine(tmp_path, "xai") as here:
        here.auth_json.write_text("{ broken")
        status, printed = here.run("login", "xai")
        assert status == 1
        assert "the login was made, but not stored: auth.json cannot be understood now" in printed
        assert here.auth_json.read_text() == "{ broken"


def test_a_copilot_login_is_renewed_over_the_wire_with_a_get(tmp_path: Path) -> None:
    async def story(here: Machine) -> None:
        transport = Http1Transport(here.environment)

        async def post(
            url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
        ) -> tuple[int, bytes]:
            if url.startswith("http://127.0.0.1"):
                return await transport.post(url, headers, body, timeout_s)
            status, answer = here.server.answer("POST" if body else "GET", url, headers, body)
            return status, json.dumps(answer).encode()

        refresher = Refresher(here.auth_json, post=post, environment=here.environment)
        login = OAuthCredential(access="old", refresh=GITHUB_TOKEN, expires_ms=1.0)
        renewed = await refresher.refreshed("github-copilot", login)
        assert isinstance(renewed, OAuthCredential)
        assert renewed.access == COPILOT_TOKEN
        await refresher.close()
        await transport.close()

    with machine(tmp_path, "github-copilot") as here:
        stored = {"type": "oauth", "access": "old", "refresh": GITHUB_TOKEN, "expires": 1, "strange": 1}
        here.auth_json.write_text(json.dumps({**OTHERS, "github-copilot": stored}))
        asyncio.run(asyncio.wait_for(story(here), PATIENCE_S))
        assert here.server.asked[0] == ("GET", "https://api.github.com/copilot_internal/v2/token")
        entry = here.entries()["github-copilot"]
        assert entry["availableModelIds"] == ["claude-haiku-4.5", "claude-x", "unlisted"]
        assert entry["strange"] == 1
