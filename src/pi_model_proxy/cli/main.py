"""Which sub-command is meant, and what becomes of its errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from pi_model_proxy import __version__

__all__ = ["COMMANDS", "main"]

COMMANDS: Final = {
    "serve": "Start the server (what you get without a command).",
    "status": "Say whether the server is running and what it offers.",
    "models": "List the models, their limits, prices and logins.",
    "accounts": "Say for each provider which login or key is used, and why.",
    "login": "Log in to a provider: in the browser or by device code.",
    "logout": "Take a provider's login or key out of pi's auth.json.",
    "config": "Show every setting, its value and where it came from.",
    "check": "Look for mistakes in the configuration and in pi's files.",
    "doctor": "Look at everything that could keep a request from its answer.",
    "conformance": "Ask a server whether it speaks its dialects as specified.",
}
"""Sub-command and summary; the module of the same name holds `parser()` and `run()`."""

PROGRAM: Final = "pi-model-proxy"
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141
"""What a shell reports for a program that SIGPIPE ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # `pi-model-proxy models | head`: nobody reads any more; without this Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return status


def _dispatch(words: list[str]) -> int:
    if words and words[0] in {"-V", "--version"}:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    if words and words[0] in {"-h", "--help", "help"}:
        words = [*(word for word in words[1:] if word in COMMANDS), "--help"]
        if words == ["--help"]:
            sys.stdout.write(overview())
            return 0
    command = "serve" if not words or words[0].startswith("-") else words.pop(0)
    return _run(command, words) if command in COMMANDS else _unknown(command)


def overview() -> str:
    """Return the help that stands above all sub-commands."""
    listed = "\n".join(f"  {name:<11} {summary}" for name, summary in COMMANDS.items())
    return f"""\
usage: {PROGRAM} [COMMAND] [OPTIONS]

Serves every model that pi can use as OpenAI- and Anthropic-compatible endpoints
on this machine, with the keys and logins pi already has.

Commands:
{listed}

`{PROGRAM} COMMAND --help` explains each; `serve --help` has all settings.

Try it:
  {PROGRAM}                  start, with the keys and logins pi has
  {PROGRAM} --demo           start with scripted models, no login needed
  {PROGRAM} models sonnet    models whose name has "sonnet"
  curl http://127.0.0.1:9876/v1/models

Nothing needs to be configured. Settings live in ~/.pi/model-proxy.json; each is
also a flag and a variable: requestTimeoutMs, --request-timeout-ms and
PI_MODEL_PROXY_REQUEST_TIMEOUT_MS. Flag > variable > file > default.

  -h, --help     this text
  -V, --version  the version
"""


def _unknown(command: str) -> int:
    from difflib import get_close_matches  # noqa: PLC0415 - a good command line does not pay for it

    near = get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean `{PROGRAM} {near[0]}`?" if near else f"`{PROGRAM} --help` lists them"
    sys.stderr.write(f"{PROGRAM}: error: there is no command {command!r}; {hint}\n")
    return EXIT_USAGE


def _run(command: str, words: Sequence[str]) -> int:
    # Imported here: a sub-command pays for its own libraries only, `--version` for none.
    from pi_model_proxy.cli.arguments import UsageError  # noqa: PLC0415
    from pi_model_proxy.cli.console import open_console  # noqa: PLC0415
    from pi_model_proxy.config import ConfigError, read_environment  # noqa: PLC0415

    try:
        environment = read_environment()
    except (OSError, RuntimeError) as error:
        sys.stderr.write(
            f"{PROGRAM}: error: no working or home folder: {error}; change to one, or set HOME\n"
        )
        return EXIT_USAGE
    console = open_console(environment, home=environment.home)
    module = import_module(f"pi_model_proxy.cli.{command}")
    status: int
    try:
        arguments = module.parser().parse(words)
        status = module.run(arguments, console, environment)
    except UsageError as error:
        console.complain("error", str(error))
        status = EXIT_USAGE
    except ConfigError as error:
        for problem in error.problems:
            console.complain_of(problem)
        status = EXIT_FAILED
    except SystemExit as asked:  # argparse has printed a help text
        status = asked.code if isinstance(asked.code, int) else 0
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    return status
