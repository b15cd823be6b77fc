"""Settings that follow their file: checked for a change now and then, replaced only by good ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from pi_model_proxy.config.checks import check_combinations
from pi_model_proxy.config.load import Configuration, Inputs, load
from pi_model_proxy.config.problems import ConfigError
from pi_model_proxy.config.settings import SETTINGS, Settings
from pi_model_proxy.config.values import show
from pi_model_proxy.credentials import revision_of
from pi_model_proxy.sources import Problem

__all__ = ["CHECK_INTERVAL_S", "SettingsWatcher"]

CHECK_INTERVAL_S: Final = 0.5
"""How soon after the last look `refresh` looks again; between two looks it costs a comparison."""

_Revisions = tuple[object, ...]
_STAYS: Final = "what was read last in good order stays in force"


class SettingsWatcher:
    """The settings in force. Only `refresh` touches the disk; not safe to use from two threads at once.

    A file that is broken, unsafe or gone never changes the settings: deleting it would otherwise
    take the key away from a gateway that needs one.
    """

    def __init__(self, inputs: Inputs, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Read the settings for the first time.

        Raises:
            ConfigError: they cannot be used.
        """
        self._inputs = inputs
        self._monotonic_s = monotonic_s
        self._configuration = load(inputs)
        self._problems = self._configuration.problems
        # Empty, so that the first look reads again: the file may have changed while it was read.
        self._seen: _Revisions = ()
        self._doubted: _Revisions | None = None
        self._next_look_s = monotonic_s() + CHECK_INTERVAL_S

    @property
    def current(self) -> Settings:
        """The settings in force; no I/O."""
        return self._configuration.settings

    @property
    def configuration(self) -> Configuration:
        """The settings in force with their origins; no I/O."""
        return self._configuration

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong or doubtful now: errors of a file that was not taken, warnings, what waits for a restart."""
        return self._problems

    def refresh(self) -> bool:
        """Look at the file if it is time to; return whether settings or problems are new.

        A look is one `stat` for each file that was read. A file found broken is believed only when
        the next look finds it unchanged: editors write in more than one step.
        """
        now_s = self._monotonic_s()
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + CHECK_INTERVAL_S
        revisions = self._look()
        if revisions == self._seen:
            self._doubted = None
            return False
        before = (self._configuration, self._problems)
        try:
            self._take(self._load_present())
        except ConfigError as error:
            if revisions != self._doubted:
                self._doubted = revisions
                return False
            self._problems = tuple(_told_to_wait(problem) for problem in error.problems)
        self._seen, self._doubted = revisions, None
        return before != (self._configuration, self._problems)

    def _look(self) -> _Revisions:
        return tuple(revision_of(path) for path in _files(self._configuration))

    def _load_present(self) -> Configuration:
        """Load, unless the file that was there is gone."""
        if self._configuration.file_found and revision_of(self._configuration.file) is None:
            fix = "write it again, or restart to do without it"
            raise ConfigError([_error(self._configuration.file, "the file is gone", fix)])
        return load(self._inputs)

    def _take(self, fresh: Configuration) -> None:
        """Put `fresh` in force, but for what only a restart can change."""
        old = self._configuration.settings
        kept = [
            setting
            for setting in SETTINGS
            if setting.needs_restart and getattr(fresh.settings, setting.name) != getattr(old, setting.name)
        ]
        held = {setting.name: getattr(old, setting.name) for setting in kept}
        settings = msgspec.structs.replace(fresh.settings, **held)
        origins = {**fresh.origins, **{name: self._configuration.origins[name] for name in held}}
        notes = [
            Problem(
                where=fresh.origins[setting.name].where,
                what=f"{setting.key} is now {show(getattr(fresh.settings, setting.name))}, "
                f"but {show(held[setting.name])} stays in force",
                fix="restart to change it",
                severity="note",
            )
            for setting in kept
        ]
        # A new file may be safe in itself and unsafe together with the address that stays.
        unsafe = [problem for problem in check_combinations(settings, origins) if problem.severity == "error"]
        if unsafe:
            raise ConfigError(unsafe)
        self._configuration = msgspec.structs.replace(fresh, settings=settings, origins=origins)
        self._problems = (*fresh.problems, *notes)


def _files(configuration: Configuration) -> tuple[Path, ...]:
    return tuple(path for path in (configuration.file, configuration.key_file) if path is not None)


def _error(path: Path, what: str, fix: str) -> Problem:
    return Problem(where=str(path), what=what, fix=fix, severity="error")


def _told_to_wait(problem: Problem) -> Problem:
    if problem.severity != "error":
        return problem
    fix = f"{problem.fix}; {_STAYS}" if problem.fix else _STAYS
    return msgspec.structs.replace(problem, fix=fix)
