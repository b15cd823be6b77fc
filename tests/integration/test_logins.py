"""Subscription logins through the installed command: refreshed once, sent as pi sends them, never lost."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gateway_process import GatewayProcess, running_gateway
from support.strict_provider import Login, Options, StrictProvider, TokenDesk, TokenTrouble

NOW_MS = int(time.time() * 1000)
SOON_MS = NOW_MS + 60_000
LATER_MS = NOW_MS + 86_400_000
CLAUDE = "anthropic/claude-sonnet-4-5"
HELLO = [{"role": "user", "content": "hi"}]
IDENTITY = "You are Claude Code, Anthropic's official CLI for Claude."


def write_login(folder: Path, origin: str, name: str, login: Login, expires: int, **extras: Any) -> None:
    folder.mkdir(exist_ok=True)
    entry = {"type": "oauth", "access": login.access, "refresh": login.refresh, "expires": expires, **extras}
    other = {"type": "api_key", "key": "untouched", "strange": [1, 2]}
    (folder / "auth.json").write_text(json.dumps({"groq": other, name: entry, "zai": other}, indent=2))
    (folder / "auth.json").chmod(0o600)
    base_url = origin if name == "anthropic" else f"{origin}/v1"
    (folder / "models.json").write_text(json.dumps({"providers": {name: {"baseUrl": base_url}}}))


@contextmanager
def logged_in(
    tmp_path: Path, *, expires: int, name: str = "anthropic", desk: TokenDesk | None = None, **extras: Any
) -> Iterator[tuple[GatewayProcess, StrictProvider, Login]]:
    desk = desk or TokenDesk()
    with StrictProvider.running(Options(keys=frozenset({"none"})), desk=desk) as provider:
        login = desk.issue()
        agent_dir = tmp_path / "agent"
        write_login(agent_dir, provider.origin, name, login, expires, **extras)
        variable = f"PI_MODEL_PROXY_{name.upper()}_TOKEN_URL"
        environment = {variable: f"{provider.origin}/oauth/token"}
        with running_gateway(tmp_path, agent_dir=agent_dir, environment=environment) as gateway:
            yield gateway, provider, login


def stored(tmp_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tmp_path / "agent" / "auth.json").read_text())
    return content


def messages(**fields: Any) -> dict[str, Any]:
    return {"model": CLAUDE, "max_tokens": 100, "messages": HELLO, **fields}


def test_a_login_is_sent_as_pi_sends_it_and_no_more(tmp_path: Path) -> None:
    with logged_in(tmp_path, expires=LATER_MS) as (gateway, provider, login):
        answer = gateway.post(
            "/v1/messages",
            messages(system="Be brief.", tools=[{"name": "read", "input_schema": {"type": "object"}}]),
        )
        assert answer.status == 200, answer.text
        sent = provider.diary.last()
        assert sent.header("authorization") == f"Bearer {login.access}"
        assert sent.header("x-api-key") is None
        assert (sent.header("anthropic-beta") or "").startswith("claude-code-20250219,oauth-2025-04-20")
        assert (sent.header("user-agent") or "").startswith("claude-cli/")
        assert sent.header("x-app") == "cli"
        assert sent.header("x-pi-model-proxy-hop") is None or provider.origin.startswith("http://127.0.0.1")
        assert [block["text"] for block in sent.body["system"]] == [IDENTITY, "Be brief."]
        assert sent.body["tools"][0]["name"] == "Read"
        assert provider.desk.refreshes == 0
        assert gateway.log(1)[0]["account"] == "oauth"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_tool_names_come_back_as_the_caller_wrote_them(tmp_path: Path, path: str, *, stream: bool) -> None:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    tools: list[dict[str, Any]] = (
        [{"name": "read", "description": "d", "input_schema": schema}]
        if path == "/v1/messages"
        else [{"type": "function", "function": {"name": "read", "description": "d", "parameters": schema}}]
    )
    with logged_in(tmp_path, expires=LATER_MS) as (gateway, provider, _):
        body = messages(
            tools=tools, stream=stream, messages=[{"role": "user", "content": "script:tool_loop go"}]
        )
        answer = gateway.post(path, body)
        assert answer.status == 200, answer.text
        assert provider.diary.last().body["tools"][0]["name"] == "Read"
        assert '"name":"read"' in answer.text.replace(" ", "")
        assert '"Read"' not in answer.text


def test_a_login_about_to_lapse_is_refreshed_once_for_everybody(tmp_path: Path) -> None:
    with logged_in(tmp_path, expires=SOON_MS) as (gateway, provider, login):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: gateway.post("/v1/messages", messages()), range(8)))
        assert [answer.status for answer in answers] == [200] * 8
        assert (provider.desk.refreshes, provider.desk.reuses) == (1, 0)
        entry = stored(tmp_path)["anthropic"]
        assert entry["access"] != login.access
        assert entry["expires"] > LATER_MS - 86_400_000 + 3_600_000
        assert list(stored(tmp_path)) == ["groq", "anthropic", "zai"]
        assert stored(tmp_path)["groq"] == {"type": "api_key", "key": "untouched", "strange": [1, 2]}
        assert stat.S_IMODE((tmp_path / "agent" / "auth.json").stat().st_mode) == 0o600
        assert sorted(file.name for file in (tmp_path / "agent").iterdir()) == ["auth.json", "models.json"]
        assert provider.desk.logged_in()


def test_a_stale_401_leads_to_one_refresh_and_one_more_try(tmp_path: Path) -> None:
    with logged_in(tmp_path, expires=LATER_MS) as (gateway, provider, login):
        provider.desk.expire(login.access)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: gateway.post("/v1/messages", messages(stream=True)), range(4)))
        assert [answer.status for answer in answers] == [200] * 4
        assert (provider.desk.refreshes, provider.desk.reuses) == (1, 0)


def test_a_token_that_pi_has_renewed_meanwhile_is_used_at_once(tmp_path: Path) -> None:
    with logged_in(tmp_path, expires=LATER_MS) as (gateway, provider, login):
        assert gateway.post("/v1/messages", messages()).status == 200
        renewed = provider.desk.issue()
        provider.desk.expire(login.access)
        write_login(tmp_path / "agent", provider.origin, "anthropic", renewed, LATER_MS)
        assert gateway.post("/v1/messages", messages()).status == 200
        assert provider.diary.last().header("authorization") == f"Bearer {renewed.access}"
        assert provider.desk.refreshes == 0


def test_a_refresh_that_fails_says_what_to_do_and_costs_nothing(tmp_path: Path) -> None:
    lapsed = NOW_MS - 1000
    with logged_in(tmp_path, expires=lapsed) as (gateway, provider, login):
        provider.desk.trouble(*[TokenTrouble(status=500)] * 20)
        before = (tmp_path / "agent" / "auth.json").read_bytes()
        answer = gateway.post("/v1/messages", messages())
        assert answer.status == 502
        assert "/login" in answer.json()["error"]["message"] or "again" in answer.json()["error"]["message"]
        assert login.refresh not in answer.text
        assert login.access not in gateway.printed() + json.dumps(gateway.log(1))
        assert (tmp_path / "agent" / "auth.json").read_bytes() == before
        assert not (tmp_path / "agent" / "auth.json.lock").exists()


def test_a_caller_that_leaves_does_not_stop_a_refresh(tmp_path: Path) -> None:
    with logged_in(tmp_path, expires=SOON_MS) as (gateway, provider, login):
        provider.desk.trouble(TokenTrouble(gate="token"))
        with pytest.raises(TimeoutError):
            gateway.post("/v1/messages", messages(), timeout_s=0.3)
        provider.open_gate("token")
        gateway.wait_for(lambda: stored(tmp_path)["anthropic"]["refresh"] != login.refresh, "the write")
        assert provider.desk.refreshes == 1


def test_a_read_only_agent_dir_serves_and_never_refreshes(tmp_path: Path) -> None:
    with logged_in(tmp_path, expires=SOON_MS) as (gateway, provider, _):
        lock = tmp_path / "agent" / "auth.json.lock"
        assert not lock.exists()
        assert gateway.post("/v1/messages", messages()).status == 200
        assert provider.desk.refreshes == 1


def test_a_chatgpt_login_leaves_out_what_its_backend_refuses(tmp_path: Path) -> None:
    desk = TokenDesk(access_format="jwt")
    with logged_in(
        tmp_path, expires=SOON_MS, name="openai", desk=desk, clientId="issued-client", scopes=["x"]
    ) as (gateway, provider, _):
        body = {"model": "openai/gpt-5-mini", "messages": HELLO, "max_tokens": 50, "temperature": 0.5}
        answer = gateway.post("/v1/chat/completions", body)
        assert answer.status == 200, answer.text
        assert desk.refreshes == 1
        assert stored(tmp_path)["openai"]["clientId"] == "issued-client"
        assert provider.diary.last().path == "/v1/responses"


def test_switched_off_logins_are_not_used(tmp_path: Path) -> None:
    desk = TokenDesk()
    with StrictProvider.running(desk=desk) as provider:
        write_login(tmp_path / "agent", provider.origin, "anthropic", desk.issue(), LATER_MS)
        with running_gateway(tmp_path, "--subscriptions", "false", agent_dir=tmp_path / "agent") as gateway:
            assert (
                gateway.get("/v1/models").json()["data"] == []
                or "anthropic/" not in gateway.get("/v1/models").text
            )
            assert gateway.post("/v1/messages", messages()).status == 404
            assert provider.diary.arrivals() == []


def test_the_terms_of_a_subscription_are_told_once_at_start(tmp_path: Path) -> None:
    with logged_in(tmp_path, expires=LATER_MS) as (gateway, _, __):
        gateway.wait_for(lambda: "extra usage" in gateway.printed(), "the note")
        gateway.post("/v1/messages", messages())
        gateway.post("/v1/messages", messages())
        assert gateway.printed().count("extra usage") == 1
