from __future__ import annotations

import os
from pathlib import Path

import pytest

from pi_model_proxy.config import Environment, read_environment

HOME = Path("/home/ada")
ENVIRONMENT = Environment({"A": "1"}, home=HOME, directory=Path("/srv"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~", "/home/ada"),
        ("~/x/y", "/home/ada/x/y"),
        ("/abs", "/abs"),
        ("rel/x", "/srv/rel/x"),
        ("a/~/b", "/srv/a/~/b"),
    ],
)
def test_paths_become_absolute(written: str, meant: str) -> None:
    assert str(ENVIRONMENT.expand(Path(written))) == meant


def test_a_relative_path_may_start_elsewhere() -> None:
    assert str(ENVIRONMENT.expand(Path("x"), base=Path("/etc"))) == "/etc/x"


def test_it_is_a_mapping_that_does_not_follow_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VARIABLE", "before")
    environment = read_environment()
    monkeypatch.setenv("SOME_VARIABLE", "after")
    assert environment["SOME_VARIABLE"] == "before"
    assert len(environment) == len(list(environment)) == len(os.environ)
    assert environment.get("NO_SUCH_VARIABLE_HERE") is None


@pytest.mark.parametrize("home", ["", "relative/home", None])
def test_a_missing_or_odd_home_is_looked_up(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    assert read_environment().home == Path.home()


def test_home_and_folder_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    environment = read_environment()
    assert environment.home == HOME
    assert environment.directory == Path(os.path.realpath(tmp_path))
