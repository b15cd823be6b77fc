"""Logins of every provider, against an authorization server that checks each request."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from pi_model_proxy.credentials import Clock
from pi_model_proxy.credentials.login import (
    LOGIN_PROVIDERS,
    Around,
    EndOfInput,
    LoginFailed,
    LoginRow,
    Method,
    log_in,
    login_row,
)
from pi_model_proxy.errors import UpstreamUnreachable
from support.authorization_server import AuthorizationServer
from support.login_entries import ENTRIES, NOW_S

DEVICE_ID = "6A4C7D52-9A73-4D51-A1C5-0D9A3C0B1F11"
IN_BROWSER = ("anthropic", "openai", "openai-codex", "openrouter", "radius")
BY_DEVICE = ("openai-codex", "github-copilot", "xai", "kimi-coding", "meta", "radius")


class Person:
    """Implements `Talk`: somebody at a terminal who does as the test says."""

    def __init__(self) -> None:
        self.shown: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.said: list[str] = []
        self.ticks = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, url: str, user_code: str = "") -> None:
        self.shown.put_nowait((url, user_code))

    async def paste(self, question: str) -> str:
        line = await self.lines.get()
        if line is None:
            raise EndOfInput
        return line

    def waiting(self, left_s: float) -> None:
        self.ticks += 1


class Bench:
    """A provider's server, a person, and a login between them."""

    def __init__(self, provider: str) -> None:
        self.server = AuthorizationServer(provider)
        self.person = Person()
        self.now_s = 0.0
        row = login_row(provider, {})
        assert row is not None
        self.row: LoginRow = row
        if row.browser is not None:  # the ports of pi may be taken on this machine
            self.row = msgspec.structs.replace(row, browser=msgspec.structs.replace(row.browser, port=0))
        self.environment: dict[str, str] = {}
        self.browser_wait_s = 60.0

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        status, answer = self.server.answer("POST" if body else "GET", url, headers, body)
        return status, json.dumps(answer).encode()

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def start(
        self, *, post: Callable[..., Awaitable[tuple[int, bytes]]] | None = None, **method: Any
    ) -> asyncio.Future[dict[str, Any]]:
        around = Around(
            post=post or self.post,
            environment=self.environment,
            device_id=DEVICE_ID,
            listed_models=("claude-x",),
            clock=Clock(now_s=lambda: NOW_S, monotonic_s=lambda: self.now_s),
            sleep=self.sleep,
            browser_wait_s=self.browser_wait_s,
        )
        return asyncio.ensure_future(log_in(self.row, Method(**method), around, self.person))

    async def page(self) -> str:
        return (await self.person.shown.get())[0]


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


