from __future__ import annotations

import pytest

from pi_model_proxy.errors import BadRequest, Forbidden, NotAuthenticated, UnsupportedMedia
from pi_model_proxy.server.door import (
    allowed_origin,
    authenticated,
    check_host,
    check_origin,
    check_type,
    require_key,
)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9876",
        "localhost",
        "LOCALHOST:1",
        "[::1]:9876",
        "127.1.2.3",
        "app.localhost:80",
        "localhost.:9876",
    ],
)
def test_loopback_names_come_in_on_any_port(host: str) -> None:
    check_host(host, ())


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9876", "192.168.1.5", "127.0.0.1.evil.com", "0.0.0.0"]
)
def test_other_names_are_a_rebinding_attack_unless_listed(host: str) -> None:
    with pytest.raises(Forbidden, match="allowedHosts"):
        check_host(host, ())


def test_listed_names_come_in() -> None:
    check_host("Box.LAN:9876", ("box.lan",))
    check_host("box.lan:9876", ("box.lan:9876",))


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "a b",
        "localhost/x",
        "localhost?x",
        "localhost#x",
        "user@localhost",
        "localhost:99999999",
        "[::1",
    ],
)
def test_what_is_no_host_by_the_grammar_is_a_bad_request(host: str | None) -> None:
    with pytest.raises(BadRequest, match="Host"):
        check_host(host, ("*",))


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5", "http://app.localhost"]
)
def test_pages_of_this_machine_may_ask(origin: str) -> None:
    assert allowed_origin(origin, ())


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "file://",
        "https://evil.example",
        "http://localhost.evil.example",
        "chrome-extension://abc",
        "http://x@localhost",
        "http://localhost/path",
        "http://[::1",
        "",
        "localhost",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    assert not allowed_origin(origin, ())
    with pytest.raises(Forbidden, match="allowedOrigins"):
        check_origin({"origin": origin}, ())


def test_listed_pages_may_ask_and_a_star_means_all() -> None:
    assert allowed_origin("https://app.example", ("https://app.example",))
    assert allowed_origin("https://App.example", ("https://app.example/",))
    assert allowed_origin("null", ("*",))


def test_a_cross_site_request_without_an_origin_is_refused() -> None:
    check_origin({"sec-fetch-site": "same-origin"}, ())
    check_origin({"sec-fetch-site": "cross-site", "origin": "http://localhost:1"}, ())
    with pytest.raises(Forbidden, match="Sec-Fetch-Site"):
        check_origin({"sec-fetch-site": "cross-site"}, ("*",))


@pytest.mark.parametrize(
    "value", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"]
)
def test_json_comes_in(value: str) -> None:
    check_type(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
    ],
)
def test_what_a_page_can_post_without_a_preflight_does_not(value: str | None) -> None:
    with pytest.raises(UnsupportedMedia, match="application/json"):
        check_type(value)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer k"},
        {"authorization": "bearer  k"},
        {"authorization": "BEARER k"},
        {"x-api-key": "k"},
        {"authorization": "Bearer wrong", "x-api-key": "k"},
        {"authorization": "Bearer k", "x-api-key": "wrong"},
    ],
)
def test_the_key_counts_in_either_header(headers: dict[str, str]) -> None:
    assert authenticated(headers, "k")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "k"},
        {"authorization": "Basic k"},
        {"x-api-key": "kk"},
        {"authorization": "Bearer é"},
    ],
)
def test_without_the_key_nobody_comes_in(headers: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticated):
        require_key(headers, "k")


def test_without_a_configured_key_everybody_does() -> None:
    require_key({}, None)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000, null",
        "http://localhost:3000, https://evil.example",
        "http://localhost:3000 http://evil.example",
        "http://localhost:3000?x",
        "http://localhost:3000#x",
        "http://user@localhost",
        "http://localhost/",
        "http:localhost",
        "http://localhost\\@evil.example",
    ],
)
def test_an_origin_is_one_origin_or_none(origin: str) -> None:
    assert not allowed_origin(origin, ())
