"""`pi-model-proxy conformance`: ask a server whether it speaks its dialects as specified."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from pathlib import Path
from typing import Final

import msgspec

from pi_model_proxy.cli.arguments import Parser, UsageError
from pi_model_proxy.cli.console import Console
from pi_model_proxy.config import Environment
from pi_model_proxy.conformance import (
    CHECKS,
    DIALECTS,
    PROFILES,
    Models,
    Origin,
    Plan,
    Result,
    Unreachable,
    as_html,
    as_json,
    as_junit,
    as_table,
    listed_models,
    models_of,
)
from pi_model_proxy.conformance import (
    run as ask_all,
)

__all__ = ["parser", "run"]

DESCRIPTION = """\
Ask a server, ours or any other, whether it speaks OpenAI chat, Messages,
Responses, Gemini and Ollama as their specifications say. Each check cites the
page it stands on. Exit status: 0 all passed, 1 a check failed, 2 nothing could
be asked. Real models cost real tokens: about 300 short requests for all dialects.
"""

EPILOG = """\
Examples:
  pi-model-proxy conformance http://127.0.0.1:9876            a server with --demo
  pi-model-proxy conformance http://127.0.0.1:9876 --model openai/gpt-5-mini
  pi-model-proxy conformance http://127.0.0.1:11434 --dialect ollama,chat --model qwen3
  pi-model-proxy conformance https://llm.example.com --model M --html report.html
"""

EXIT_FAILED: Final = 1
EXIT_CANNOT: Final = 2
DEFAULT_JOBS: Final = 4
DEMO_JOBS: Final = 24
"""Scripted answers mostly wait."""
MAX_JOBS: Final = 64
DEFAULT_TOKENS: Final = 512
DEFAULT_TIMEOUT_S: Final = 60.0
NAMES_SHOWN: Final = 5


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("conformance", description=DESCRIPTION, epilog=EPILOG, operands="BASE_URL")
    made.add_argument(
        "url",
        metavar="BASE_URL",
        nargs="?",
        default="",
        help="where the server is; a /v1 at its end makes no difference",
    )
    made.add_argument(
        "--profile", choices=PROFILES, help="ask the demo models of this kind; found by itself with --demo"
    )
    made.add_argument("--model", metavar="M", help="the model to ask")
    for feature in ("tools", "thinking", "vision"):
        made.add_argument(
            f"--{feature}-model", metavar="M", help=f"another one for {feature}. Default: --model"
        )
    made.add_argument("--api-key-file", metavar="FILE", help="a file with the server's key")
    made.add_argument(
        "--dialect", metavar="A,B", default="", help=f"only these of {', '.join(d.id for d in DIALECTS)}"
    )
    made.add_argument("--only", metavar="A,B", default="", help="only these checks")
    made.add_argument("--skip", metavar="A,B", default="", help="all checks but these")
    made.add_argument(
        "--jobs", metavar="N", type=int, help=f"cells at the same time. Default: {DEFAULT_JOBS}"
    )
    made.add_argument(
        "--timeout",
        metavar="S",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        help="seconds for one request. Default: 60",
    )
    made.add_argument(
        "--max-tokens",
        metavar="N",
        type=int,
        default=DEFAULT_TOKENS,
        help=f"the limit of an answer. Default: {DEFAULT_TOKENS}",
    )
    made.add_argument("--list", action="store_true", help="print the checks and ask nothing")
    for form in ("json", "junit", "html"):
        made.add_argument(f"--{form}", metavar="FILE", type=Path, help=f"write a report as {form} to FILE")
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:  # noqa: ARG001 - every command's
    """Ask, print, write the reports and return the exit status."""
    if arguments.list:
        for check in CHECKS:
            console.line(f"{check.id:<14} {check.what} {check.how}")
        return 0
    try:
        key = Path(arguments.api_key_file).read_text().strip() if arguments.api_key_file else ""
        result = asyncio.run(_ask(arguments, console, key=key))
        for line in as_table(result):
            console.line(line)
        _write(arguments, result)
    except (OSError, Unreachable) as error:
        console.complain("error", str(error))
        return EXIT_CANNOT
    return EXIT_FAILED if result.counts["fail"] else 0


async def _ask(arguments: Namespace, console: Console, *, key: str) -> Result:
    try:
        origin = Origin.parse(arguments.url)
    except ValueError as error:
        raise UsageError(str(error)) from error
    checks = _checks(arguments)
    dialects = _names(arguments.dialect, [dialect.id for dialect in DIALECTS], "--dialect")
    profile = arguments.profile
    jobs = arguments.jobs or (DEFAULT_JOBS if arguments.model else DEMO_JOBS)
    if not 0 < jobs <= MAX_JOBS:
        raise UsageError(f"--jobs is {jobs}; write 1 to {MAX_JOBS}")
    if arguments.max_tokens < 1 or arguments.timeout <= 0:
        raise UsageError("--max-tokens and --timeout must be above 0")
    # Asked in any case: without a server a table of failures would tell nothing.
    listed = await listed_models(origin, key, timeout_s=arguments.timeout)
    if not profile and not arguments.model:
        profile = _profile(listed)
        console.line(f"{arguments.url} lists demo models: --profile {profile}")
    models = models_of(profile) if profile else _models(arguments)
    return await ask_all(
        Plan(
            url=arguments.url,
            models=models,
            key=key,
            dialects=dialects,
            checks=checks,
            jobs=jobs,
            timeout_s=arguments.timeout,
            max_tokens=arguments.max_tokens,
        )
    )


def _profile(listed: list[str]) -> str:
    demo = models_of("demo")
    if demo.text in listed:
        return "demo"
    some = ", ".join(listed[:NAMES_SHOWN]) or "none that could be read"
    raise UsageError(f"name the model to ask with --model; the server lists {some}")


def _models(arguments: Namespace) -> Models:
    model = arguments.model
    return Models(
        text=model,
        tools=arguments.tools_model or model,
        thinking=arguments.thinking_model or model,
        vision=arguments.vision_model or model,
    )


def _checks(arguments: Namespace) -> tuple[str, ...]:
    known = [check.id for check in CHECKS]
    only, skip = _names(arguments.only, known, "--only"), _names(arguments.skip, known, "--skip")
    chosen = tuple(name for name in only or known if name not in skip)
    if not chosen:
        raise UsageError("--only and --skip leave no check")
    return chosen


def _names(written: str, known: list[str], flag: str) -> tuple[str, ...]:
    names = tuple(name for name in written.split(",") if name)
    for name in names:
        if name not in known:
            raise UsageError(f"{flag}: there is no {name!r}; there are {', '.join(known)}")
    return names


def _write(arguments: Namespace, result: Result) -> None:
    if arguments.json:
        arguments.json.write_bytes(
            msgspec.json.format(msgspec.json.encode(as_json(result)), indent=2) + b"\n"
        )
    if arguments.junit:
        arguments.junit.write_bytes(as_junit(result))
    if arguments.html:
        arguments.html.write_text(as_html(result), encoding="utf-8")
