"""`make real`: real inference through both endpoints, checked against the model server's own figures.

Starts llama.cpp with Gemma 3 270M, then the installed `pi-model-proxy` with a scratch agent dir whose `models.json`
names that server three times: as `openai-completions`, `openai-responses` and `anthropic-messages`. The OpenAI and
Anthropic SDKs hold a chat of two turns over each of the six pairs, streamed and not; the same is asked of the server
directly. The transcript goes to docs/real-transcript.md when everything was right. Exit status 1 names what was not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real import talks
from real.llama import MODEL_NAME, ROOT, CannotBuildError, RealServer, free_port, real_server, say

if TYPE_CHECKING:
    from collections.abc import Iterator

TRANSCRIPT = ROOT / "docs" / "real-transcript.md"
GATEWAY_KEY = "gateway-key"
READY_TIMEOUT_S = 15.0
TOKENS_PER_ANSWER = 24
CONTEXT_TOKENS = 4096

QUESTIONS = ("Name three colours of the rainbow.", "And which one lies between the other two?")
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Provider:
    """The model server as one kind of upstream: its name in models.json, pi's API kind, base path, direct talk."""

    name: str
    kind: str
    path: str
    direct: talks.Talk
    knows_length: bool = True
    """Whether the server says that it was cut for length; llama.cpp's Responses say `completed` then."""


PROVIDERS = (
    Provider("local-chat", "openai-completions", "/v1", talks.chat_plain),
    Provider("local-responses", "openai-responses", "/v1", talks.responses_plain, knows_length=False),
    Provider("local-messages", "anthropic-messages", "", talks.messages_plain),
)

ENDPOINTS: tuple[tuple[str, talks.Talk, str], ...] = (
    ("POST /v1/chat/completions", talks.chat_plain, "length"),
    ("POST /v1/chat/completions, streamed", talks.chat_streamed, "length"),
    ("POST /v1/messages", talks.messages_plain, "max_tokens"),
    ("POST /v1/messages, streamed", talks.messages_streamed, "max_tokens"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """An endpoint of ours in front of one kind of upstream, and how to call the two in a message."""

    gateway: talks.Place
    server: RealServer
    provider: Provider
    where: str


@dataclass(slots=True)
class Report:
    """Collects the transcript's lines and everything that was not as it should be."""

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    checks: int = 0

    def write(self, *lines: str) -> None:
        """Add lines to the transcript."""
        self.lines += lines

    def check(self, what: str, seen: object, wanted: object) -> None:
        """Count one comparison; a difference goes to the terminal and fails the run at its end."""
        self.checks += 1
        if seen != wanted:
            self.failures.append(f"{what}: {seen!r} instead of {wanted!r}")
            say(f"WRONG {self.failures[-1]}")


def write_agent_dir(folder: Path, server: RealServer) -> None:
    """Write a models.json that knows the model server as three providers, as a user of pi would."""
    model = {
        "id": MODEL_NAME,
        "name": "Gemma 3 270M",
        "contextWindow": CONTEXT_TOKENS,
        "maxTokens": 1024,
        "input": ["text"],
    }
    compat = {"supportsStore": False, "supportsDeveloperRole": False, "maxTokensField": "max_tokens"}
    providers = {
        provider.name: {
            "baseUrl": f"{server.origin}{provider.path}",
            "api": provider.kind,
            "apiKey": server.key,
            **({"compat": compat} if provider.kind == "openai-completions" else {}),
            "models": [model],
        }
        for provider in PROVIDERS
    }
    folder.mkdir(parents=True)
    (folder / "models.json").write_text(json.dumps({"providers": providers}, indent=2))


@contextmanager
def gateway(server: RealServer, home: Path) -> Iterator[talks.Place]:
    """Run the installed command on a free port with a scratch home until the block ends."""
    write_agent_dir(home / ".pi" / "agent", server)
    key_file = home / "key"
    key_file.write_text(GATEWAY_KEY)
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "pi-model-proxy"), "serve", "--port", str(port),
        "--agent-dir", str(home / ".pi" / "agent"), "--api-key-file", str(key_file),
        "--log-path", str(home / "log.jsonl"),
    ]  # fmt: skip
    # A bare environment: no key of the user's may add providers, no proxy variable may lead loopback traffic away.
    environment = {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath)}
    log = home / "gateway.out"
    with (
        log.open("wb") as sink,
        subprocess.Popen(command, stdout=sink, stderr=sink, env=environment) as process,
    ):
        try:
            origin = f"http://127.0.0.1:{port}"
            wait_until_ready(origin, process, log)
            yield talks.Place(origin, GATEWAY_KEY, "")
        finally:
            process.terminate()


