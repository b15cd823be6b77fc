"""An authorization server that follows a script: strict about every request, and it never takes a code twice.

It stands for all nine providers at their real addresses (`answer` is called with the URL that would be asked), and can
listen on loopback as well. Every literal is pi-ai 1.5.2's,
`dist/auth/oauth/<provider>.js`, written down here a second time on purpose.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from typing_extensions import override

__all__ = [
    "COPILOT_TOKEN",
    "GITHUB_TOKEN",
    "IDENTITY_TOKEN",
    "SPECS",
    "AuthorizationServer",
    "Spec",
    "listening",
]

GITHUB_TOKEN: Final = "ghu_identity-secret"
IDENTITY_TOKEN: Final = "meta-identity-secret"
COPILOT_TOKEN: Final = "tid=1;proxy-ep=proxy.business.githubcopilot.com;secret"
LIFETIME_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a provider insists on."""

    token: str
    client_id: str = ""
    is_json: bool = False
    authorize: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    """Parameters that must be exactly so."""
    more: frozenset[str] = frozenset()
    """Parameters that must be there too."""
    redirect: str = ""
    """How the redirect must look, with `PORT` for its port."""
    exchange: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    device_fields: Mapping[str, str] = field(default_factory=dict)
    poll: str = ""


PKCE: Final = frozenset({"code_challenge", "code_challenge_method", "state", "redirect_uri"})
SPECS: Final[Mapping[str, Spec]] = {
    "anthropic": Spec(
        authorize="https://claude.ai/oauth/authorize",
        token="https://platform.claude.com/v1/oauth/token",
        client_id="9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        is_json=True,
        query={
            "code": "true",
            "response_type": "code",
            "scope": "org:create_api_key user:profile user:inference user:sessions:claude_code user:mcp_servers "
            "user:file_upload",
        },
        more=PKCE,
        redirect="http://localhost:PORT/callback",
        exchange={"grant_type": "authorization_code"},
    ),
    "openai-codex": Spec(
        authorize="https://auth.openai.com/oauth/authorize",
        token="https://auth.openai.com/oauth/token",
        client_id="app_EMoamEEZ73f0CkXaXp7hrann",
        query={
            "response_type": "code",
            "scope": "openid profile email offline_access",
            "id_token_add_organizations": "true",
            "codex_cli_simplified_flow": "true",
            "originator": "pi",
        },
        more=PKCE,
        redirect="http://localhost:PORT/auth/callback",
        exchange={"grant_type": "authorization_code"},
        device="https://auth.openai.com/api/accounts/deviceauth/usercode",
        poll="https://auth.openai.com/api/accounts/deviceauth/token",
    ),
    "openai": Spec(
        authorize="https://auth.openai.com/api/accounts/authorize",
        token="https://auth.openai.com/api/accounts/oauth/token",
        client_id="dynamic_agent_client",
        query={
            "response_type": "code",
            "agent_name_hint": "Pi",
            "resource": "https://api.openai.com/v1",
            "scope": "openid profile email offline_access resource.invoke chatgpt.tokens.use.direct",
            "ext_agent_host_id": "urn:uuid:6a4c7d52-9a73-4d51-a1c5-0d9a3c0b1f11",
        },
        more=PKCE | {"nonce"},
        redirect="http://127.0.0.1:PORT/auth/callback",
        exchange={"grant_type": "authorization_code", "resource": "https://api.openai.com/v1"},
    ),
    "openrouter": Spec(
        authorize="https://openrouter.ai/auth",
        token="https://openrouter.ai/api/v1/auth/keys",
        is_json=True,
        more=frozenset({"code_challenge", "code_challenge_method", "callback_url"}),
        redirect="http://127.0.0.1:PORT/oauth/callback/",
        exchange={"code_challenge_method": "S256"},
    ),
    "radius": Spec(
        authorize="https://radius.pi.dev/authorize",
        token="https://radius.pi.dev/v1/oauth/token",
        client_id="pi-gateway",
        query={"response_type": "code", "scope": "gateway offline_access", "handoff": "url"},
        more=PKCE,
        redirect="http://127.0.0.1:PORT/oauth/callback",
        exchange={"grant_type": "authorization_code"},
        device="https://radius.pi.dev/v1/oauth/device",
        device_fields={"scope": "gateway offline_access"},
        poll="https://radius.pi.dev/v1/oauth/token",
    ),
    "github-copilot": Spec(
        token="https://api.github.com/copilot_internal/v2/token",
        client_id="Iv1.b507a08c87ecfe98",
        device="https://github.com/login/device/code",
        device_fields={"scope": "read:user"},
        poll="https://github.com/login/oauth/access_token",
    ),
    "xai": Spec(
        token="https://auth.x.ai/oauth2/token",
        client_id="b1a00492-073a-47ea-816f-4c329264a828",
        device="https://auth.x.ai/oauth2/device/code",
        device_fields={
            "scope": "openid profile email offline_access grok-cli:access api:access",
            "referrer": "pi",
        },
        poll="https://auth.x.ai/oauth2/token",
    ),
    "kimi-coding": Spec(
        token="https://auth.kimi.com/api/oauth/token",
        client_id="17e5f671-d194-4dfb-9706-5516cb48c098",
        device="https://auth.kimi.com/api/oauth/device_authorization",
        poll="https://auth.kimi.com/api/oauth/token",
    ),
    "meta": Spec(
        token="https://api.meta.ai/muse-code/key",
        client_id="1031625952748946",
        device="https://auth.meta.com/oidc/device/authorization/",
        poll="https://auth.meta.com/oidc/device/token/",
    ),
}

