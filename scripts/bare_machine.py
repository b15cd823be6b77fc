"""`make bare`: `make demo ONCE=1` and `make test` on a Debian with nothing but python3, python3-venv and make.

Builds a Debian folder with debootstrap (once, in `.cache/bare`), copies the committed state of this repository into a
fresh folder inside, and runs the two commands there under chroot. The only things taken from this machine are what
leads to the package indexes: name resolution, certificates, pip's and npm's settings. Needs root and debootstrap.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BARE = ROOT / ".cache" / "bare"
SYSTEM = BARE / "debian"
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "make", "python3", "python3-venv")
HOME = "/root"
PLACE = "/root/pi-model-proxy"

MARK = "PI_MODEL_PROXY_BARE"
"""Set for the run inside a mount namespace of its own."""

SETTINGS = (
    "PIP_",
    "NPM_CONFIG_",
    "npm_config_",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_",
)
"""Variables whose names begin like this are handed in: they say where the indexes are."""
FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
HOME_FILES = (".npmrc", ".pip/pip.conf", ".config/pip/pip.conf")


class CannotProveError(Exception):
    """The bare machine cannot be made here; the message says what is missing."""


def say(text: str) -> None:
    """Print one line at once."""
    print(f"bare: {text}", flush=True)


def ensure_system() -> None:
    """Build the Debian folder unless it is there."""
    if (SYSTEM / "usr/bin/make").exists():
        return
    if os.geteuid() != 0:
        raise CannotProveError("chroot and debootstrap need root: run this as root")
    if shutil.which("debootstrap") is None:
        raise CannotProveError("debootstrap not found (Debian, Ubuntu: apt-get install debootstrap)")
    say(f"building a {SUITE} folder with {', '.join(PACKAGES)} (one or two minutes, once)")
    unfinished = BARE / "debian.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(unfinished)]
    with (BARE / "debootstrap.log").open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise CannotProveError(f"debootstrap ended with {done.returncode}; see {BARE / 'debootstrap.log'}")
    unfinished.rename(SYSTEM)


def copy_repository(*, committed: bool) -> None:
    """Put the repository's files into the folder: HEAD's, or those of the work tree that are not ignored."""
    shutil.rmtree(inside(HOME), ignore_errors=True)  # with pip's and npm's caches: a bare machine has none
    target = inside(PLACE)
    target.mkdir(parents=True)
    if committed:
        listing = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    else:
        git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(git, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
        there = b"\0".join(name for name in names if name and (ROOT / os.fsdecode(name)).exists())
        tar = ["tar", "-c", "--null", "-T", "-"]
        listing = subprocess.run(tar, cwd=ROOT, input=there, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=target, input=listing, check=True)


def inside(path: str) -> Path:
    """Return where a path of the bare machine is on this one."""
    return SYSTEM / path.lstrip("/")


def copy_settings() -> list[Path]:
    """Copy the files that lead to the indexes; return local folders that pip is told to look into."""
    for name in FILES:
        if Path(name).exists():
            inside(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, inside(name))
    for name in HOME_FILES:
        source = Path.home() / name
        if source.exists():
            target = inside(f"{HOME}/{name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    texts = [source.read_text() for name in HOME_FILES if (source := Path.home() / name).exists()]
    texts += [value for name, value in os.environ.items() if name.startswith("PIP_")]
    words = " ".join(texts).replace("file://", "").split()
    folders = {Path(word) for word in words if word.startswith("/") and Path(word).is_dir()}
    # A local index keeps its files beside the `simple` pages that point to them.
    return sorted(folder.parent if folder.name == "simple" else folder for folder in folders)


@contextlib.contextmanager
def mounted(folders: list[Path]) -> Iterator[None]:
    """Mount /proc and pip's local folders (read-only) while the block runs."""
    undo: list[Path] = []

    def mount(*words: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *words, str(target)], check=True)
        undo.append(target)

    try:
        mount("-t", "proc", "proc", target=SYSTEM / "proc")
        for folder in folders:
            mount("--bind", "-o", "ro", str(folder), target=inside(str(folder)))
        yield
    finally:
        for target in reversed(undo):
            subprocess.run(["umount", "-l", str(target)], check=False)


def run_inside(command: str) -> float:
    """Run a shell command in the repository on the bare machine; return its seconds."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    environment |= {"HOME": HOME, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    say(f"$ {command}")
    begun = time.monotonic()
    words = ["chroot", str(SYSTEM), "/bin/sh", "-c", f"cd {PLACE} && {command}"]
    status = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - begun
    if status:
        raise CannotProveError(f"`{command}` ended with {status} after {seconds:.0f} s on the bare machine")
    say(f"`{command}` ended with 0 after {seconds:.0f} s")
    return seconds


def main() -> int:
    """Make the machine, run the commands, print how long they took."""
    parser = argparse.ArgumentParser(description="Run the two commands of the README on a bare Debian.")
    parser.add_argument(
        "--work-tree", action="store_true", help="take the files as they are, not the last commit"
    )
    parser.add_argument("commands", nargs="*", default=["make demo ONCE=1", "make test"])
    arguments = parser.parse_args()
    if os.geteuid() == 0 and MARK not in os.environ:
        # Mounts in a namespace of our own end with us, even when we are killed: none can outlive into `make clean`.
        os.execvpe("unshare", ["unshare", "--mount", sys.executable, *sys.argv], os.environ | {MARK: "1"})
    try:
        ensure_system()
        copy_repository(committed=not arguments.work_tree)
        with mounted(copy_settings()):
            run_inside("for tool in git gcc node npm uv curl; do command -v $tool; done; python3 --version")
            times = [(command, run_inside(command)) for command in arguments.commands]
    except CannotProveError as error:
        print(f"bare: {error}", file=sys.stderr)
        return 1
    for command, seconds in times:
        say(f"{seconds:6.0f} s  {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