async def browse(url: str, *, method: str = "GET") -> tuple[int, str]:
    """Do what a browser does with a redirect to this machine."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    writer.write(f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split()[1]), answer


def test_there_is_a_login_for_everything_that_pi_has_one_for() -> None:
    assert sorted(LOGIN_PROVIDERS) == sorted(ENTRIES)


@pytest.mark.parametrize("provider", IN_BROWSER)
def test_a_login_in_the_browser_gives_the_entry_that_pi_writes(provider: str) -> None:
    async def story() -> None:
        bench = Bench(provider)
        login = bench.start()
        status, page = await browse(bench.server.visit(await bench.page()))
        assert status == 200
        assert "cache-control: no-store" in page
        assert "secret" not in page
        assert await login == ENTRIES[provider]
        assert bench.server.granted == 1

    run(story())


@pytest.mark.parametrize("provider", BY_DEVICE)
def test_a_login_by_device_code_gives_the_entry_that_pi_writes(provider: str) -> None:
    async def story() -> None:
        bench = Bench(provider)
        pending = (403, {}) if provider == "openai-codex" else (400, {"error": "authorization_pending"})
        bench.server.script = [pending, (400, {"error": "slow_down"}), pending]
        login = bench.start(device=True)
        _, user_code = await bench.person.shown.get()
        assert user_code == "ABCD-1234"
        assert await login == ENTRIES[provider]
        assert bench.server.granted == 1
        assert bench.now_s == 1 + 1 + 6 + 6, "each poll waits its interval, which slow_down makes longer"
        assert bench.person.ticks >= 14, "waiting is shown every second"

    run(story())


@pytest.mark.parametrize("provider", IN_BROWSER)
def test_a_denied_login_says_so_and_asks_for_no_token(provider: str) -> None:
    async def story() -> None:
        bench = Bench(provider)
        login = bench.start()
        status, page = await browse(bench.server.visit(await bench.page(), denied=True))
        assert (status, "access_denied" in page) == (400, True)
        with pytest.raises(LoginFailed, match=f"{provider}: the provider said `access_denied`"):
            await login
        assert bench.server.granted == 0

    run(story())


@pytest.mark.parametrize("provider", [name for name in IN_BROWSER if name != "openrouter"])
def test_a_callback_with_another_state_is_refused_and_the_login_goes_on(provider: str) -> None:
    async def story() -> None:
        bench = Bench(provider)
        login = bench.start()
        right = bench.server.visit(await bench.page())
        for query in ("code=evil&state=wrong", "code=evil", "error=access_denied&state=wrong", "error=x"):
            status, page = await browse(f"{right.partition('?')[0]}?{query}")
            assert (status, "Not this login" in page) == (400, True)
        assert not login.done()
        assert (await browse(right))[0] == 200
        assert await login == ENTRIES[provider]
        assert bench.server.asked[-1][1] == bench.server.spec.token

    run(story())


def test_openrouters_random_path_stands_for_the_state() -> None:
    async def story() -> None:
        bench = Bench("openrouter")
        login = bench.start()
        right = bench.server.visit(await bench.page())
        parts = urlsplit(right)
        assert len(parts.path.rpartition("/")[2]) >= 32
        wrong = f"http://127.0.0.1:{parts.port}/oauth/callback/guess?{parts.query}"
        assert (await browse(wrong))[0] == 404
        assert (await browse(right, method="POST"))[0] == 405
        await browse(right)
        assert await login == ENTRIES["openrouter"]

    run(story())


def test_a_callback_that_comes_twice_is_exchanged_once() -> None:
    async def story() -> None:
        bench = Bench("openai-codex")
        gate = asyncio.Event()

        async def slow(*request: Any) -> tuple[int, bytes]:
            await gate.wait()
            return await bench.post(*request)

        login = bench.start(post=slow)
        address = bench.server.visit(await bench.page())
        first, second = await asyncio.gather(browse(address), browse(address), return_exceptions=True)
        statuses = sorted(answer[0] for answer in (first, second) if not isinstance(answer, BaseException))
        assert statuses in ([200], [200, 409]), "the second is told so, or finds the server closed"
        gate.set()
        assert await login == ENTRIES["openai-codex"]
        assert (bench.server.granted, bench.server.replayed) == (1, 0)

    run(story())


def test_a_code_that_was_used_before_is_refused_with_what_to_do() -> None:
    async def story() -> None:
        bench = Bench("anthropic")
        login = bench.start(headless=True)
        address = bench.server.visit(await bench.page())
        bench.person.lines.put_nowait(address)
        assert await login == ENTRIES["anthropic"]
        # Somebody pastes the same code into a second login: its state is another.
        again = bench.start(headless=True)
        await bench.page()
        bench.person.lines.put_nowait(address)
        bench.person.lines.put_nowait("code-secret-0")
        with pytest.raises(
            LoginFailed, match=r"refused the code .HTTP 400 invalid_grant.*start again"
        ) as caught:
            await again
        assert "code-secret" not in str(caught.value)
        assert any("another attempt" in said for said in bench.person.said)
        assert bench.server.replayed == 1

    run(story())


@pytest.mark.parametrize("form", ["address", "code#state", "query", "code"])
def test_on_a_headless_machine_the_code_is_pasted(form: str) -> None:
    async def story() -> None:
        bench = Bench("anthropic")
        login = bench.start(headless=True)
        page = await bench.page()
        assert "platform.claude.com%2Foauth%2Fcode%2Fcallback" in page
        address = bench.server.visit(page)
        query = urlsplit(address).query
        fields = dict(part.split("=") for part in query.split("&"))
        pasted = {
            "address": f"  {address}\t",
            "code#state": f"{fields['code']}#{fields['state']}",
            "query": f"?{query}",
            "code": fields["code"],
        }
        bench.person.lines.put_nowait("")
        bench.person.lines.put_nowait(pasted[form])
        assert await login == ENTRIES["anthropic"]

    run(story())


@pytest.mark.parametrize("provider", IN_BROWSER)
def test_the_address_of_the_last_page_can_be_pasted_where_the_callback_cannot_be_reached(
    provider: str,
) -> None:
    async def story() -> None:
        bench = Bench(provider)
        login = bench.start()
        bench.person.lines.put_nowait(bench.server.visit(await bench.page()))
        assert await login == ENTRIES[provider]

    run(story())


def test_a_pasted_address_of_another_attempt_is_asked_for_again() -> None:
    async def story() -> None:
        bench = Bench("openai")
        login = bench.start()
        right = bench.server.visit(await bench.page())
        for wrong in ("http://127.0.0.1/?code=x&state=wrong&client_id=y", "just-a-code", "http://[::1"):
            bench.person.lines.put_nowait(wrong)
        bench.person.lines.put_nowait(right)
        assert await login == ENTRIES["openai"]
        refusals = [said for said in bench.person.said if said.startswith("That cannot be used")]
        assert len(refusals) == 3
        assert "client_id" in refusals[1]

    run(story())


@pytest.mark.parametrize("provider", ["openai-codex", "openai", "radius"])
def test_a_taken_port_is_named_and_pasting_is_left(provider: str) -> None:
    async def story() -> None:
        bench = Bench(provider)
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            browser = bench.row.browser
            assert browser is not None
            bench.row = msgspec.structs.replace(
                bench.row, browser=msgspec.structs.replace(browser, port=port)
            )
            login = bench.start()
            address = bench.server.visit(await bench.page())
            assert urlsplit(address).port == port
            assert f"Port {port} of 127.0.0.1 cannot be listened on" in bench.person.said[0]
            bench.person.lines.put_nowait(address)
            assert await login == ENTRIES[provider]

    run(story())


def test_anthropic_takes_another_port_when_its_own_is_taken() -> None:
    async def story() -> None:
        bench = Bench("anthropic")
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            browser = bench.row.browser
            assert browser is not None
            port = holder.getsockname()[1]
            bench.row = msgspec.structs.replace(
                bench.row, browser=msgspec.structs.replace(browser, port=port)
            )
            login = bench.start()
            address = bench.server.visit(await bench.page())
            assert urlsplit(address).port != port
            await browse(address)
            assert await login == ENTRIES["anthropic"]

    run(story())


def test_a_taken_port_and_nobody_to_paste_end_the_login() -> None:
    async def story() -> None:
        bench = Bench("openai-codex")
        bench.environment["PI_OAUTH_CALLBACK_HOST"] = "203.0.113.1"  # no address of this machine
        bench.person.lines.put_nowait(None)
        with pytest.raises(LoginFailed, match="nothing to paste into"):
            await bench.start()

    run(story())


def test_without_anybody_to_paste_the_browser_is_still_waited_for() -> None:
    async def story() -> None:
        bench = Bench("anthropic")
        bench.person.lines.put_nowait(None)
        login = bench.start()
        await browse(bench.server.visit(await bench.page()))
        assert await login == ENTRIES["anthropic"]

    run(story())


def test_a_login_that_nobody_finishes_ends_by_itself() -> None:
    async def story() -> None:
        bench = Bench("anthropic")
        bench.browser_wait_s = 0.05
        with pytest.raises(LoginFailed, match="nobody logged in within"):
            await bench.start()

    run(story())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((400, {"error": "access_denied"}), "denied in the browser"),
        ((400, {"error": "expired_token"}), "has lapsed"),
        ((400, {"error": "free text with device-secret"}), "HTTP 400"),
        ((500, {}), "HTTP 500"),
    ],
)
@pytest.mark.parametrize("provider", ["github-copilot", "xai", "kimi-coding", "meta", "radius"])
def test_a_device_login_that_is_refused_says_why(
    provider: str, answer: tuple[int, dict[str, Any]], words: str
) -> None:
    async def story() -> None:
        bench = Bench(provider)
        bench.server.script = [(400, {"error": "authorization_pending"}), answer]
        with pytest.raises(LoginFailed, match=words) as caught:
            await bench.start(device=True)
        assert "device-secret" not in str(caught.value)
        assert bench.server.granted == 0

    run(story())


@pytest.mark.parametrize("provider", BY_DEVICE)
def test_a_device_code_that_nobody_uses_lapses(provider: str) -> None:
    async def story() -> None:
        bench = Bench(provider)
        pending = (404, {}) if provider == "openai-codex" else (400, {"error": "authorization_pending"})
        bench.server.script = [pending] * 2000
        bench.server.interval_s = 60
        with pytest.raises(LoginFailed, match="lapsed before it was used"):
            await bench.start(device=True)
        assert bench.now_s == (900 if provider == "openai-codex" else 600)

    run(story())


def test_a_short_outage_does_not_cost_a_device_login_and_a_long_one_does() -> None:
    async def story() -> None:
        bench = Bench("xai")
        failures = [4]

        async def shaky(url: str, *rest: Any) -> tuple[int, bytes]:
            if url.endswith("/token") and failures[0]:
                failures[0] -= 1
                raise UpstreamUnreachable("down")
            return await bench.post(url, *rest)

        assert await bench.start(post=shaky) == ENTRIES["xai"]
        failures[0] = 5
        with pytest.raises(LoginFailed, match="does not answer"):
            await bench.start(post=shaky)

    run(story())


@pytest.mark.parametrize(
    "page",
    [
        "file:///etc/passwd",
        "file://host/etc/passwd",
        "vscode://x/y",
        "javascript:alert(1)",
        "https://x\u001b[31m/",
        "",
        None,
        "https://",
    ],
)
def test_a_page_that_is_no_web_address_is_never_opened(page: str | None) -> None:
    async def story() -> None:
        bench = Bench("xai")

        async def evil(url: str, *rest: Any) -> tuple[int, bytes]:
            answer = {"device_code": "d", "user_code": "u", "verification_uri": page, "expires_in": 60}
            return 200, json.dumps(answer).encode()

        with pytest.raises(LoginFailed, match="web address"):
            await bench.start(post=evil)
        assert bench.person.shown.empty()

    run(story())


def test_an_enterprise_login_asks_the_enterprise() -> None:
    async def story() -> None:
        bench = Bench("github-copilot")

        async def enterprise(url: str, *rest: Any) -> tuple[int, bytes]:
            assert "company.ghe.com" in url or url.startswith("https://api.business.githubcopilot.com/models")
            return await bench.post(url.replace("company.ghe.com", "github.com"), *rest)

        entry = await bench.start(post=enterprise, enterprise="company.ghe.com")
        assert entry == {**ENTRIES["github-copilot"], "enterpriseUrl": "company.ghe.com"}

    run(story())


def test_only_the_policies_of_listed_models_are_accepted() -> None:
    async def story() -> None:
        bench = Bench("github-copilot")
        await bench.start()
        accepted = [url for method, url in bench.server.asked if url.endswith("/policy")]
        assert accepted == ["https://api.business.githubcopilot.com/models/claude-x/policy"]

    run(story())


@pytest.mark.parametrize(
    ("provider", "lacking"),
    [
        ("anthropic", {"refresh_token": ""}),
        ("openai", {"id_token": None}),
        ("openai", {"scope": "openid"}),
        ("openai-codex", {"access_token": "opaque"}),
        ("radius", {"access_token": None}),
    ],
)
def test_an_answer_that_lacks_what_requests_need_is_no_login(provider: str, lacking: dict[str, Any]) -> None:
    async def story() -> None:
        bench = Bench(provider)

        async def poor(url: str, *rest: Any) -> tuple[int, bytes]:
            status, body = await bench.post(url, *rest)
            answer = json.loads(body)
            return status, json.dumps({**answer, **lacking} if "access_token" in answer else answer).encode()

        login = bench.start(post=poor)
        await browse(bench.server.visit(await bench.page()))
        with pytest.raises(LoginFailed, match=rf"{provider}: the (answer|token|account)"):
            await login

    run(story())


@pytest.mark.parametrize("what", ["TOKEN", "AUTHORIZE", "DEVICE"])
def test_each_address_can_be_led_elsewhere_but_not_to_plain_http(what: str) -> None:
    async def story() -> None:
        provider = "xai" if what == "DEVICE" else "anthropic"
        bench = Bench(provider)
        variable = f"PI_MODEL_PROXY_{provider.upper()}_{what}_URL"
        bench.environment[variable] = "http://corp.example/x"
        with pytest.raises(LoginFailed, match=variable):
            login = bench.start(headless=True)
            if what == "TOKEN":
                bench.person.lines.put_nowait(bench.server.visit(await bench.page()))
            await login
        bench.environment[variable] = "http://127.0.0.1:9/x"
        asked: list[str] = []

        async def noting(url: str, *rest: Any) -> tuple[int, bytes]:
            asked.append(url)
            raise UpstreamUnreachable("down")

        login = bench.start(post=noting, headless=True)
        if what != "DEVICE":
            page = await bench.page()
            assert page.startswith("http://127.0.0.1:9/x?") is (what == "AUTHORIZE")
            bench.person.lines.put_nowait("some-code")
        with pytest.raises(LoginFailed, match="does not answer"):
            await login
        expected = (
            "https://platform.claude.com/v1/oauth/token" if what == "AUTHORIZE" else "http://127.0.0.1:9/x"
        )
        assert asked == [expected]

    run(story())


def test_a_gateway_of_models_json_has_a_login_of_its_own() -> None:
    row = login_row("corp", {"corp": "gateway.corp.example/base"})
    assert row is not None
    assert row.browser is not None
    assert row.device is not None
    assert row.browser.discovery == "https://gateway.corp.example/v1/oauth"
    assert row.device.url == "https://gateway.corp.example/v1/oauth/device"
    assert login_row("groq", {}) is None


@pytest.mark.parametrize(
    "page",
    [
        "http://login.evil.example/",
        "http://",
        "https://",
        "file:///etc/passwd",
        "https://[",
        "https://x\u001b[31m/",
        None,
    ],
)
def test_a_gateway_that_is_asked_by_https_cannot_send_a_login_to_plain_http(page: str | None) -> None:
    async def story() -> None:
        bench = Bench("radius")

        async def evil(url: str, *rest: Any) -> tuple[int, bytes]:
            return 200, json.dumps({"authorizationEndpoint": page}).encode()

        with pytest.raises(LoginFailed, match=r"radius\.pi\.dev/v1/oauth"):
            await bench.start(post=evil)
        assert bench.person.shown.empty()

    run(story())
