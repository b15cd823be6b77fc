"""Who can reach the server: address, key, names and origins, and whether the port can be had."""

from __future__ import annotations

from collections.abc import Iterator

from pi_model_proxy.cli.checkup.finding import Finding
from pi_model_proxy.cli.console import PROGRAM
from pi_model_proxy.cli.status import ask, duration
from pi_model_proxy.config import Settings, is_loopback_host
from pi_model_proxy.server.port import PortError, bind

__all__ = ["address_findings"]


def address_findings(settings: Settings) -> Iterator[Finding]:
    """Say who can reach the server; what is unsafe about it, the configuration's own findings say."""
    near = is_loopback_host(settings.host)
    who = "programs on this machine only" if near else "other machines too"
    key = "callers need the key" if settings.api_key is not None else "no key is asked for"
    details = []
    if settings.allowed_hosts:
        details.append(f"Host names admitted besides localhost: {', '.join(settings.allowed_hosts)}")
    if settings.allowed_origins:
        details.append(f"web pages admitted: {', '.join(settings.allowed_origins)}")
    yield Finding(
        topic="address",
        level="ok",
        what=f"{settings.host}:{settings.port}: {who}; {key}",
        details=tuple(details),
    )
    if settings.port == 0:
        yield Finding(topic="address", level="ok", what="port 0: any free one is taken at start")
        return
    yield _port(settings)


def _port(settings: Settings) -> Finding:
    try:
        # Bound and let go, never listened on: nobody can connect meanwhile.
        bind(settings.host, settings.port, listens=False).close()
    except PortError as refused:
        # An address that is not this machine's is not asked: that would be somebody else's server.
        answer = ask(settings) if refused.is_taken else None
        if answer is not None and answer.health is not None:
            uptime = answer.health.get("uptime_s")
            up = f", up {duration(float(uptime))}" if isinstance(uptime, int | float) else ""
            what = f"{PROGRAM} {answer.health.get('version', '?')} is running there{up}"
            return Finding(topic="address", level="ok", what=what)
        return Finding(
            topic="address",
            level="error",
            where=f"{settings.host}:{settings.port}",
            what=str(refused),
            fix=refused.fix,
        )
    return Finding(
        topic="address", level="ok", what=f"port {settings.port} is free: the server is not running"
    )
