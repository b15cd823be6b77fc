"""Which proxy a request goes through: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

__all__ = ["ProxyTable"]


class ProxyTable:
    """The environment's proxies, read once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        def value(name: str) -> str:
            return (environment.get(name.lower()) or environment.get(name) or "").strip()

        # Upper-case HTTP_PROXY is honoured because pi honours it; we are no CGI program (httpoxy).
        everything = value("ALL_PROXY")
        self._by_scheme = {
            "http": value("HTTP_PROXY") or everything,
            "https": value("HTTPS_PROXY") or everything,
        }
        self._exempt = [entry.strip().lower() for entry in value("NO_PROXY").split(",") if entry.strip()]

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy's URL for `url`, or None for a direct connection."""
        parts = urlsplit(url)
        proxy = self._by_scheme.get(parts.scheme, "")
        if not proxy or self._is_exempt(parts.hostname or "", parts.port):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def _is_exempt(self, host: str, port: int | None) -> bool:
        for entry in self._exempt:
            if entry == "*":
                return True
            name, _, wanted_port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
            if wanted_port and wanted_port != str(port):
                continue
            if _in_network(host, name):
                return True
            bare = name.lstrip("*").lstrip(".")
            if bare and (host == bare or host.endswith(f".{bare}")):
                return True
        return False


def _in_network(host: str, entry: str) -> bool:
    if "/" not in entry:
        return False
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False
