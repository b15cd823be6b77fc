"""`make agents`: official clients and coding agents, each in its own environment, in front of the installed gateway.

Behind it stands the strict provider of tests/support: three kinds of upstream that refuse what the vendors refuse. The
table goes to the terminal and, when every client was run, to docs/agents.md. Exit status 1 when a scene failed.

    make agents                              all of them
    make agents ARGS="--only codex"          those whose name has that word; the page stays as it is
    make agents ARGS="--record /tmp/bytes"   and keep what went over the wire, a file per connection and direction
    make agents ARGS="--openresponses DIR"   and the compliance suite of a checkout of openresponses/openresponses
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.coding import AGENTS, Agent, SetUp, Site
from agents.environments import NODE, ROOT, CannotInstallError, Environment, Recipe, installed
from agents.libraries import LIBRARIES, Library
from agents.report import Outcome, Untested, page, summary
from agents.task import DEFAULT, HELLO, NOTE, PLEASE_READ, SECRET, WHERE, offer_task
from agents.tee import relaying
from support.agent_dir import STUB_KEY, agent_dir
from support.gateway_process import running_gateway
from support.strict_provider import Options, StrictProvider

PAGE: Final = ROOT / "docs" / "agents.md"
PROGRAMS: Final = Path(__file__).with_name("programs")
KEY: Final = "key-of-the-gateway"
KINDS: Final = ("chat", "messages", "responses")
CLAUDE: Final = "stub-messages/vision"
"""What the alias `claude-sonnet-4-5` stands for."""
CALLS: Final = "tool-loop"
"""The model that calls a tool unasked; the compliance suite wants one."""
LIMIT_S: Final = 180
SHOWN_CHARS: Final = 500
HTTP_ERROR: Final = 400
SUITE: Final = Recipe(name="openresponses", npm=("tsx", "zod@4"))


@dataclass(slots=True)
class Session:
    """One run of this command: where the gateway is, and what has come of it."""

    origin: str
    scratch: Path
    log: Path
    """The gateway's log."""
    fresh: bool
    read: int = 0
    """Bytes of the log that have been read."""
    outcomes: list[Outcome] = field(default_factory=list)
    untested: list[Untested] = field(default_factory=list)

    def write(self, outcome: Outcome) -> None:
        """Keep an outcome and show a failure at once."""
        self.outcomes.append(outcome)
        if outcome.error is not None:
            print(f"  WRONG {outcome.face} {outcome.model} {outcome.scene}: {outcome.error}", flush=True)

    def environment(self, client: str, recipe: Recipe) -> Environment | None:
        """Return the client's environment; write down why when it cannot be made."""
        try:
            return installed(recipe, fresh=self.fresh)
        except CannotInstallError as error:
            self.untested.append(Untested(client=client, why=str(error)))
            return None

    def errors(self) -> str:
        """Return which errors the gateway has answered with since the last call, as its log has them; empty for none.

        A refusal of the upstream that the gateway mended is none: the client never saw it.
        """
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(self.read)
            new = file.read()
        self.read += new.rfind(b"\n") + 1
        lines = [json.loads(line) for line in new[: new.rfind(b"\n") + 1].splitlines()]
        return "; ".join(
            f"{line['method']} {line['path']}: {line['status']} {line['error']}"
            for line in lines
            if line["status"] >= HTTP_ERROR
        )


