"""Where values come from: the file, the variables, the flags; each read into the same shape."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.config.environment import Environment
from pi_model_proxy.config.problems import near_name
from pi_model_proxy.config.settings import SETTINGS, VARIABLE_PREFIX, Setting
from pi_model_proxy.config.values import Refused, describe
from pi_model_proxy.credentials import Malformed, read_file
from pi_model_proxy.sources import Problem
from pi_model_proxy.wire.lenient_json import JsonDocument, JsonSyntaxError, format_path, parse

__all__ = [
    "CONFIG_VARIABLE",
    "Layer",
    "Origin",
    "Reading",
    "file_layer",
    "flag_layer",
    "key_from_file",
    "variable_layer",
]

CONFIG_VARIABLE: Final = VARIABLE_PREFIX + "CONFIG"
LOGIN_SUFFIXES: Final = ("_TOKEN_URL", "_AUTHORIZE_URL", "_DEVICE_URL")
"""`PI_MODEL_PROXY_<PROVIDER>_TOKEN_URL` and its like belong to the logins, not to the settings."""
SCHEMA_KEY: Final = "$schema"
OTHERS_MAY_READ: Final = stat.S_IRGRP | stat.S_IROTH

Source = Literal["default", "file", "variable", "flag"]


class Origin(msgspec.Struct, frozen=True):
    """Where a value came from."""

    source: Source
    where: str = ""
    """Flag, variable, or file with line and column; empty for a default."""


class Reading(msgspec.Struct, frozen=True):
    """A setting's checked value."""

    value: Any
    origin: Origin


class Layer(msgspec.Struct, frozen=True):
    """What one place says."""

    readings: Mapping[str, Reading] = {}
    """By the setting's Python name."""
    problems: tuple[Problem, ...] = ()
    found: bool = True
    """False when there is no file."""


def flag_layer(flags: Mapping[str, str | bool], environment: Environment) -> Layer:
    """Return what the command line says; `flags` holds only those that were given."""
    given = ((setting, flags[setting.name], setting.flag) for setting in SETTINGS if setting.name in flags)
    return _text_layer(given, source="flag", environment=environment)


def variable_layer(environment: Environment) -> Layer:
    """Return what the variables say. An empty one counts as not set, but for the key's."""
    layer = _text_layer(_set_variables(environment), source="variable", environment=environment)
    return Layer(layer.readings, (*layer.problems, *_unknown_variables(environment)))


def _set_variables(environment: Environment) -> Iterator[tuple[Setting, str, str]]:
    for setting in SETTINGS:
        for variable in filter(None, (setting.variable, setting.also_variable)):
            text = environment.get(variable)
            # `API_KEY=` in a compose file is a key that went missing, not a wish to have none.
            if text is not None and (text.strip() or setting.name == "api_key"):
                yield setting, text, variable
                break


def _unknown_variables(environment: Environment) -> Iterator[Problem]:
    known = {setting.variable for setting in SETTINGS} | {CONFIG_VARIABLE}
    endings = [name.removeprefix(VARIABLE_PREFIX) for name in known]
    for name in sorted(environment):
        if name.startswith(VARIABLE_PREFIX) and name not in known and not name.endswith(LOGIN_SUFFIXES):
            near = near_name(name.removeprefix(VARIABLE_PREFIX), endings)
            fix = (
                f"did you mean {VARIABLE_PREFIX}{near}?"
                if near
                else "`pi-model-proxy serve --help` lists the settings"
            )
            yield Problem(where=name, what="this variable names no setting and is ignored", fix=fix)


def _text_layer(
    given: Iterator[tuple[Setting, str | bool, str]], *, source: Source, environment: Environment
) -> Layer:
    readings: dict[str, Reading] = {}
    problems: list[Problem] = []
    for setting, text, where in given:
        try:
            value = setting.kind.read(setting.kind.from_text(text) if isinstance(text, str) else text)
        except Refused as error:
            # The place names the setting already, but not what is inside its value.
            inside = f"{format_path((setting.key, *error.path))} " if error.path else ""
            what = f"{inside}{error.what}"
            problems.append(Problem(where=where, what=what, fix=error.fix, severity="error"))
            continue
        readings[setting.name] = Reading(
            _absolute(value, environment, environment.directory), Origin(source, where)
        )
    return Layer(readings, tuple(problems))


def _absolute(value: object, environment: Environment, base: Path) -> object:
    return environment.expand(value, base=base) if isinstance(value, Path) else value


def file_layer(path: Path, environment: Environment, *, must_exist: bool) -> Layer:
    """Return what the configuration file says; paths in it start at its own folder."""
    try:
        text = read_file(path).text
    except Malformed as error:
        return Layer(
            {}, (Problem(where=f"{path}:{error.line}:{error.column}", what=error.what, severity="error"),)
        )
    except OSError as error:
        return Layer({}, (_unreadable(path, error),))
    if text is None:
        return Layer({}, _absent(path) if must_exist else (), found=False)
    try:
        document = parse(text)
    except JsonSyntaxError as error:
        where = f"{path}:{error.position.line}:{error.position.column}"
        fix = "" if text.strip() else "write {} for no settings"
        return Layer({}, (Problem(where=where, what=error.message, fix=fix, severity="error"),))
    if not isinstance(document.value, dict):
        what = f"must hold an object, not {describe(document.value)}"
        return Layer({}, (Problem(where=f"{path}:{_at(document, ())}", what=what, severity="error"),))
    return _FileReader(path, document, environment).read(document.value)


