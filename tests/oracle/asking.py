"""Asks the same of the recording upstream through pi and through us."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from oracle.cases import Case, batches, write_agent_dir
from oracle.comparing import TRANSPORT
from oracle.conversation import CALLERS, callers_of, pi_job
from oracle.intended import OF_SDKS, Pair
from oracle.recording import Recorded, RecordingUpstream
from support.gateway_process import running_gateway
from support.pi_oracle import PiOracle

__all__ = ["ask_through_pi", "ask_through_us"]

NOTHING: Final = Recorded("", {}, None)
RUN_LIMIT_S: Final = 120.0
EXTENSION: Final = Path(__file__).with_name("pi_stream.ts")


def ask_through_pi(pi: PiOracle, cases: Sequence[Case], folder: Path) -> dict[str, Recorded]:
    """Return what pi sends for each case, by its name."""
    with RecordingUpstream.running() as upstream:
        for number, group in enumerate(batches(cases)):
            agent_dir = folder / f"agent-{number}"
            write_agent_dir(agent_dir, group, upstream.origin)
            jobs = folder / f"jobs-{number}.json"
            written = [
                pi_job(case.name, case.catalogued(), in_loop=case.in_loop, thinks=case.thinks)
                for case in group
            ]
            jobs.write_text(json.dumps(written))
            told = _send(pi, agent_dir, jobs)
            arrived = {request.path.split("/")[1] for request in upstream.requests}
            missing = {case.name for case in group} - arrived
            assert not missing, f"pi sent nothing for {missing}: {told}"
        sent = {case.name: _settled(upstream.of(case.name), case) for case in cases}
        return {name: _unpacked(pi, request) for name, request in sent.items()}


def _send(pi: PiOracle, agent_dir: Path, jobs: Path) -> str:
    """Let pi send what `jobs` holds; return what it says of errors. It ends when its input does."""
    command = pi.command(["--mode", "rpc", "--no-session", "--no-extensions", "-e", str(EXTENSION)])
    environment = pi.environment(agent_dir, {"AWS_BEDROCK_FORCE_HTTP1": "1"})
    asked = {"id": "1", "type": "prompt", "message": f"/send {jobs}"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=environment["HOME"],
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(RUN_LIMIT_S, process.kill)
        watchdog.start()
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                event = json.loads(line)
                if event.get("method") == "notify":
                    return str(event["message"])
        finally:
            watchdog.cancel()
            process.stdin.close()
            process.kill()
    raise AssertionError("pi ended before it had sent everything")


def _unpacked(pi: PiOracle, request: Recorded) -> Recorded:
    """Return the request with its body readable: pi compresses Codex's with zstd, which its Node can undo."""
    if request.headers.get("content-encoding") != "zstd":
        return request
    script = (
        "process.stdout.write(require('node:zlib').zstdDecompressSync(require('node:fs').readFileSync(0)))"
    )
    done = subprocess.run(
        [str(pi.node), "-e", script], input=bytes.fromhex(request.body), capture_output=True, check=True
    )
    return msgspec.structs.replace(request, body=json.loads(done.stdout))


def ask_through_us(cases: Sequence[Case], folder: Path) -> list[Pair]:
    """Return what we send for each case when a caller of each dialect asks; what pi sends is left open."""
    sent: list[Pair] = []
    with RecordingUpstream.running() as upstream:
        for number, group in enumerate(batches(cases)):
            agent_dir = folder / f"agent-{number}"
            write_agent_dir(agent_dir, group, upstream.origin)
            home = folder / f"home-{number}"
            home.mkdir()
            with running_gateway(home, agent_dir=agent_dir) as gateway:
                for case in group:
                    for dialect in callers_of(case.catalogued().api):
                        path, written = CALLERS[dialect]
                        upstream.requests.clear()
                        asked = written(case.catalogued(), in_loop=case.in_loop, thinks=case.thinks)
                        answer = gateway.post(path, asked)
                        assert upstream.requests, f"{case.name}, {dialect}: nothing was sent: {answer.text}"
                        ours = _settled(upstream.of(case.name), case)
                        sent.append(Pair(case, case.catalogued().api, dialect, asked, NOTHING, ours))
    return sent


def _settled(request: Recorded, case: Case) -> Recorded:
    """Return the request without what depends on this run and this machine."""
    headers = {name: _steady(name, value) for name, value in request.headers.items() if name not in TRANSPORT}
    return Recorded(request.path.removeprefix(f"/{case.name}"), headers, request.body)


def _steady(name: str, value: str) -> str:
    if name.startswith(OF_SDKS):
        return "..."
    return re.sub(r"^((?:pi|aws-sdk-js)/\S+) .*", r"\1 ...", value) if name == "user-agent" else value
