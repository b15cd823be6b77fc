"""`pi-model-proxy logout`: take a stored login or key out of pi's auth.json."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

from pi_model_proxy.cli.arguments import Parser, UsageError, add_settings, inputs_from
from pi_model_proxy.cli.console import PROGRAM, Console
from pi_model_proxy.cli.login import known_provider, why_not_written
from pi_model_proxy.cli.pi_view import look, read_state
from pi_model_proxy.config import Environment, load, near_name
from pi_model_proxy.credentials import (
    LockLost,
    LockUnavailable,
    OAuthCredential,
    WriteRefused,
    auth_path,
    remove_entry,
)

__all__ = ["parser", "run"]

DESCRIPTION = """\
Take a provider's login or key out of pi's auth.json, for pi as well. Variables
of the environment and models.json stay as they are, and so does everything else
in auth.json. The provider itself is not told: to end the login there, too, use
its own account page.
"""

EPILOG = """\
Examples:
  pi-model-proxy logout anthropic
  pi-model-proxy accounts          what is in use now
"""

EXIT_FAILED: Final = 1


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("logout", description=DESCRIPTION, epilog=EPILOG, operands="PROVIDER")
    made.add_argument("provider", metavar="PROVIDER", nargs="?", help="its id in auth.json, e.g. anthropic")
    add_settings(made, shown={"agent_dir"})
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Log out; status 1 when there was nothing to take out, or it could not be.

    Raises:
        ConfigError: the settings cannot be used.
        UsageError: no provider is named.
    """
    configuration = load(inputs_from(arguments, environment))
    state = read_state(configuration, environment)
    if arguments.provider is None:
        raise UsageError(f"say which provider (`{PROGRAM} accounts` lists them)")
    path = auth_path(configuration.settings.agent_dir)
    short = console.short(path)
    provider = known_provider(arguments.provider, tuple(state.entries))
    entry = state.entries.get(provider)
    if entry is None or state.entries_are_old:
        near = near_name(provider, state.entries)
        hint = f"; did you mean {near}?" if near else ""
        console.complain("error", f"{short} holds nothing for {provider!r}{hint}")
        return EXIT_FAILED
    try:
        removed = remove_entry(path, provider)
    except (LockUnavailable, LockLost, WriteRefused, OSError) as error:
        console.complain("error", f"nothing was changed: {why_not_written(error, short)}")
        return EXIT_FAILED
    what = "login" if isinstance(entry, OAuthCredential) else "key"
    console.line(
        f"Took the {what} of {provider} out of {short}." if removed else f"{provider} was gone already."
    )
    _, snapshot = look(configuration, environment)
    report = next((each for each in snapshot.providers if each.provider == provider), None)
    if report is not None and report.usable:
        console.line(f"It is still used, with {report.chosen}.")
    return 0
