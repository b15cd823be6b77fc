"""`pi-model-proxy login`: log in to a provider, for pi and for us."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pi_model_proxy.cli.arguments import Parser, UsageError, add_settings, inputs_from
from pi_model_proxy.cli.console import PROGRAM, Console, columns, wrapped
from pi_model_proxy.cli.pi_view import read_state
from pi_model_proxy.cli.terminal import Lines, Terminal, is_headless
from pi_model_proxy.cli.terms import terms_of
from pi_model_proxy.config import Configuration, Environment, load, near_name
from pi_model_proxy.credentials import (
    ApiKeyCredential,
    LockLost,
    LockUnavailable,
    Post,
    WriteRefused,
    auth_path,
    store_entry,
)
from pi_model_proxy.credentials.copilot import domain_of
from pi_model_proxy.credentials.login import (
    LOGIN_PROVIDERS,
    Around,
    LoginFailed,
    LoginRow,
    Method,
    log_in,
    login_row,
)
from pi_model_proxy.providers import provider_row
from pi_model_proxy.sources import PiState

__all__ = ["known_provider", "parser", "run", "why_not_written"]

DESCRIPTION = """\
Log in to a provider with your account there. The login is written to pi's own
auth.json, under pi's lock and in pi's form: pi uses it too, and a running
server notices it by itself. Nothing else in that file changes.

Two ways, as the provider has them. In the browser: its last page leads back to
this machine; when it cannot (the browser is elsewhere, the port is taken), paste
that page's address here. By device code: open a page anywhere, enter a code.
"""

EPILOG = """\
Examples:
  pi-model-proxy login                        which logins there are
  pi-model-proxy login anthropic              in the browser
  pi-model-proxy login anthropic --no-browser from a machine without one
  pi-model-proxy login openai-codex --device  by code, from any device
  pi-model-proxy login github-copilot --enterprise company.ghe.com
  pi-model-proxy logout anthropic
  pi-model-proxy accounts                     what is in use, and why

Each provider's addresses can be led elsewhere, to https or this machine only:
PI_MODEL_PROXY_OPENAI_CODEX_TOKEN_URL, .._AUTHORIZE_URL, .._DEVICE_URL.
Keys need no login: set the provider's variable, or use `/login` in pi.
"""

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
COPILOT: Final = "github-copilot"


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("login", description=DESCRIPTION, epilog=EPILOG, operands="[PROVIDER]")
    made.add_argument("provider", metavar="PROVIDER", nargs="?", help="its id, e.g. anthropic")
    made.add_argument(
        "--no-browser",
        action="store_true",
        help="open no browser here: the page is shown, to be opened anywhere",
    )
    made.add_argument(
        "--device", action="store_true", help="by device code, where the provider has both ways"
    )
    made.add_argument(
        "--enterprise", metavar="DOMAIN", default="", help="GitHub Copilot on this GitHub Enterprise domain"
    )
    made.add_argument("-y", "--yes", action="store_true", help="replace a stored key without asking")
    add_settings(made, shown={"agent_dir", "ca_file"})
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Log in; status 1 when it came to nothing, 130 when the user gave up.

    Raises:
        ConfigError: the settings cannot be used.
        UsageError: there is no such provider, or no such login.
    """
    configuration = load(inputs_from(arguments, environment))
    state = read_state(configuration, environment)
    gateways = state.gateways
    if arguments.provider is None:
        return _list(console, gateways)
    provider = known_provider(arguments.provider, (*LOGIN_PROVIDERS, *gateways))
    login = login_row(provider, gateways)
    if login is None:
        raise UsageError(_no_login(arguments.provider, gateways))
    method = _method(arguments, login, environment)
    path = auth_path(configuration.settings.agent_dir)
    try:
        _check_writable(path, console)
        if isinstance(state.entries.get(provider), ApiKeyCredential) and not arguments.yes:
            _agree_to_replace(provider, console)
        _tell_terms(provider, console)
        terminal = Terminal(
            console,
            environment,
            lines=Lines(sys.stdin.fileno() if sys.stdin else -1),
            opens_browser=not arguments.no_browser and not is_headless(environment),
            redraws=sys.stdout.isatty(),
        )
        _tell_other_way(login, method, terminal)
        entry = asyncio.run(_log_in(login, method, configuration, environment, state, terminal))
    except KeyboardInterrupt:
        console.line()
        console.flush()
        console.complain("note", "given up; nothing was stored")
        return EXIT_INTERRUPTED
    except LoginFailed as error:
        console.complain("error", str(error))
        return EXIT_FAILED
    return _store(path, provider, entry, console)


def _store(path: Path, provider: str, entry: Mapping[str, Any], console: Console) -> int:
    try:
        store_entry(path, provider, entry)
    except KeyboardInterrupt:
        told = f"interrupted while the login was stored; `{PROGRAM} accounts {provider}` says whether it is there"
        console.complain("note", told)
        return EXIT_INTERRUPTED
    except (LockUnavailable, LockLost, WriteRefused, OSError) as error:
        console.complain(
            "error", f"the login was made, but not stored: {why_not_written(error, console.short(path))}"
        )
        return EXIT_FAILED
    _tell_done(provider, console, str(path))
    return 0


