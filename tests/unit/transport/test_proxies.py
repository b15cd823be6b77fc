from __future__ import annotations

import pytest

from pi_model_proxy.transport.proxies import ProxyTable

PROXIES = {
    "HTTP_PROXY": "http://p:1",
    "https_proxy": "p:2",
    "NO_PROXY": "a.example, .b.example,*.c.example,10.0.0.0/8,d:81,::1",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://x.example/v1", "http://p:1"),
        ("https://x.example/v1", "http://p:2"),
        ("https://a.example", None),
        ("https://sub.a.example", None),
        ("https://nota.example", "http://p:2"),
        ("https://b.example", None),
        ("https://x.b.example", None),
        ("https://x.c.example", None),
        ("http://10.1.2.3:8", None),
        ("http://11.1.2.3:8", "http://p:1"),
        ("http://d:81", None),
        ("http://d:82", "http://p:1"),
        ("http://[::1]:5", None),
    ],
)
def test_the_environment_decides_host_by_host(url: str, proxy: str | None) -> None:
    assert ProxyTable(PROXIES).proxy_for(url) == proxy


def test_all_proxy_stands_in_and_a_star_exempts_everything() -> None:
    assert ProxyTable({"all_proxy": "http://p"}).proxy_for("https://x") == "http://p"
    assert ProxyTable({"ALL_PROXY": "http://p", "no_proxy": "*"}).proxy_for("https://x") is None


def test_without_variables_connections_are_direct() -> None:
    assert ProxyTable({}).proxy_for("https://x") is None
