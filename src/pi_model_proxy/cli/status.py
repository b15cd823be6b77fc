"""`pi-model-proxy status`: is a server running, and what does it say of itself."""

from __future__ import annotations

import http.client
import ipaddress
import json
from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.cli.arguments import Parser, add_settings, inputs_from
from pi_model_proxy.cli.console import PROGRAM, Console, wrapped
from pi_model_proxy.config import Environment, Settings, load

__all__ = ["Answer", "ask", "parser", "run"]

DESCRIPTION = """\
Ask the server on the configured port how it is. Exit status 0 when it runs, 1
when nothing, or something else, answers there.
"""

EPILOG = """\
Examples:
  pi-model-proxy status
  pi-model-proxy status --port 8080
  pi-model-proxy status --json
  until pi-model-proxy status >/dev/null 2>&1; do sleep 1; done

Port, host and key are taken from flags, variables and file, as for `serve`.
"""

TIMEOUT_S: Final = 3.0
MAX_ANSWER_BYTES: Final = 1024 * 1024
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the address to ask instead of these
MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking."""

    url: str
    health: Mapping[str, Any] | None = None
    """The server's own words; None when it is not ours that answers, or nothing does."""
    reason: str = ""
    """Why there is no `health`."""
    fix: str = ""


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("status", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings(made, shown={"port", "host", "api_key", "api_key_file"})
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Ask and tell; status 1 when no server of ours runs.

    Raises:
        ConfigError: the settings cannot be used.
    """
    answer = ask(load(inputs_from(arguments, environment)).settings)
    if arguments.json:
        running = {"running": answer.health is not None, "url": answer.url}
        detail = {"health": answer.health} if answer.health is not None else {"reason": answer.reason}
        console.json(running | detail)
    elif answer.health is None:
        console.line(console.paint.red(answer.reason))
        for line in wrapped(answer.fix, width=console.prose_width):
            console.line(line)
    else:
        for line in _told(answer.url, answer.health, width=console.prose_width):
            console.line(line)
    return 0 if answer.health is not None else 1


def ask(settings: Settings) -> Answer:
    """Ask `GET /health` of the server that these settings describe; never raises."""
    host = EVERYWHERE.get(settings.host, settings.host)
    url = f"http://{_bracketed(host)}:{settings.port}"
    if settings.port == 0:
        return Answer(
            url=url, reason="port 0 means any free port", fix="give --port with the one the banner named"
        )
    headers = {"accept": "application/json"}
    if settings.api_key is not None:
        headers["authorization"] = f"Bearer {settings.api_key.reveal()}"
    connection = http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health", headers=headers)
        response = connection.getresponse()
        body = response.read(MAX_ANSWER_BYTES)
    except TimeoutError:
        reason = f"{url} accepts connections but says nothing"
        return Answer(url=url, reason=reason, fix="end what holds the port, or choose another with --port")
    except ConnectionRefusedError:
        flag = "" if settings.port == Settings.__struct_defaults__[0] else f" --port {settings.port}"
        fix = f"Start it with `{PROGRAM}{flag}`, or say with --port where it runs."
        return Answer(url=url, reason=f"not running: nothing listens at {url}", fix=fix)
    except (OSError, http.client.HTTPException) as error:
        reason = f"{url} cannot be asked ({error.__class__.__name__}: {error})"
        return Answer(
            url=url, reason=reason, fix="see whether host and port are right: `pi-model-proxy config`"
        )
    finally:
        connection.close()
    return _read(url, response.status, body)


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host  # noqa: PLR2004 - IPv6
    except ValueError:
        return host


def _read(url: str, status: int, body: bytes) -> Answer:
    try:
        health = json.loads(body)
    except (ValueError, RecursionError):
        health = None
    if not isinstance(health, dict) or health.get("service") != PROGRAM:
        reason = f"something else answers at {url} (HTTP {status})"
        return Answer(
            url=url, reason=reason, fix=f"Choose another port: `{PROGRAM} --port {_next_port(url)}`."
        )
    return Answer(url=url, health=health)


def _next_port(url: str) -> int:
    return min(int(url.rpartition(":")[2]) + 1, 65_535)


def _told(url: str, health: Mapping[str, Any], *, width: int) -> list[str]:
    """Return the answer in lines: the well-known parts first, then whatever else the server says."""
    rest = {name: value for name, value in health.items() if name not in {"service", "version", "uptime_s"}}
    uptime = health.get("uptime_s")
    up = f", up {duration(float(uptime))}" if isinstance(uptime, int | float) else ""
    lines = [f"{PROGRAM} {health.get('version', '?')} is running at {url}{up}"]
    for name, usual, text in _REMARKS:
        if rest.pop(name, usual) != usual:
            lines.append(text)
    if not rest:
        lines.append("It tells more to a caller that has its key (--api-key-file).")
    for name, value in rest.items():
        lines += wrapped(
            f"{name.replace('_', ' '):<16} {_plain(value)}", width=width, indent=" " * 17, first="  "
        )
    return lines


_REMARKS: Final = (
    ("status", "ok", "It says that it is not well."),
    ("ready", True, "It is still reading pi's files: models answer 503 until then."),
    ("draining", False, "It is about to stop and lets running answers finish."),
    ("problems", 0, f"Something in pi's files wants mending: `{PROGRAM} check` says what."),
)
"""Field of /health, its usual value, and what to say when it has another."""


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `3 h 12 min`."""
    whole = int(seconds)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"