Answer = tuple[int, dict[str, Any]]


class AuthorizationServer:
    """One provider's side of logins."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.spec = SPECS[provider]
        self.asked: list[tuple[str, str]] = []
        """Method and URL of every request, oldest first."""
        self.script: list[Answer] = []
        """What the next polls of a device login are told; after it, that the login is done."""
        self.mood: Literal["grants", "denies", "forges"] = "grants"
        """What a browser at `<origin>/authorize` meets; forging is to come back with another login's state."""
        self.granted = 0
        self.replayed = 0
        """Codes that came a second time."""
        self.interval_s: float | str = 1
        self._codes: dict[str, tuple[str, str, str]] = {}
        self._spent: set[str] = set()
        self._guard = threading.Lock()

    # --- The browser ---------------------------------------------------------------------------------------------

    def visit(self, url: str, *, denied: bool = False) -> str:
        """Log in as a person would at the page `url`; return the address the browser is sent back to."""
        spec, page = self.spec, urlsplit(url)
        query = dict(parse_qsl(page.query))
        expected = {**spec.query, **({"client_id": spec.client_id} if spec.client_id else {})}
        assert {name: query.get(name) for name in expected} == expected
        assert set(query) == {*expected, *spec.more}
        assert query["code_challenge_method"] == "S256"
        redirect = query.get("redirect_uri") or query["callback_url"]
        shape = redirect.replace(f":{urlsplit(redirect).port}/", ":PORT/")
        assert shape.startswith(spec.redirect) or self._is_code_page(redirect)
        state = {"state": query["state"]} if "state" in query else {}
        if denied:
            return f"{redirect}?{urlencode({'error': 'access_denied', **state})}"
        with self._guard:
            code = f"code-secret-{len(self._codes)}"
            client_id = "issued-client" if self.provider == "openai" else spec.client_id
            self._codes[code] = (query["code_challenge"], redirect, client_id)
        issued = {"client_id": client_id} if self.provider == "openai" else {}
        return f"{redirect}?{urlencode({'code': code, **state, **issued})}"

    def _is_code_page(self, redirect: str) -> bool:
        return self.provider == "anthropic" and redirect == "https://platform.claude.com/oauth/code/callback"

    # --- Requests ------------------------------------------------------------------------------------------------

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request to one of the provider's real addresses."""
        spec = self.spec
        with self._guard:
            self.asked.append((method, url))
            if url == "https://radius.pi.dev/v1/oauth":
                return 200, {"authorizationEndpoint": spec.authorize}
            if url == spec.device:
                return self._device(headers, body)
            if self.provider in {"github-copilot", "meta"} and url != spec.poll:
                return self._mint(method, url, headers, body)
            fields = _fields(headers, body)
            if url == spec.poll and ("device_code" in fields or "device_auth_id" in fields):
                return self._poll(fields)
            assert url == spec.token, url
            return self._exchange(headers, fields)

    def _device(self, headers: Mapping[str, str], body: bytes) -> Answer:
        spec = self.spec
        assert _fields(headers, body) == {"client_id": spec.client_id, **spec.device_fields}
        if self.provider == "openai-codex":
            assert headers["content-type"] == "application/json"
            return 200, {
                "device_auth_id": "device-secret",
                "user_code": "ABCD-1234",
                "interval": str(self.interval_s),
            }
        return 200, {
            "device_code": "device-secret",
            "user_code": "ABCD-1234",
            "verification_uri": "https://login.example/device",
            "verification_uri_complete": "https://login.example/device?code=ABCD-1234",
            "interval": self.interval_s,
            "expires_in": 600,
        }

    def _poll(self, fields: Mapping[str, str]) -> Answer:
        if self.provider == "openai-codex":
            assert fields == {"device_auth_id": "device-secret", "user_code": "ABCD-1234"}
        else:
            assert fields == {
                "client_id": self.spec.client_id,
                "device_code": "device-secret",
                "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            }
        if self.script:
            return self.script.pop(0)
        if self.provider == "openai-codex":
            redirect = "https://auth.openai.com/deviceauth/callback"
            self._codes["device-grant"] = (_challenge("their-verifier"), redirect, self.spec.client_id)
            return 200, {"authorization_code": "device-grant", "code_verifier": "their-verifier"}
        if self.provider == "github-copilot":
            return 200, {"access_token": GITHUB_TOKEN, "token_type": "bearer"}
        if self.provider == "meta":
            return 200, {"access_token": IDENTITY_TOKEN}
        return 200, self._tokens()

    def _mint(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self.provider == "meta":
            assert (method, url, body) == ("POST", self.spec.token, b"{}")
            assert headers["authorization"] == f"Bearer {IDENTITY_TOKEN}"
            assert headers["x-api-version"] == "1.0.0"
            self.granted += 1
            return 200, {"api_key": "meta-key-secret"}
        assert headers["copilot-integration-id"] == "vscode-chat"
        if url.endswith("/copilot_internal/v2/token"):
            assert method == "GET"
            assert headers["authorization"] == f"Bearer {GITHUB_TOKEN}"
            self.granted += 1
            return 200, {"token": COPILOT_TOKEN, "expires_at": 1_900_000_000}
        assert headers["authorization"] == f"Bearer {COPILOT_TOKEN}"
        if method == "POST":
            assert json.loads(body) == {"state": "enabled"}
            return 200, {}
        assert url == "https://api.business.githubcopilot.com/models"
        return 200, {
            "data": [
                {"id": "claude-haiku-4.5", "model_picker_enabled": True, "policy": {"state": "enabled"}},
                {"id": "claude-x", "model_picker_enabled": True, "policy": {"state": "unconfigured"}},
                {"id": "unlisted", "model_picker_enabled": True, "policy": {"state": "unconfigured"}},
            ]
        }

    def _exchange(self, headers: Mapping[str, str], fields: dict[str, str]) -> Answer:
        spec = self.spec
        wanted = "application/json" if spec.is_json else "application/x-www-form-urlencoded"
        assert headers["content-type"] == wanted
        code = fields.pop("code")
        if code in self._spent:
            self.replayed += 1
            return 400, {"error": "invalid_grant", "error_description": f"{code} was used before"}
        self._spent.add(code)
        if code not in self._codes:
            return 400, {"error": "invalid_grant"}
        challenge, redirect, client_id = self._codes[code]
        if _challenge(fields.pop("code_verifier")) != challenge:
            return 400, {"error": "invalid_grant", "error_description": "PKCE"}
        if self.provider == "anthropic":
            assert fields.pop("state")
        expected = dict(spec.exchange)
        if self.provider != "openrouter":
            expected |= {"client_id": client_id, "redirect_uri": redirect}
        assert fields == expected
        if self.provider == "openrouter":
            self.granted += 1
            return 200, {"key": "sk-or-secret"}
        return 200, self._tokens()

    def _tokens(self) -> dict[str, Any]:
        self.granted += 1
        tokens = {
            "access_token": "access-secret",
            "refresh_token": "refresh-secret",
            "expires_in": LIFETIME_S,
        }
        if self.provider == "openai-codex":
            claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "account-7"}}
            payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
            tokens["access_token"] = f"head.{payload}.secret"
        if self.provider == "openai":
            tokens |= {"id_token": "id-secret", "scope": self.spec.query["scope"]}
        if self.provider == "radius":
            tokens["scope"] = "gateway offline_access"
        return tokens


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _fields(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    if headers.get("content-type") == "application/json":
        fields: dict[str, str] = json.loads(body)
        return fields
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self._serve("POST")

    def do_GET(self) -> None:
        self._serve("GET")

    def _serve(self, method: str) -> None:
        scripted, spec = self.server.scripted, self.server.scripted.spec
        if self.path.startswith("/authorize?"):
            self._send_back(scripted.visit(self.path, denied=scripted.mood == "denies"))
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/ask":
            method = self.headers["x-real-method"]
        url = {"/ask": self.headers["x-real-url"], "/token": spec.token, "/device": spec.device}.get(
            self.path, self.path
        )
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = scripted.answer(method, url, headers, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_back(self, address: str) -> None:
        if self.server.scripted.mood == "forges":
            address = address.replace("state=", "state=another-login")
        self.send_response(302)
        self.send_header("location", address)
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, scripted: AuthorizationServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scripted = scripted


@contextmanager
def listening(scripted: AuthorizationServer) -> Iterator[str]:
    """Let it be asked at `<origin>/authorize`, `<origin>/token` and `<origin>/device`; gives the origin.

    At `<origin>/ask` the headers `x-real-url` and `x-real-method` say what is meant.
    """
    with _Server(scripted) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
