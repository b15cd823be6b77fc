"""Pairs of configuration and outcome: a folder each, `given.toml` and what must become of it.

    given.toml            [file] name, [variables], [flags] (kebab-case), all optional
    model-proxy.json      the configuration file, if there is one
    <anything else>       further files of the home folder (a key file, say)
    tree.json             settings that are not at their default, with their source, and the warnings; or
    refused.txt           what is said instead

Paths are written with `~`, which is the folder's copy that the test makes.
`REGOLD=1 pytest tests/unit/config/test_golden.py` writes the outcomes anew; review the difference.
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest

from pi_model_proxy.config import ConfigError, Configuration, Environment, Inputs, load, show

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
OUTCOMES = {"tree.json", "refused.txt"}


def outcome(configuration: Configuration, home: Path) -> str:
    changed = {
        name: {
            "value": show(getattr(configuration.settings, name)),
            "from": f"{origin.source} {origin.where}",
        }
        for name, origin in configuration.origins.items()
        if origin.source != "default"
    }
    warnings = [
        f"{problem.severity}: {problem.where}: {problem.what} → {problem.fix}"
        for problem in configuration.problems
    ]
    tree = {"settings": changed, "said": warnings}
    return json.dumps(tree, indent=2, ensure_ascii=False).replace(str(home), "~") + "\n"


def prepare(case: str, home: Path) -> Inputs:
    (home / ".pi").mkdir(parents=True)
    for source in (GOLDEN / case).iterdir():
        if source.name not in OUTCOMES | {"given.toml"}:
            copy = shutil.copy(source, home / ".pi" / source.name)
            Path(copy).chmod(0o600)
    given = tomllib.loads((GOLDEN / case / "given.toml").read_text())
    return Inputs(
        environment=Environment(given.get("variables", {}), home=home, directory=home / "work"),
        flags={name.replace("-", "_"): value for name, value in given.get("flags", {}).items()},
        config_file=given.get("config"),
    )


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_becomes_what_its_folder_says(case: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    inputs = prepare(case, home)
    try:
        name, found = "tree.json", outcome(load(inputs), home)
    except ConfigError as error:
        name, found = "refused.txt", str(error).replace(str(home), "~") + "\n"
    if os.environ.get("REGOLD"):
        for other in OUTCOMES:
            (GOLDEN / case / other).unlink(missing_ok=True)
        (GOLDEN / case / name).write_text(found)
    assert (GOLDEN / case / name).exists(), f"not {name}, which says: {found}"
    assert found == (GOLDEN / case / name).read_text()


def test_there_are_cases() -> None:
    assert len(CASES) > 30
