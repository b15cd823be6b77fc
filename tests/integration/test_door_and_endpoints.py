"""What every request meets before a model is asked, through the installed command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.gateway_process import Answer, GatewayProcess, running_gateway
from support.strict_provider import StrictProvider

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


def chat(model: Any = "stub-chat/text", **fields: Any) -> dict[str, Any]:
    return {"model": model, **HELLO, **fields}


def messages(model: Any = "stub-messages/text", **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, **HELLO, **fields}


def is_chat_error(answer: Answer) -> bool:
    error = answer.json()["error"]
    return set(error) == {"message", "type", "param", "code"} and isinstance(error["message"], str)


def is_messages_error(answer: Answer) -> bool:
    body = answer.json()
    return body["type"] == "error" and set(body["error"]) >= {"type", "message"} and "request_id" in body


@pytest.mark.parametrize("path", [CHAT, "/chat/completions"])
def test_chat_answers_with_and_without_the_version(gateway: GatewayProcess, path: str) -> None:
    answer = gateway.post(path, chat())
    assert (answer.status, answer.json()["choices"][0]["message"]["content"]) == (200, "You said: hi")


@pytest.mark.parametrize("path", [MESSAGES, "/messages", "/v1/v1/messages", "/v1/messages?beta=true"])
def test_messages_answers_under_every_path_that_sdks_make(gateway: GatewayProcess, path: str) -> None:
    answer = gateway.post(path, messages())
    assert (answer.status, answer.json()["content"][0]["text"]) == (200, "You said: hi")
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


def test_an_endpoint_that_is_not_there_says_so_in_the_words_of_its_clients(gateway: GatewayProcess) -> None:
    ollama = gateway.post("/api/pull", {"model": "x"})
    assert (ollama.status, type(ollama.json()["error"])) == (404, str)
    google = gateway.post("/v1beta/cachedContents", {})
    assert (google.status, google.json()["error"]["status"]) == (404, "NOT_FOUND")
    batches = gateway.post("/v1/messages/batches", {})
    assert (batches.status, is_messages_error(batches)) == (404, True)


@pytest.mark.parametrize("path", ["/health", "/"])
def test_health_says_what_it_is(gateway: GatewayProcess, path: str) -> None:
    body = gateway.get(path).json()
    assert (body["status"], body["service"]) == ("ok", "pi-model-proxy")
    assert body["models"] == 6


def test_a_browser_gets_a_page_without_script(gateway: GatewayProcess) -> None:
    answer = gateway.get("/", {"accept": "text/html,*/*"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src" not in answer.headers["content-security-policy"]
    assert b"<script" not in answer.body


def test_models_are_listed_for_openai(gateway: GatewayProcess) -> None:
    answer = gateway.get("/v1/models")
    assert b'"object":"list"' in answer.body
    ids = [item["id"] for item in answer.json()["data"]]
    assert ids == [
        *(
            f"{kind}/{name}"
            for kind in ("stub-chat", "stub-responses", "stub-messages")
            for name in ("vision", "text")
        ),
        "fast",
        "deep",
    ]
    item = answer.json()["data"][0]
    assert (item["object"], item["owned_by"], item["context_window"]) == ("model", "stub-chat", 128_000)
    assert item["pricing"]["input"] == 1.0


def test_models_are_paged_for_anthropic(gateway: GatewayProcess) -> None:
    version = {"anthropic-version": "2023-06-01"}
    first = gateway.get("/v1/models?limit=2", version).json()
    assert (first["has_more"], [item["type"] for item in first["data"]]) == (True, ["model", "model"])
    second = gateway.get(f"/v1/models?limit=1000&after_id={first['last_id']}", version).json()
    assert (second["has_more"], len(second["data"])) == (False, 6)
    back = gateway.get(f"/v1/models?limit=1&before_id={first['last_id']}", version).json()
    assert back["data"][0]["id"] == first["first_id"]
    assert gateway.get("/v1/models?limit=0", version).status == 400


@pytest.mark.parametrize("name", ["stub-chat/text", "stub-chat%2Ftext", "fast"])
def test_vector_093_one_model_is_found_by_its_name_plain_or_escaped(
    gateway: GatewayProcess, name: str
) -> None:
    item = gateway.get(f"/v1/models/{name}").json()
    assert item["object"] == "model"
    assert item["owned_by"] == "stub-chat"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "//", 404),
        ("POST", "/v1", 404),
        ("GET", CHAT, 405),
        ("DELETE", "/v1/models", 405),
        ("PATCH", "/health", 405),
        ("GET", "/v1/models/none/such", 404),
        ("GET", "/v1/models/stub-unserved/text", 501),
        ("GET", "/v1/models/stub-nokey/text", 404),
    ],
)
def test_wrong_paths_and_methods_get_the_right_status(
    gateway: GatewayProcess, method: str, path: str, status: int
) -> None:
    answer = gateway.ask(method, path)
    assert answer.status == status
    assert is_chat_error(answer)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "JSON"),
        (b"{", 400, "JSON"),
        (b"null", 400, "object"),
        (b"[]", 400, "object"),
        (b"\xff\xfe", 400, ""),
        (b"[" * 100_000, 400, ""),
        (b'{"a":' * 100_000, 400, ""),
        ({"messages": HELLO["messages"]}, 400, "defaultModel"),
        ({"model": "stub-chat/text"}, 400, "messages"),
        (chat(model={}), 400, "model"),
        (chat(model=5), 400, "model"),
        (chat(model="toString"), 404, "toString"),
        (chat(model="__proto__"), 404, "__proto__"),
        (chat(model="stub-chat/txt"), 404, "stub-chat/text"),
        (chat(model="stub-unserved/text"), 501, "acme-wire"),
        (chat(model="stub-nokey/text"), 404, "stub-nokey"),
        (chat(model="text"), 400, "stub-chat/text"),
        (chat(stream="yes"), 400, "stream"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_bad_requests_are_told_what_where_and_what_to_do(
    gateway: GatewayProcess, path: str, body: Any, status: int, said: str
) -> None:
    answer = gateway.post(path, body)
    assert answer.status == status, answer.text
    assert (is_messages_error if path == MESSAGES else is_chat_error)(answer)
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "wrong", [None, 5, {}, "text", [5], [None], [{"role": 5}], [{"role": "nobody", "content": "x"}]]
)
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("kind", ["stub-chat", "stub-messages", "stub-responses"])
def test_no_messages_however_wrong_end_the_process(
    gateway: GatewayProcess, path: str, kind: str, wrong: Any
) -> None:
    answer = gateway.post(path, {"model": f"{kind}/text", "max_tokens": 10, "messages": wrong})
    assert 400 <= answer.status < 500
    assert gateway.process.poll() is None


def test_the_caller_names_the_request_when_the_name_is_sane(gateway: GatewayProcess) -> None:
    assert gateway.post(CHAT, chat(), {"x-request-id": "my-id.1"}).headers["x-request-id"] == "my-id.1"
    for strange in ("a b", "x" * 200, "<script>", ""):
        assert (
            gateway.post(CHAT, chat(), {"x-request-id": strange}).headers["x-request-id"].startswith("req_")
        )


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_page_can_post_is_415(
    gateway: GatewayProcess, provider: StrictProvider, content_type: str
) -> None:
    answer = gateway.post(CHAT, json.dumps(chat()).encode(), {"content-type": content_type})
    assert (answer.status, is_chat_error(answer)) == (415, True)
    assert provider.diary.arrivals() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/health", "/v1/models"])
def test_foreign_names_and_pages_are_403_without_cors(
    gateway: GatewayProcess, provider: StrictProvider, headers: dict[str, str], path: str
) -> None:
    answer = gateway.ask("POST" if path == CHAT else "GET", path, chat() if path == CHAT else None, headers)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert provider.diary.arrivals() == []


def test_pages_of_this_machine_get_cors_also_on_errors(gateway: GatewayProcess) -> None:
    origin = {"origin": "http://localhost:3000"}
    for answer in (gateway.get("/v1/models", origin), gateway.post(CHAT, {}, origin)):
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "origin"


def test_options_is_204(gateway: GatewayProcess) -> None:
    asked = {"origin": "http://localhost:3000", "access-control-request-headers": "content-type, x-thing"}
    answer = gateway.ask("OPTIONS", CHAT, headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type, x-thing"


def test_a_body_beyond_the_limit_is_413_in_the_callers_dialect(
    tmp_path: Path, provider: StrictProvider
) -> None:
    with running_gateway(tmp_path, "--max-body-bytes", "2000", "--demo") as gateway:
        big = {"model": "x", "messages": [{"role": "user", "content": "x" * 3000}]}
        answer = gateway.post(MESSAGES, big)
        assert answer.status == 413
        assert answer.json()["error"]["type"] == "request_too_large"
        assert gateway.post(CHAT, big).status == 413


def test_with_a_key_only_the_open_paths_are_open(tmp_path: Path) -> None:
    with running_gateway(tmp_path, "--demo", key="gateway-key-1234") as gateway:
        gateway.key = None
        for path in ("/health", "/livez", "/readyz", "/"):
            assert gateway.get(path).status == 200
        assert set(gateway.get("/health").json()) == {"status", "service", "version"}
        assert gateway.ask("OPTIONS", CHAT).status == 204
        for method, path in (
            ("GET", "/v1/models"),
            ("POST", CHAT),
            ("POST", MESSAGES),
            ("GET", "/nowhere"),
            ("POST", "/health"),
        ):
            answer = gateway.ask(method, path, {} if method == "POST" else None)
            assert answer.status == 401, path
            assert "gateway-key" not in answer.text
        assert is_messages_error(gateway.post(MESSAGES, {}))
        for headers in ({"authorization": "bearer gateway-key-1234"}, {"x-api-key": "gateway-key-1234"}):
            assert gateway.get("/v1/models", headers).status == 200
        assert "models" in gateway.get("/health", {"x-api-key": "gateway-key-1234"}).json()


def test_the_gateways_own_limit_is_429_with_retry_after(tmp_path: Path) -> None:
    with running_gateway(tmp_path, "--demo", "--rate-limit", "2") as gateway:
        statuses = [gateway.post(CHAT, {}).status for _ in range(3)]
        assert statuses == [400, 400, 429]
        assert 0 < float(gateway.post(CHAT, {}).headers["retry-after"]) <= 60
        assert gateway.get("/health").status == 200
        assert gateway.get("/v1/models").status == 200


def test_an_instance_never_calls_itself(tmp_path: Path) -> None:
    agent_dir = tmp_path / "agent"
    agent_dir.mkdir()
    with running_gateway(tmp_path, agent_dir=agent_dir) as gateway:
        loop = {
            "baseUrl": gateway.base_url.replace("127.0.0.1", "localhost"),
            "api": "openai-completions",
            "apiKey": "k",
            "models": [{"id": "m"}],
        }
        (agent_dir / "models.json").write_text(json.dumps({"providers": {"me": loop}}))
        gateway.wait_for(lambda: "points back" in gateway.post(CHAT, chat("me/m")).text, "the new file")
        assert "me/m" not in gateway.get("/v1/models").text


def test_two_instances_that_call_each_other_end_the_loop_with_the_chain(tmp_path: Path) -> None:
    dirs = [tmp_path / "a", tmp_path / "b"]
    for folder in dirs:
        (folder / "agent").mkdir(parents=True)
    with (
        running_gateway(dirs[0], agent_dir=dirs[0] / "agent") as first,
        running_gateway(dirs[1], agent_dir=dirs[1] / "agent") as second,
    ):
        for gateway, other in ((first, second), (second, first)):
            loop = {
                "baseUrl": other.base_url,
                "api": "openai-completions",
                "apiKey": "k",
                "models": [{"id": "loop/m"}, {"id": "m"}],
            }
            folder = gateway.home / "agent"
            (folder / "models.json").write_text(json.dumps({"providers": {"loop": loop}}))
        for gateway in (first, second):
            gateway.wait_for(lambda g=gateway: "loop/m" in g.get("/v1/models").text, "the new file")  # type: ignore[misc]
        answer = first.post(CHAT, chat("loop/loop/m"))
        assert answer.status == 508, answer.text
        assert "→" in answer.json()["error"]["message"]
