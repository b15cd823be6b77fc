"""Write the lock files in `requirements/`: pinned, with the hashes of every wheel, without index addresses.

Without arguments the pins that are there stay and only what changed is solved again; `--upgrade` takes the newest
versions that fit together. Run by `make lock`. The solver is uv, installed from its own lock file into `.cache/lock`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("requirements")
SOLVER = ROOT / ".cache" / "lock"

OLDEST_PYTHON = "3.11"


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file: its name without `.txt`, where its wishes stand, and the locks that it must agree with."""

    name: str
    wishes: tuple[str, ...]
    agrees_with: tuple[str, ...] = ()


LOCKS = (
    Lock("runtime", ("pyproject.toml",)),
    Lock("build", ("requirements/build.in",), ("runtime",)),
    Lock("dev", ("--group", "dev"), ("runtime", "build")),
    Lock("clients", ("requirements/clients.in",), ("runtime", "build", "dev")),
    Lock("node", ("requirements/node.in",)),
    Lock("tools", ("requirements/tools.in",)),
    Lock("bench", ("requirements/bench.in",)),
    Lock("real-model", ("requirements/real-model.in",)),
)


def install_solver() -> Path:
    """Return uv's path, after installing it into its own environment."""
    uv = SOLVER / "bin" / "uv"
    if uv.exists():
        return uv
    print("lock: installing uv", flush=True)
    venv.create(SOLVER, with_pip=True)
    pinned = FOLDER / "tools.txt"
    # The very first lock has no pin for its own solver yet.
    wanted = ["--require-hashes", "-r", str(pinned)] if (ROOT / pinned).exists() else ["uv"]
    subprocess.run([SOLVER / "bin" / "python", "-m", "pip", "install", "-q", *wanted], cwd=ROOT, check=True)
    return uv


def solve(uv: Path, lock: Lock, *, upgrade: bool) -> None:
    """Write one lock file in place, its head line first."""
    target = FOLDER / f"{lock.name}.txt"
    command = [
        str(uv), "pip", "compile", *lock.wishes, "-o", str(target), "--quiet",
        "--universal", "--python-version", OLDEST_PYTHON,
        "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header",
        "--no-build",  # only what has wheels: an install must never need a compiler
    ]  # fmt: skip
    for other in lock.agrees_with:
        command += ["-c", str(FOLDER / f"{other}.txt")]
    if upgrade:
        command.append("--upgrade")
    subprocess.run(command, cwd=ROOT, check=True)
    text = (ROOT / target).read_text()
    if "://" in text or "--index" in text:
        raise SystemExit(
            f"lock: {target} names an address; locks must install from whatever index pip is set to"
        )
    head = f"# Written by `make lock` from {' '.join(lock.wishes)}. Do not edit.\n"
    (ROOT / target).write_text(head + text)
    pins = sum(1 for line in text.splitlines() if line[:1].isalnum())
    print(f"lock: {target}: {pins} packages, {text.count('--hash=')} hashes", flush=True)


def main() -> int:
    """Solve every lock in order; later ones take the pins of earlier ones as given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit together")
    arguments = parser.parse_args()
    uv = install_solver()
    for lock in LOCKS:
        solve(uv, lock, upgrade=arguments.upgrade)
    return 0


if __name__ == "__main__":
    sys.exit(main())
