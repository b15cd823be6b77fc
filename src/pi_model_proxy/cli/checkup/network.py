"""What stands between us and the providers: proxies, certificates, being offline. Nothing is asked."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from pi_model_proxy.cli.checkup.finding import Finding
from pi_model_proxy.config import Settings

__all__ = ["network_findings"]

PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
SCHEMES: Final = frozenset({"http", "https"})


def network_findings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Say which proxies and certificates count; of a proxy's address only host and port."""
    seen = False
    for name in PROXIES:
        spelt = name.lower() if environment.get(name.lower()) else name
        value = environment.get(spelt, "").strip()
        if value:
            seen = True
            yield _proxy(spelt, value)
    exempt = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").strip()
    if not seen:
        yield Finding(topic="network", level="ok", what="no proxy is set: providers are asked directly")
    elif exempt:
        yield Finding(topic="network", level="ok", where="NO_PROXY", what=f"asked directly: {exempt}")
    else:
        what = "not set: local model servers would be asked through the proxy too"
        fix = "set NO_PROXY=localhost,127.0.0.1,::1"
        yield Finding(topic="network", level="note", where="NO_PROXY", what=what, fix=fix)
    yield _trust(settings)
    if "PI_OFFLINE" in environment:
        what = "set: no model list is fetched (refreshCatalog counts for nothing)"
        yield Finding(topic="network", level="ok", where="PI_OFFLINE", what=what)


def _proxy(name: str, value: str) -> Finding:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not host or parts.scheme not in SCHEMES:
        what = "holds no http:// or https:// address; every request through it fails"
        return Finding(topic="network", level="error", where=name, what=what, fix=f"mend or unset {name}")
    login = ", with a user name" if parts.username else ""
    return Finding(
        topic="network",
        level="ok",
        where=name,
        what=f"{parts.scheme}://{host}{f':{port}' if port else ''}{login}",
    )


def _trust(settings: Settings) -> Finding:
    file = settings.ca_file
    context = ssl.create_default_context()
    if file is None:
        count = len(context.get_ca_certs())
        paths = ssl.get_default_verify_paths()
        if not count and not (paths.cafile or paths.capath):
            what = "this Python finds no certificates of the system: no provider can be trusted"
            fix = "install the package ca-certificates, or name a bundle with --ca-file"
            return Finding(topic="network", level="error", what=what, fix=fix)
        return Finding(topic="network", level="ok", what="the system's certificates are trusted")
    try:
        context.load_verify_locations(file)
    except (OSError, ssl.SSLError):
        what = "cannot be read, or holds no PEM certificates; every request fails"
        return Finding(
            topic="network", level="error", where=str(file), what=what, fix="mend caFile or leave it out"
        )
    return Finding(
        topic="network", level="ok", where=str(file), what="trusted besides the system's certificates"
    )