def _absent(path: Path) -> tuple[Problem, ...]:
    fix = "create it (`{}` will do) or leave out --config"
    return (Problem(where=str(path), what="there is no such file", fix=fix, severity="error"),)


def _unreadable(path: Path, error: OSError) -> Problem:
    return Problem(
        where=str(path), what=f"cannot be read ({error.strerror or type(error).__name__})", severity="error"
    )


def _at(document: JsonDocument, path: tuple[str | int, ...], *, name: bool = False) -> str:
    position = document.position_of_name(path) if name else document.position_of(path)
    return f"{position.line}:{position.column}"


class _FileReader:
    """Reads one decoded file, member by member."""

    def __init__(self, path: Path, document: JsonDocument, environment: Environment) -> None:
        self._path = path
        self._document = document
        self._environment = environment
        self._readings: dict[str, Reading] = {}
        self._problems: list[Problem] = []

    def read(self, members: Mapping[str, object]) -> Layer:
        known = {setting.key: setting for setting in SETTINGS}
        for key, value in members.items():
            setting = known.get(key)
            if setting is None:
                if key != SCHEMA_KEY:
                    self._warn_of_unknown(key, known)
            elif not setting.in_file:
                self._say(
                    key,
                    "does not count in the file",
                    fix=f"ask for it with {setting.flag}",
                    severity="warning",
                )
            elif value is not None or not setting.may_be_null:
                self._take(setting, value)
        return Layer(self._readings, tuple(self._problems))

    def _take(self, setting: Setting, value: object) -> None:
        try:
            taken = setting.kind.read(value)
        except Refused as error:
            steps = (setting.key, *error.path)
            where = f"{self._path}:{_at(self._document, steps)}"
            what = f"{format_path(steps)} {error.what}"
            self._problems.append(Problem(where=where, what=what, fix=error.fix, severity="error"))
            return
        where = f"{self._path}:{_at(self._document, (setting.key,), name=True)}"
        taken = _absolute(taken, self._environment, self._path.parent)
        self._readings[setting.name] = Reading(taken, Origin("file", where))

    def _warn_of_unknown(self, key: str, known: Mapping[str, Setting]) -> None:
        near = near_name(key, known)
        fix = f'did you mean "{near}"?' if near else "`pi-model-proxy config` lists the settings"
        self._say(key, "is not a setting and is ignored", fix=fix, severity="warning")

    def _say(self, key: str, what: str, *, fix: str, severity: str) -> None:
        where = f"{self._path}:{_at(self._document, (key,), name=True)}"
        self._problems.append(
            Problem(where=where, what=f"{format_path((key,))} {what}", fix=fix, severity=severity)
        )


def key_from_file(layer: Layer, *, read_key: Callable[[str], object]) -> Layer:
    """Return the layer with `api_key_file` replaced by the key that the file holds.

    Args:
        layer: One that may name a key file.
        read_key: The kind's own check of a key.
    """
    named = layer.readings.get("api_key_file")
    if named is None:
        return layer
    readings = {name: reading for name, reading in layer.readings.items() if name != "api_key_file"}
    where, path = named.origin.where, named.value
    if "api_key" in readings:
        other = readings["api_key"].origin.where
        problem = Problem(
            where=where, what=f"the key is given twice, also by {other}", fix="keep one", severity="error"
        )
        return Layer(readings, (*layer.problems, problem))
    try:
        key = read_key(_only_line(path))
    except Refused as error:
        problem = Problem(
            where=where, what=f"the key file {path} {error.what}", fix=error.fix, severity="error"
        )
        return Layer(readings, (*layer.problems, problem))
    readings["api_key"] = Reading(key, Origin(named.origin.source, f"{where} ({path})"))
    return Layer(readings, (*layer.problems, *others_may_read(path, "the key")))


def _only_line(path: Path) -> str:
    """Return what a key file holds, without the line end.

    Raises:
        Refused: it cannot be read.
    """
    try:
        text = read_file(path).text
    except (Malformed, OSError) as error:
        reason = error.what if isinstance(error, Malformed) else error.strerror or type(error).__name__
        raise Refused(f"cannot be read ({reason})") from error
    if text is None:
        raise Refused("does not exist")
    return text.strip()


def others_may_read(path: Path, what: str) -> tuple[Problem, ...]:
    """Return a warning when other users of this machine may read `path`."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ()
    if not mode & OTHERS_MAY_READ:
        return ()
    return (Problem(where=str(path), what=f"other users may read {what} in it", fix=f"chmod 600 {path}"),)
