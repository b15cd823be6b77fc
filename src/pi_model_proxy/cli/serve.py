"""`pi-model-proxy serve`: the settings, then the server."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

from pi_model_proxy.cli.arguments import Parser, add_settings, inputs_from
from pi_model_proxy.cli.banner import Banner
from pi_model_proxy.cli.console import Console
from pi_model_proxy.cli.pi_view import sources_beside_pi
from pi_model_proxy.config import Environment, SettingsWatcher, check_model_names
from pi_model_proxy.sources import Problem

__all__ = ["parser", "run"]

SHOWN: Final = {
    "error": {"error"},
    "warning": {"error", "warning"},
    "info": {"error", "warning", "note"},
    "debug": {"error", "warning", "note"},
}
"""What the console tells at each `logLevel`."""

DESCRIPTION = """\
Start the server in the foreground. It serves every model that pi has a key or
login for, and follows changes of pi's files and of its own settings while it
runs. Ctrl-C lets running answers finish (15 s); a second one ends at once.
"""

EPILOG = """\
Examples:
  pi-model-proxy                                 all defaults
  pi-model-proxy --demo                          scripted models, no login needed
  pi-model-proxy --port 8080 --default-model anthropic/claude-sonnet-4-5
  pi-model-proxy --aliases fast=groq/llama-3.3-70b-versatile,smart=openai/gpt-5
  pi-model-proxy --host 0.0.0.0 --api-key-file ~/.pi/proxy-key --allowed-hosts gateway.lan

Then:
  export OPENAI_BASE_URL=http://127.0.0.1:9876/v1 OPENAI_API_KEY=any
  export ANTHROPIC_BASE_URL=http://127.0.0.1:9876 ANTHROPIC_API_KEY=any

Each setting is also a key of ~/.pi/model-proxy.json (--request-timeout-ms is
requestTimeoutMs) and a variable (PI_MODEL_PROXY_REQUEST_TIMEOUT_MS).
Flag > variable > file > default; `pi-model-proxy config` shows what won.
Lists are written with commas between their items.
"""


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("serve", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("-q", "--quiet", action="store_true", help="do not print the banner")
    add_settings(made)
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Serve until told to stop.

    Raises:
        ConfigError: the settings cannot be used.
    """
    # Only this sub-command needs the HTTP libraries; all others start without them.
    from pi_model_proxy.server import Announcement, serve  # noqa: PLC0415

    watcher = SettingsWatcher(inputs_from(arguments, environment))
    banner = Banner(paint=console.paint, width=console.width, short=console.short)

    def announce(ready: Announcement) -> None:
        configuration = watcher.configuration
        names = check_model_names(configuration.settings, configuration.origins, ready.listing.directory)
        problems = (*watcher.problems, *ready.listing.problems, *names)
        if arguments.quiet:
            for problem in problems:
                console.complain_of(problem)
        else:
            text = banner(
                listing=ready.listing, settings=ready.settings, address=ready.url, problems=problems
            )
            console.line(text)
        console.flush()

    def complain(problem: Problem) -> None:
        if problem.severity in SHOWN[watcher.current.log_level]:
            console.complain_of(problem)

    return serve(
        watcher,
        environment,
        announce=announce,
        complain=complain,
        more_sources=sources_beside_pi(watcher.current),
    )