def why_not_written(error: Exception, path: str) -> str:
    """Return in one line why `auth.json` could not be changed."""
    if isinstance(error, OSError):
        return f"{path}: {error.strerror or type(error).__name__}"
    return str(error)


def known_provider(written: str, known: tuple[str, ...]) -> str:
    """Return the provider's id as it is spelt; what is not known stays as it was written."""
    return next((name for name in known if name.lower() == written.lower()), written)


def _no_login(provider: str, gateways: Mapping[str, str]) -> str:
    names = (*LOGIN_PROVIDERS, *gateways)
    near = near_name(provider, names)
    hint = f"did you mean {near}?" if near else f"`{PROGRAM} login` lists them"
    row = provider_row(provider)
    if row.key_variables:
        return f"{provider} has no login, only keys: set {row.key_variables[0]}, or use `/login` in pi"
    return f"there is no login for {provider!r}; {hint}"


def _method(arguments: Namespace, login: LoginRow, environment: Environment) -> Method:
    if arguments.enterprise and login.provider != COPILOT:
        raise UsageError(f"--enterprise is for {COPILOT} only")
    if arguments.device and login.device is None:
        raise UsageError(f"{login.provider} has no login by device code; try --no-browser")
    try:
        enterprise = domain_of(arguments.enterprise)
    except ValueError as error:
        raise UsageError(f"--enterprise {arguments.enterprise}: {error}") from error
    headless = arguments.no_browser or is_headless(environment)
    # As `pi auth login --no-browser`: the way that is made for it, where there is one.
    device = arguments.device or (arguments.no_browser and login.device is not None)
    return Method(device=device, headless=headless, enterprise=enterprise)


def _tell_other_way(login: LoginRow, method: Method, terminal: Terminal) -> None:
    if method.headless and login.device is not None and login.browser is not None and not method.device:
        terminal.say(f"`{PROGRAM} login {login.provider} --device` needs no browser on this machine.")


def _list(console: Console, gateways: Mapping[str, str]) -> int:
    console.line(f"Logins (`{PROGRAM} login PROVIDER`):\n")
    rows = []
    for provider in (*LOGIN_PROVIDERS, *(name for name in gateways if name not in LOGIN_PROVIDERS)):
        login = login_row(provider, gateways)
        if login is not None:
            ways = [
                way for way, there in (("browser", login.browser), ("device code", login.device)) if there
            ]
            rows.append((f"  {provider}", _name(provider), " or ".join(ways)))
    for line in columns(rows):
        console.line(line)
    return 0


def _name(provider: str) -> str:
    login = provider_row(provider).login
    return login.name if login is not None else f"Radius gateway {provider}"


def _check_writable(path: Path, console: Console) -> None:
    """Find out before the login, not after it, that it could not be stored.

    Raises:
        LoginFailed: the folder cannot be written to.
    """
    folder = Path(os.path.realpath(path)).parent
    nearest = next(each for each in (folder, *folder.parents) if os.access(each, os.F_OK))
    if not os.access(nearest, os.W_OK):
        raise LoginFailed(f"{console.short(nearest)} cannot be written to, so no login could be stored there")


def _agree_to_replace(provider: str, console: Console) -> None:
    """Have the user agree that a stored key is lost.

    Raises:
        LoginFailed: the user did not, or cannot be asked.
    """
    what = f"auth.json holds a key for {provider}, which a login takes the place of"
    if not (sys.stdin and sys.stdin.isatty()):
        raise LoginFailed(f"{what}; say --yes if that is meant")
    console.line(f"{what[0].upper()}{what[1:]}. Go on? [y/N]")
    console.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise LoginFailed("the key was kept")


def _tell_terms(provider: str, console: Console) -> None:
    for line in wrapped(terms_of(provider), width=console.prose_width):
        console.line(console.paint.dim(line))


def _tell_done(provider: str, console: Console, path: str) -> None:
    console.line(f"Logged in to {_name(provider)}; the login is in {console.short(path)}, for pi too.")
    console.line(f"`{PROGRAM} models {provider}/` lists what it can use.")


async def _log_in(
    login: LoginRow,
    method: Method,
    configuration: Configuration,
    environment: Environment,
    state: PiState,
    terminal: Terminal,
) -> dict[str, Any]:
    # Only this needs the HTTP client.
    from pi_model_proxy.transport.http1 import Http1Transport  # noqa: PLC0415

    ca_file = configuration.settings.ca_file
    transport = Http1Transport(environment, ca_file=str(ca_file) if ca_file else None)
    post: Post = transport.post
    around = Around(
        post=post,
        environment=environment,
        device_id=state.settings.device_id or str(uuid.uuid4()),
        listed_models=frozenset(
            model.id for found in state.composition.providers if found.id == COPILOT for model in found.models
        ),
    )
    try:
        return await log_in(login, method, around, terminal)
    finally:
        terminal.clear()
        await transport.close()