def wait_until_ready(origin: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll `/readyz` until it answers 200; show the command's own words when it does not."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{origin}/readyz", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise CannotBuildError(
        f"pi-model-proxy did not become ready. It said:\n{log.read_text(errors='replace')}"
    )


def hold_chats(report: Report, place: talks.Place, server: RealServer) -> None:
    """Two turns over every pair of endpoint and upstream kind; a pair that fails does not hide the others."""
    for provider in PROVIDERS:
        for endpoint, talk, cut_word in ENDPOINTS:
            where = f"{endpoint} → {provider.kind}"
            report.write(f"### {where}", "")
            try:
                hold_chat(report, Pair(place, server, provider, where), talk, cut_word)
            except talks.API_ERRORS as error:
                report.check(where, str(error), "an answer")
                continue
            say(f"{where}: {len(QUESTIONS)} turns")


def hold_chat(report: Report, pair: Pair, talk: talks.Talk, cut_word: str) -> None:
    """Ask the questions one after the other, each compared with the server's own answer to the same turns."""
    through = talks.Place(pair.gateway.origin, pair.gateway.key, f"{pair.provider.name}/{MODEL_NAME}")
    direct = talks.Place(pair.server.origin, pair.server.key, pair.server.model)
    turns: talks.Turns = []
    for question in QUESTIONS:
        turns.append(("user", question))
        wanted = pair.provider.direct(direct, turns, TOKENS_PER_ANSWER)
        seen = talk(through, turns, TOKENS_PER_ANSWER)
        compare(report, pair.where, seen, wanted)
        if pair.provider.knows_length:
            report.check(f"{pair.where}: end", seen.ended, cut_word)
        write_turn(report, question, seen, wanted)
        turns.append(("assistant", seen.text))


def compare(report: Report, where: str, seen: talks.Answer, wanted: talks.Answer) -> None:
    """Check the figures that must be the server's own, and that words arrived at all."""
    report.check(f"{where}: input tokens", seen.input_tokens, wanted.input_tokens)
    report.check(f"{where}: output tokens", seen.output_tokens, wanted.output_tokens)
    report.check(f"{where}: an answer with text", bool(seen.text), wanted=True)


def write_turn(report: Report, question: str, seen: talks.Answer, wanted: talks.Answer) -> None:
    """Put one turn into the transcript, the model's words as they came."""
    same = "the same words" if seen.text == wanted.text else "other words"
    report.write(
        f"- **user**: {question}",
        f"- **model**: `{json.dumps(seen.text, ensure_ascii=False)}`",
        f"- {seen.input_tokens} tokens in ({seen.cached_tokens} cached), {seen.output_tokens} out, ended by"
        f" `{seen.ended}`; asked directly: {wanted.input_tokens} in, {wanted.output_tokens} out, {same}",
        "",
    )


def bind_to_schema(report: Report, place: talks.Place) -> None:
    """A JSON schema reaches the server's grammar from both endpoints (its chat API is the one that has it)."""
    through = talks.Place(place.origin, place.key, f"local-chat/{MODEL_NAME}")
    turns: talks.Turns = [("user", "Invent a person.")]
    report.write("### A JSON schema", "", f"Asked for `{json.dumps(PERSON)}`.", "")
    for endpoint, talk in (("chat completions", talks.chat_json), ("messages", talks.messages_json)):
        text = talk(through, turns, PERSON)
        try:
            person = json.loads(text)
        except ValueError:
            person = None
        fits = isinstance(person, dict) and set(person) == {"name", "age"} and isinstance(person["age"], int)
        report.check(f"json_schema by {endpoint} ({text!r})", fits, wanted=True)
        report.write(f"- {endpoint}: `{json.dumps(person)}`")
        say(f"json_schema by {endpoint}")
    report.write("")


