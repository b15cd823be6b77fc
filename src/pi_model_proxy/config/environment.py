"""The process environment, read in one place and handed down as a value."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

from typing_extensions import override

__all__ = ["Environment", "read_environment"]


@final
class Environment(Mapping[str, str]):
    """Variables, home and working folder of the process, as they were when it started.

    A mapping of variables for whoever needs one. `repr` shows no value: most keys live here.
    """

    __slots__ = ("_variables", "directory", "home")

    def __init__(self, variables: Mapping[str, str], *, home: Path, directory: Path) -> None:
        self._variables = dict(variables)
        self.home = home
        """Absolute; what `~` stands for."""
        self.directory = directory
        """Absolute; what relative paths in flags and variables start from."""

    @override
    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    @override
    def __len__(self) -> int:
        return len(self._variables)

    @override
    def __repr__(self) -> str:
        return f"Environment({len(self)} variables)"

    def expand(self, path: Path, *, base: Path | None = None) -> Path:
        """Return `path` absolute: a leading `~` becomes home, a relative path starts at `base` (working folder)."""
        if path.parts[:1] == ("~",):
            return self.home.joinpath(*path.parts[1:])
        return (self.directory if base is None else base) / path


def read_environment() -> Environment:
    """Read the process environment; the only place that does.

    Raises:
        OSError: the working folder is gone.
        RuntimeError: there is no home folder.
    """
    home = os.environ.get("HOME", "")
    return Environment(
        os.environ,
        home=Path(home) if Path(home).is_absolute() else Path.home(),
        directory=Path.cwd(),
    )
