"""`make wheel`: the wheel builds, installs into empty environments with pip and with uv, and runs there.

Checks what a user gets: no `.pth` file in the wheel, at most 12 direct and 30 installed packages, at most 40 MB, the
command answers `/health` within its start time and ends with 0 on SIGTERM. The dependencies come as the wheel declares them,
not from our lock files, because that is what a user's pip does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

from lock import ROOT, install_solver

DIST = ROOT / "dist"
MAX_DIRECT = 12
MAX_PACKAGES = 30
MAX_MB = 40.0
HEALTH_TIMEOUT_S = 10.0
INSTALLERS = {"pip", "setuptools", "wheel"}
"""In a fresh environment before we install anything, so not counted."""


class ProofFailedError(Exception):
    """Something is not as it must be; the message says what."""


def demand(what: str, *, holds: bool) -> None:
    """Print a fact that was checked, or fail with it."""
    if not holds:
        raise ProofFailedError(what)
    print(f"wheel: {what}", flush=True)


def build() -> Path:
    """Build the wheel with the locked backend and look into it."""
    shutil.rmtree(DIST, ignore_errors=True)
    hatchling = Path(sys.executable).parent / "hatchling"
    subprocess.run(
        [hatchling, "build", "-t", "wheel", "-d", str(DIST)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = DIST.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        declared = packed.read(metadata).decode().partition("\n\n")[0].splitlines()
    strays = [name for name in names if not name.startswith(("pi_model_proxy/", "pi_model_proxy-"))]
    demand(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB", holds=bool(names))
    demand(f"nothing in it outside its package {strays or ''}".rstrip(), holds=not strays)
    demand("no .pth file in it", holds=not any(name.endswith(".pth") for name in names))
    demand("its licence is in it", holds=any(name.endswith("/LICENSE") for name in names))
    direct = [line for line in declared if line.startswith("Requires-Dist:") and "extra ==" not in line]
    demand(f"{len(direct)} direct dependencies (at most {MAX_DIRECT})", holds=len(direct) <= MAX_DIRECT)
    return wheel


def install_with_pip(wheel: Path, home: Path) -> None:
    """Make an empty environment and install the wheel as a user would."""
    venv.create(home, with_pip=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--only-binary", ":all:", str(wheel)], check=True)


def install_with_uv(wheel: Path, home: Path) -> None:
    """Do the same with uv, from its own environment in the cache."""
    uv = str(install_solver())
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
    environment = os.environ | {"VIRTUAL_ENV": str(home)}
    subprocess.run([uv, "pip", "install", "--quiet", "--no-build", str(wheel)], env=environment, check=True)


def weigh(home: Path, how: str) -> None:
    """Count what was installed, packages and bytes, without the installers that were there before."""
    (site,) = home.glob("lib/python*/site-packages")
    packages = {info.name.partition("-")[0] for info in site.glob("*.dist-info")} - INSTALLERS
    kept_out = {site / name for name in (*INSTALLERS, "_distutils_hack", "pkg_resources")}
    size = sum(
        file.lstat().st_size
        for file in site.rglob("*")
        if file.is_file() and not kept_out & set(file.parents) and "__pycache__" not in file.parts
    )
    demand(f"{how}: {len(packages)} packages (at most {MAX_PACKAGES})", holds=len(packages) <= MAX_PACKAGES)
    demand(f"{how}: {size / 1e6:.1f} MB (at most {MAX_MB:.0f})", holds=size / 1e6 <= MAX_MB)


def run_there(home: Path, how: str) -> None:
    """Run the installed command away from the repository: version, help, serve, health, end."""
    command = str(home / "bin" / "pi-model-proxy")
    scratch = home / "scratch"
    (scratch / "agent").mkdir(parents=True)
    environment = {"HOME": str(scratch), "PATH": os.defpath, "LANG": "C.UTF-8"}
    version = subprocess.run(
        [command, "--version"], env=environment, cwd=scratch, capture_output=True, text=True, check=True
    )
    demand(f"{how}: {version.stdout.strip()}", holds=bool(version.stdout.strip()))
    subprocess.run([command, "--help"], env=environment, cwd=scratch, capture_output=True, check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    serve = [command, "serve", "--port", str(port), "--agent-dir", str(scratch / "agent")]
    begun = time.monotonic()
    with (scratch / "output").open("wb") as sink:
        process = subprocess.Popen(serve, env=environment, cwd=scratch, stdout=sink, stderr=sink)
    try:
        health = wait_for_health(port, process, scratch / "output")
        demand(
            f"{how}: /health says {health} after {time.monotonic() - begun:.2f} s",
            holds=health["status"] == "ok",
        )
        process.send_signal(signal.SIGTERM)
        demand(f"{how}: SIGTERM ends it with 0", holds=process.wait(timeout=20) == 0)
    finally:
        process.kill()
        process.wait()


def wait_for_health(port: int, process: subprocess.Popen[bytes], output: Path) -> dict[str, str]:
    """Poll `/health` and return its answer."""
    deadline = time.monotonic() + HEALTH_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                found: dict[str, str] = json.load(answer)
                return found
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise ProofFailedError(
        f"the installed command did not answer /health; it said:\n{output.read_text(errors='replace')}"
    )


def main() -> int:
    """Build, then install and run twice."""
    try:
        wheel = build()
        for how, install in (("pip", install_with_pip), ("uv", install_with_uv)):
            with tempfile.TemporaryDirectory(prefix="pi-model-proxy-wheel-") as folder:
                home = Path(folder) / "env"
                install(wheel, home)
                weigh(home, how)
                run_there(home, how)
    except ProofFailedError as error:
        print(f"wheel: FAILED: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        said = (
            (error.stderr or b"").decode(errors="replace")
            if isinstance(error.stderr, bytes)
            else error.stderr or ""
        )
        print(
            f"wheel: FAILED: {' '.join(map(str, error.cmd))} ended with {error.returncode}\n{said}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
