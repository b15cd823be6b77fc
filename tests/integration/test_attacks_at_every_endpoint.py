"""The door at each endpoint that there is, and what is passed on as it is (SECURITY.md's table)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pi_model_proxy.server import routes
from pi_model_proxy.server.passed import PASSED_FORMS
from support.gateway_process import GatewayProcess, running_gateway
from support.side_provider import SIDE_KEY, SideProvider

KEY = "gateway-key-0123456789"
EVIL = {"origin": "https://evil.example"}
NAMED = {"model": "side/embed-1"}
GEMINI = ("/v1beta/models/side/x:generateContent", "/v1beta/models", "/v1beta/models/side/x")
FORM_TYPE = {"content-type": "multipart/form-data; boundary=XX"}


def every_endpoint() -> list[tuple[str, str]]:
    """Give each method of each route that is no probe, out of the table that the server looks into."""
    kept = ["/v1/" + pattern.pattern.replace("[^/]+", "id_1") for pattern, _ in routes._KEPT]
    paths = [
        *routes._FIXED,
        *(f"/v1/{name}" for name in (*routes._ENDPOINTS, *routes._PASSED)),
        *kept,
        *GEMINI,
    ]
    paths.append("/v1/models/side/x")
    found: list[tuple[str, str]] = []
    for path in paths:
        route = routes.find_route(path)
        assert route is not None, path
        found += [(method, path) for method in route.methods if path not in routes_open()]
    return found


def routes_open() -> frozenset[str]:
    return frozenset({"/", "/health", "/livez", "/readyz"})


ENDPOINTS = every_endpoint()
POSTS = [path for method, path in ENDPOINTS if method == "POST"]


@pytest.fixture(scope="module")
def side() -> Iterator[SideProvider]:
    with SideProvider.running() as running:
        yield running


@pytest.fixture(scope="module")
def victim(side: SideProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("every")
    agent_dir = home / "agent"
    agent_dir.mkdir()
    models = [{"id": "chat-1"}]
    provider = {
        "baseUrl": f"{side.origin}/v1",
        "apiKey": SIDE_KEY,
        "api": "openai-completions",
        "models": models,
    }
    (agent_dir / "models.json").write_text(json.dumps({"providers": {"side": provider}}))
    with running_gateway(home, agent_dir=agent_dir, key=KEY) as running:
        yield running
        assert running.stop() == 0
        for text in (running.printed(), running.log_path.read_text()):
            assert KEY not in text
            assert SIDE_KEY not in text
            assert "Traceback" not in text


@pytest.fixture
def arrivals(side: SideProvider) -> SideProvider:
    side.arrivals.clear()
    return side


def test_the_table_is_all_of_it() -> None:
    assert len(ENDPOINTS) > 35
    assert {"/v1/embeddings", "/api/chat", "/v1/conversations/id_1/items/id_1"} <= {
        path for _, path in ENDPOINTS
    }


def test_no_endpoint_opens_without_the_key(victim: GatewayProcess, arrivals: SideProvider) -> None:
    for method, path in [*ENDPOINTS, ("GET", "/nowhere"), ("PUT", "/v1/models")]:
        for headers in (
            {},
            {"x-api-key": "wrong"},
            {"x-goog-api-key": "wrong"},
            {"authorization": f"Basic {KEY}"},
        ):
            answer = victim.ask(
                method, path, {} if method == "POST" else None, {"authorization": "", **headers}
            )
            assert answer.status == 401, (method, path, headers)
            assert len(answer.body) < 500
    assert arrivals.arrivals == []


def test_a_key_in_the_address_counts_on_geminis_paths_only(victim: GatewayProcess) -> None:
    for method, path in ENDPOINTS:
        answer = victim.ask(
            method, f"{path}?key={KEY}", {} if method == "POST" else None, {"authorization": ""}
        )
        assert (answer.status == 401) == (path not in GEMINI), path
        assert KEY not in answer.text


def test_no_foreign_page_is_served_by_any_endpoint(victim: GatewayProcess, arrivals: SideProvider) -> None:
    for method, path in ENDPOINTS:
        body: Any = NAMED if method == "POST" else None
        for headers in (EVIL, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {**EVIL, **FORM_TYPE}):
            answer = victim.ask(method, path, body, headers)
            assert answer.status == 403, (method, path, headers)
            assert not any(name.startswith("access-control") for name in answer.headers)
        preflight = victim.ask("OPTIONS", path, None, {**EVIL, "access-control-request-method": method})
        assert preflight.status == 403
        assert not any(name.startswith("access-control") for name in preflight.headers)
    assert arrivals.arrivals == []


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=XX", ""]
)
def test_what_a_page_can_post_unasked_is_taken_by_no_endpoint_but_those_for_files(
    victim: GatewayProcess, arrivals: SideProvider, media: str
) -> None:
    for path in POSTS:
        answer = victim.post(path, b"{}", {"content-type": media})
        takes_it = media.startswith("multipart") and path.removeprefix("/v1/") in PASSED_FORMS
        assert answer.status == (400 if takes_it else 415), path
    assert arrivals.arrivals == []


def form(**parts: str) -> bytes:
    return (
        b"".join(
            b'--XX\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
            % (name.encode(), value.encode())
            for name, value in parts.items()
        )
        + b"--XX--\r\n"
    )


@pytest.mark.parametrize("field", ["api_base", "base_url", "extra_headers", "api_key", "vertex_credentials"])
def test_a_field_that_would_steer_a_providers_transport_is_not_passed_on(
    victim: GatewayProcess, arrivals: SideProvider, field: str
) -> None:
    body = {**NAMED, "input": "hi", field: "https://evil.example"}
    answer = victim.post("/v1/embeddings", body)
    assert (answer.status, answer.headers["x-pi-model-proxy-dropped"]) == (200, field)
    assert json.loads(arrivals.last.body) == {"model": "embed-1", "input": "hi"}
    strict = victim.post("/v1/embeddings", body, {"x-pi-model-proxy-strict": "1"})
    assert (strict.status, strict.json()["error"]["param"]) == (400, field)
    asked = form(model="side/whisper", **{field: "https://evil.example"})
    refused = victim.post("/v1/audio/transcriptions", asked, FORM_TYPE)
    assert (refused.status, refused.json()["error"]["param"]) == (400, field)
    assert len(arrivals.arrivals) == 1


def test_a_form_with_more_parts_than_are_looked_at_is_refused(
    victim: GatewayProcess, arrivals: SideProvider
) -> None:
    asked = form(model="side/whisper", **{f"x{number}": "y" for number in range(300)})
    assert victim.post("/v1/audio/transcriptions", asked, FORM_TYPE).status == 400
    assert arrivals.arrivals == []


@pytest.mark.parametrize(
    "model", ["../../v1/files", "x?y#z", "http://evil.example/x", "a\r\nx-evil: 1", "%2e%2e/x"]
)
def test_a_models_name_steers_no_path_of_what_is_passed_on(
    victim: GatewayProcess, arrivals: SideProvider, model: str
) -> None:
    assert victim.post("/v1/embeddings", {"model": f"side/{model}", "input": "hi"}).status == 200
    assert arrivals.last.path == "/v1/embeddings"
    assert json.loads(arrivals.last.body)["model"] == model
    assert "x-evil" not in arrivals.last.headers


def test_nothing_of_a_callers_headers_goes_on_but_what_must(
    victim: GatewayProcess, arrivals: SideProvider
) -> None:
    sent = {
        "cookie": "a=b",
        "x-evil": "1",
        "openai-organization": "org",
        "x-forwarded-for": "1.2.3.4",
        "referer": "http://localhost/",
        "x-pi-model-proxy-hop": "one,\xff<junk>",
        "x-request-id": "mine-1",
    }
    assert victim.post("/v1/embeddings", {**NAMED, "input": "hi"}, sent).status == 200
    heard = arrivals.last.headers
    assert heard["authorization"] == f"Bearer {SIDE_KEY}"
    assert set(heard) <= {
        "host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "x-pi-model-proxy-hop",
    }  # fmt: skip
    assert heard["x-pi-model-proxy-hop"].split(",")[0] == "one"
    assert "junk" not in heard["x-pi-model-proxy-hop"]


def test_nothing_of_a_providers_headers_comes_back_but_what_may(victim: GatewayProcess) -> None:
    answer = victim.post("/v1/embeddings", {**NAMED, "input": "hi"})
    assert answer.status == 200
    assert {"set-cookie", "location", "access-control-allow-origin"}.isdisjoint(answer.headers)
    assert answer.headers["x-ratelimit-remaining-requests"] == "7"


def test_a_providers_web_page_is_no_answer(victim: GatewayProcess) -> None:
    """It would be served from this address, as if it were ours."""
    answer = victim.post("/v1/embeddings", {**NAMED, "input": "web page"})
    assert (answer.status, answer.headers["content-type"]) == (502, "application/json")
    assert "<script>" not in answer.text


def test_a_loop_is_broken_at_every_endpoint_that_asks_a_provider(
    victim: GatewayProcess, arrivals: SideProvider
) -> None:
    hops = {"x-pi-model-proxy-hop": ",".join("abcdefgh")}
    chat = {
        "model": "side/chat-1",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "input": "hi",
        "prompt": "hi",
    }
    asking = [
        path
        for path in POSTS
        if not any(word in path for word in ("conversations", "show", "compact", "input_tokens"))
    ]
    assert len(asking) > 12
    for path in asking:
        if path.removeprefix("/v1/") in PASSED_FORMS:
            answer = victim.post(path, form(model="side/chat-1"), {**hops, **FORM_TYPE})
        elif path in GEMINI:
            answer = victim.post(
                path.replace("side/x", "side/chat-1"), {"contents": [{"parts": [{"text": "hi"}]}]}, hops
            )
        else:
            answer = victim.post(path, chat, hops)
        assert answer.status == 508, (path, answer.text)
    assert arrivals.arrivals == []


@pytest.mark.parametrize("path", ["/v1/conversations/{}/items", "/v1/models", "/v1beta/models"])
@pytest.mark.parametrize("query", ["limit=" + "9" * 5000 + "&pageSize=" + "9" * 5000, "a=1&" * 80])
def test_a_query_that_no_client_sends_is_the_callers_mistake(
    victim: GatewayProcess, path: str, query: str
) -> None:
    made = victim.post("/v1/conversations", {}).json()["id"]
    answer = victim.ask("GET", f"{path.format(made)}?{query}", None, {"anthropic-version": "2023-06-01"})
    assert answer.status == 400, answer.text
    assert len(answer.body) < 1000


def test_ids_of_what_is_kept_cannot_be_foreseen(victim: GatewayProcess) -> None:
    made = [victim.post("/v1/conversations", {}).json()["id"].removeprefix("conv_") for _ in range(20)]
    assert {len(each) for each in made} == {48}
    assert len({each[:6] for each in made}) == 20, "24 random bytes have no common beginning"