def bare(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which nothing of this machine's user is seen."""
    path = f"{NODE}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"HOME": str(home), "PATH": path, "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8", **more}


def play_library(session: Session, library: Library) -> None:
    """Run a library's program once; it prints one line of JSON per scene."""
    environment = session.environment(library.name, library.recipe)
    if environment is None:
        return
    for name in ("scenes.py", "scenes.mjs", library.program):
        shutil.copy(PROGRAMS / name, environment.folder)
    home = session.scratch / library.recipe.name
    home.mkdir()
    settings = bare(
        home,
        GATEWAY_ORIGIN=session.origin,
        GATEWAY_KEY=KEY,
        MODELS=" ".join(f"stub-{kind}/vision" for kind in KINDS),
        CLAUDE_IS=CLAUDE,
        LLM_USER_PATH=str(home),
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    code, out, err = ran([environment.interpreter(), library.program], environment.folder, settings)
    base = Outcome(
        client=library.name,
        version=environment.version(library.package),
        face="",
        model="",
        scene="text",
        error=None,
    )
    for line in out.splitlines():
        if line.startswith('{"face"'):
            session.write(replace(base, **json.loads(line)))
    if code:
        session.write(
            replace(base, face="program", scene="start", error=f"exit status {code}: {err[-SHOWN_CHARS:]}")
        )
    session.errors()  # whatever went wrong, the client has raised


def ran(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int | str, str, str]:
    """Run a command to its end; the status is a word when the end did not come in time."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            # With all that it started: a child of its own would hold the pipes open.
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return f"none after {LIMIT_S} s", out, err
    return process.returncode, out, err


def play_agent(session: Session, agent: Agent) -> None:
    """Run a coding agent once per dialect, kind of upstream and scene, each time in a fresh home."""
    environment = session.environment(agent.name, agent.recipe)
    if environment is None:
        return
    first = next(iter(agent.faces))
    number = 0
    for face, set_up in agent.faces.items():
        for model, thinks in models_for(face, has_shell=agent.has_shell):
            scenes: list[tuple[str, SetUp, str, str]] = []
            if not thinks:
                scenes.append(("text", set_up, HELLO, f"You said: {HELLO}"))
            if agent.has_shell:
                scenes.append(
                    ("tools, a reasoning model" if thinks else "tools", set_up, PLEASE_READ, SECRET)
                )
            if agent.typed is not None and face == first and not thinks:
                scenes.append(("structured", agent.typed, WHERE, "Paris"))
            for scene, prepare, prompt, wanted in scenes:
                number += 1
                site = new_site(session, f"{agent.recipe.name}-{number}", model, thinks=thinks)
                error = went_wrong(session, agent, environment, site, prepare, prompt, wanted)
                session.write(
                    Outcome(
                        client=agent.name,
                        version=environment.version(agent.package),
                        face=face,
                        model=model,
                        scene=scene,
                        error=error,
                    )
                )


def models_for(face: str, *, has_shell: bool) -> list[tuple[str, bool]]:
    """Return the models to ask for, and whether they think: per kind of upstream a plain one and a thinker."""
    models = [(f"stub-{kind}/vision", False) for kind in KINDS]
    if has_shell:
        # Gemini's callers always sample, which OpenAI's own models refuse while they reason; the gateway leaves
        # sampling out for those alone, and cannot know that `stub-chat` behaves like one.
        chat = "openrouter" if face == "gemini" else "thinker"
        models += [(f"stub-{kind}/{chat if kind == 'chat' else 'thinker'}", True) for kind in KINDS]
    return models


def new_site(session: Session, name: str, model: str, *, thinks: bool) -> Site:
    """Make a home and a project that holds the note."""
    folder = session.scratch / name
    site = Site(
        home=folder / "home",
        project=folder / "project",
        origin=session.origin,
        key=KEY,
        model=model,
        thinks=thinks,
    )
    site.home.mkdir(parents=True)
    site.project.mkdir()
    (site.project / NOTE).write_text(f"{SECRET}\n")
    return site


def went_wrong(
    session: Session,
    agent: Agent,
    environment: Environment,
    site: Site,
    prepare: SetUp,
    prompt: str,
    wanted: str,
) -> str | None:
    """Run the agent once and return what was not as it should be."""
    run = prepare(site, prompt)
    program = str(environment.folder / agent.program)
    settings = bare(site.home, **run.environment)
    code, out, err = ran([program, *run.arguments], site.project, settings)
    errors = session.errors()
    if wanted in out and not errors:
        return None
    return f"{errors} exit status {code}, {wanted!r} in output: {wanted in out}: {out[-SHOWN_CHARS:]} {err[-SHOWN_CHARS:]}"


def play_suite(session: Session, checkout: Path) -> None:
    """Run the Open Responses compliance suite of a checkout against a model of each kind."""
    environment = session.environment("Open Responses compliance suite", SUITE)
    if environment is None:
        return
    named = (checkout / ".git").exists()
    commit = (
        ran(["git", "rev-parse", "--short", "HEAD"], checkout, dict(os.environ))[1].strip() if named else ""
    )
    for kind in KINDS:
        model = f"stub-{kind}/vision"
        for picked, name in ((False, model), (True, f"stub-{kind}/{CALLS}")):
            command = [
                environment.interpreter(),
                str(environment.folder / "node_modules" / "tsx" / "dist" / "cli.mjs"),
                str(checkout / "bin" / "compliance-test.ts"),
                *("--base-url", f"{session.origin}/v1", "--api-key", KEY, "--model", name, "--json"),
                *(("--filter", "tool-calling") if picked else ()),
            ]
            _, out, err = ran(command, environment.folder, bare(session.scratch))
            found = json.loads(out)["results"] if out.startswith("{") else []
            results = [each for each in found if picked or each["id"] != "tool-calling"]
            if not results:
                results = [{"id": "start", "status": "failed", "errors": [err[-SHOWN_CHARS:]]}]
            for each in results:
                failed = each["status"] == "failed"
                session.write(
                    Outcome(
                        client="Open Responses suite",
                        version=commit,
                        face="responses over WebSocket" if "websocket" in each["id"] else "responses",
                        model=model,
                        scene=each["id"],
                        error="; ".join(map(str, each["errors"])) if failed else None,
                    )
                )
    session.errors()  # the suite asks for things that must be refused


@contextlib.contextmanager
def opened(record: Path | None, *, fresh: bool) -> Iterator[Session]:
    """Start the provider, the gateway and perhaps the relay that keeps the bytes."""
    offer_task()
    with (
        StrictProvider.running(Options(default_script=DEFAULT)) as provider,
        tempfile.TemporaryDirectory(prefix="agents-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        scratch = Path(name)
        files = agent_dir(scratch / "pi", provider.origin, more_models=(CALLS,))
        home = scratch / "gateway"
        home.mkdir()
        aliases = {"claude-sonnet-4-5": CLAUDE, **{f"behind-{kind}": f"stub-{kind}/vision" for kind in KINDS}}
        gateway = stack.enter_context(
            running_gateway(
                home,
                agent_dir=files.path,
                environment={"STUB_KEY": STUB_KEY},
                config={"aliases": aliases},
                key=KEY,
            )
        )
        port = stack.enter_context(relaying(gateway.port, record)).port if record else gateway.port
        yield Session(f"http://127.0.0.1:{port}", scratch, gateway.log_path, fresh)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for, print the table, and write the page after a whole run."""
    parser = argparse.ArgumentParser(prog="make agents")
    parser.add_argument("--only", default="", help="only clients whose name contains this")
    parser.add_argument("--fresh", action="store_true", help="install every client anew")
    parser.add_argument("--record", type=Path, help="folder for the bytes of every connection")
    parser.add_argument("--openresponses", type=Path, help="checkout of openresponses/openresponses")
    asked = parser.parse_args(arguments)
    with opened(asked.record, fresh=asked.fresh) as session:
        jobs: list[tuple[str, Callable[[], None]]] = []
        jobs += [(each.name, partial(play_library, session, each)) for each in LIBRARIES]
        if asked.openresponses:
            jobs.append(("Open Responses suite", partial(play_suite, session, asked.openresponses.resolve())))
        else:
            session.untested.append(
                Untested(client="Open Responses suite", why="no checkout was given (--openresponses)")
            )
        jobs += [(each.name, partial(play_agent, session, each)) for each in AGENTS]
        for name, play in jobs:
            if asked.only.lower() in name.lower():
                print(f"{name} …", flush=True)
                play()
        print("\n".join(summary(session.outcomes, session.untested)))
        if not asked.only:
            date = datetime.now(UTC).strftime("%Y-%m-%d")
            PAGE.write_text(
                page(session.outcomes, session.untested, date=date, ours=version("pi-model-proxy"))
            )
        return int(any(found.error is not None for found in session.outcomes) or not session.outcomes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