def ask_the_rest(report: Report, place: talks.Place, server: RealServer) -> None:
    """Model list, the upstream's own token count, and a prompt that does not fit."""
    listed = {model.id for model in place.openai().models.list()}
    for provider in PROVIDERS:
        name = f"{provider.name}/{MODEL_NAME}"
        report.check(f"{name} is listed", name in listed, wanted=True)

    turns: talks.Turns = [("user", QUESTIONS[0])]
    wanted = talks.count_tokens(talks.Place(server.origin, server.key, server.model), turns)
    seen = talks.count_tokens(talks.Place(place.origin, place.key, f"local-messages/{MODEL_NAME}"), turns)
    report.check("count_tokens", seen, wanted)
    report.write("### The rest", "", f"- models listed: {', '.join(f'`{name}`' for name in sorted(listed))}")
    report.write(f"- count_tokens of the first question: {seen}; asked directly: {wanted}")

    too_long: talks.Turns = [("user", "word " * (CONTEXT_TOKENS + 500))]
    for endpoint, talk, _ in ENDPOINTS:
        for provider in PROVIDERS:
            through = talks.Place(place.origin, place.key, f"{provider.name}/{MODEL_NAME}")
            status = talks.refused_status(talk, through, too_long)
            report.check(f"too long a prompt, {endpoint} → {provider.kind}", status, 400)
    report.write("- a prompt longer than the context: 400 on every pair of endpoint and upstream", "")
    say("models, count_tokens, too long a prompt")


def check_log(report: Report, log: Path) -> None:
    """Every request must have its line, with the figures that the caller saw; the last two go into the transcript."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    answered = [entry for entry in entries if entry["path"] != "/v1/models" and entry["status"] == 200]
    chats = len(PROVIDERS) * len(ENDPOINTS) * len(QUESTIONS)
    metered = [entry for entry in answered if (entry.get("output_tokens") or 0) > 0]
    report.check("log lines with tokens for every chat and schema", len(metered) >= chats + 2, wanted=True)
    report.write("### The log's last two lines", "", "```json")
    report.write(*(json.dumps(entry) for entry in metered[-2:]), "```", "")


def write_transcript(report: Report, seconds: float) -> None:
    """Write docs/real-transcript.md."""
    names = ("pi-model-proxy", "openai", "anthropic")
    head = [
        "# A chat with a real model server",
        "",
        (
            "Written by `make real`: llama.cpp (b11434) with Gemma 3 270M behind pi-model-proxy, three times over, as"
            " `openai-completions`, `openai-responses` and `anthropic-messages`. It is a small base model without a chat"
            " template, so its words are nonsense; what counts is that they are its own, and that every figure is the"
            " server's."
        ),
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; {', '.join(f'{name} {version(name)}' for name in names)}.",
        f"{report.checks} checks, all right, in {seconds:.0f} s.",
        "",
    ]
    TRANSCRIPT.parent.mkdir(exist_ok=True)
    TRANSCRIPT.write_text("\n".join([*head, *report.lines]).rstrip() + "\n")
    say(f"{report.checks} checks, all right; transcript in {TRANSCRIPT.relative_to(ROOT)}")


def main() -> int:
    """Run everything; exit 1 when something was not right or could not be started."""
    report = Report()
    begun = time.monotonic()
    try:
        with real_server() as server, tempfile.TemporaryDirectory(prefix="pi-model-proxy-real-") as home:
            say(f"model server ready on {server.origin}")
            log = Path(home) / "log.jsonl"
            with gateway(server, Path(home)) as place:
                hold_chats(report, place, server)
                bind_to_schema(report, place)
                ask_the_rest(report, place, server)
            check_log(report, log)
    except (CannotBuildError, *talks.API_ERRORS) as error:
        print(f"real: {error}", *report.failures, sep="\n  ", file=sys.stderr)
        return 1
    if report.failures:
        print(
            f"real: {len(report.failures)} of {report.checks} checks failed:",
            *report.failures,
            sep="\n  ",
            file=sys.stderr,
        )
        return 1
    write_transcript(report, time.monotonic() - begun)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
