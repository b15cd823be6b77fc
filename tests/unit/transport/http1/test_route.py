"""Where a request goes and what its head says."""

from __future__ import annotations

import pytest

from pi_model_proxy.errors import UpstreamUnreachable
from pi_model_proxy.transport.http1.route import Place, Prepared, Route, route_to
from pi_model_proxy.transport.upstream import UpstreamHead


def head(url: str, headers: dict[str, str] | None = None, *, proxy: str | None = None) -> list[str]:
    return sent(route_to(url, proxy), "POST", b"abc", headers).decode().split("\r\n")


def sent(route: Route, method: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    return Prepared(None, route, UpstreamHead(method, "", headers or {})).with_body(body)


@pytest.mark.parametrize(
    ("url", "place", "host"),
    [
        ("http://a.example/v1", Place(host="a.example", port=80, tls=False), "a.example"),
        ("https://A.Example:443/v1", Place(host="a.example", port=443, tls=True), "a.example"),
        ("https://a.example:80/v1", Place(host="a.example", port=80, tls=True), "a.example:80"),
        ("http://[::1]/v1", Place(host="::1", port=80, tls=False), "[::1]"),
        ("http://[::1]:8080/v1", Place(host="::1", port=8080, tls=False), "[::1]:8080"),
        ("http://bücher.example/v1", Place(host="xn--bcher-kva.example", port=80, tls=False), "xn--bcher-kva.example"),
        ("http://10.0.0.1:11434/v1", Place(host="10.0.0.1", port=11434, tls=False), "10.0.0.1:11434"),
    ],
)  # fmt: skip
def test_the_host_header_says_where_the_connection_goes(url: str, place: Place, host: str) -> None:
    assert route_to(url, None).place == place
    assert head(url)[1] == f"host: {host}"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a.example", "/"),
        ("http://a.example?x=1", "/?x=1"),
        ("http://a.example/v1/m%2Fn?x=%20#part", "/v1/m%2Fn?x=%20"),
        ("http://a.example/modèle:x", "/mod%C3%A8le:x"),
        ("http://a.example//v1/<x>", "//v1/%3Cx%3E"),
    ],
)
def test_the_target_is_the_path_as_it_was_given(url: str, target: str) -> None:
    assert head(url)[0] == f"POST {target} HTTP/1.1"


@pytest.mark.parametrize(
    "url",
    [
        "a.example", "ftp://a.example", "http://", "http:///v1", "http://a.example:port", "http://a.example:0",
        "http://a.example:70000", "http://a\r\nx: y", "http://a.example/\nx", "http://a b", "http://[::1",
        "http://a..example", "http://" + "a" * 70 + ".example", "http://a_\u2028.example", "http://a\\b", "",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(UpstreamUnreachable, match=r"models\.json") as caught:
        route_to(url, None)
    assert caught.value.proxy_error == "proxy_configuration_error"


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "a\x7f", "\x1b"])
@pytest.mark.parametrize("name", ["x-team", "authorization"])
def test_no_value_breaks_out_of_its_line(name: str, value: str) -> None:
    with pytest.raises(UpstreamUnreachable, match=name):
        head("http://a.example", {name: value})


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "a\0"])
def test_no_name_breaks_out_of_its_line(name: str) -> None:
    for _ in range(2):
        with pytest.raises(UpstreamUnreachable, match="cannot be sent"):
            head("http://a.example", {name: "x"})


def test_tabs_and_letters_of_any_alphabet_are_sent() -> None:
    assert "x-who: Jürgen\tB" in head("http://a.example", {"x-who": "Jürgen\tB"})


def test_framing_is_ours_whatever_the_configuration_says() -> None:
    configured = {
        "content-length": "9",
        "transfer-encoding": "chunked",
        "connection": "close",
        "host": "evil",
    }
    assert head("http://a.example", configured) == [
        "POST / HTTP/1.1", "host: a.example", "accept-encoding: identity", "content-length: 3", "", "abc",
    ]  # fmt: skip


def test_a_body_is_announced_even_when_empty_where_one_is_expected() -> None:
    route = route_to("http://a.example", None)
    assert b"content-length: 0\r\n" in sent(route, "POST", b"")
    assert b"content-length" not in sent(route, "GET", b"")


def test_a_user_in_the_address_is_sent_unless_the_request_has_its_own() -> None:
    url = "http://us%40er:p%3Aw@a.example/v1"
    assert "authorization: Basic dXNAZXI6cDp3" in head(url)
    assert "authorization: Bearer x" in head(url, {"authorization": "Bearer x"})
    assert not any("Basic" in line for line in head(url, {"authorization": "Bearer x"}))


def test_a_forwarding_proxy_is_asked_for_the_whole_address() -> None:
    lines = head("http://a.example:81/v1?x=1", proxy="http://us:pw@proxy.example:3128")
    assert lines[0] == "POST http://a.example:81/v1?x=1 HTTP/1.1"
    assert lines[1:3] == ["host: a.example:81", "proxy-authorization: Basic dXM6cHc="]


def test_a_tunnel_keeps_the_proxys_password_out_of_the_request() -> None:
    route = route_to("https://a.example/v1", "http://us:pw@proxy.example:3128")
    assert route.tunnels
    assert route.proxy == Place(host="proxy.example", port=3128, tls=False)
    assert b"proxy-authorization" not in sent(route, "POST", b"abc")


@pytest.mark.parametrize("proxy", ["socks5://p:1", "http://", "http://p:x", "http://p\n:1"])
def test_a_proxy_address_that_cannot_be_used_is_named_without_its_password(proxy: str) -> None:
    with pytest.raises(UpstreamUnreachable, match="HTTP_PROXY") as caught:
        route_to("https://a.example/v1", proxy)
    assert caught.value.proxy_error == "proxy_configuration_error"


def test_connections_are_shared_by_address_and_proxy() -> None:
    plain = route_to("http://a.example/v1", None).key
    assert plain == route_to("http://A.example:80/v2", None).key
    others = {
        route_to("https://a.example/v1", None).key,
        route_to("http://a.example:81/v1", None).key,
        route_to("http://a.example/v1", "http://p:1").key,
        route_to("http://a.example/v1", "http://x:y@p:1").key,
    }
    assert len(others | {plain}) == 5
