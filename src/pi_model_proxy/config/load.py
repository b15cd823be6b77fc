"""From flags, variables and file to one tree of settings: flag > variable > file > default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from typing_extensions import override

from pi_model_proxy.config.checks import check_combinations
from pi_model_proxy.config.environment import Environment
from pi_model_proxy.config.layers import (
    CONFIG_VARIABLE,
    Layer,
    Origin,
    file_layer,
    flag_layer,
    key_from_file,
    others_may_read,
    variable_layer,
)
from pi_model_proxy.config.problems import ConfigError
from pi_model_proxy.config.settings import SETTINGS, Settings
from pi_model_proxy.sources import Problem

__all__ = ["DEFAULT_FILE", "Configuration", "Inputs", "load"]

DEFAULT_FILE: Final = Path("~/.pi/model-proxy.json")
_DEFAULT: Final = Origin("default")
_API_KEY: Final = next(setting for setting in SETTINGS if setting.name == "api_key")


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the settings are made from; the file is read anew at each `load`."""

    environment: Environment
    flags: Mapping[str, str | bool] = {}
    """Only those that were given, by the setting's Python name; text as typed, or a bool."""
    config_file: str | None = None
    """`--config`."""

    @override
    def __repr__(self) -> str:
        return f"Inputs(flags={sorted(self.flags)!r}, config_file={self.config_file!r})"


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that may be used, where each came from, and what is doubtful about them."""

    settings: Settings
    origins: Mapping[str, Origin]
    """By the setting's Python name."""
    problems: tuple[Problem, ...] = ()
    """Warnings and notes; errors raise `ConfigError`."""
    file: Path
    """The configuration file, absolute."""
    file_found: bool
    key_file: Path | None = None
    """Where `api_key` was read from, when it has a file of its own."""


def load(inputs: Inputs) -> Configuration:
    """Read file, variables and flags.

    Raises:
        ConfigError: with everything that is wrong, each with its place.
    """
    file, must_exist = config_path(inputs)
    layers = [
        file_layer(file, inputs.environment, must_exist=must_exist),
        variable_layer(inputs.environment),
        flag_layer(inputs.flags, inputs.environment),
    ]
    key_files = [layer.readings["api_key_file"].value for layer in layers if "api_key_file" in layer.readings]
    key_in_file = "api_key" in layers[0].readings
    layers = [key_from_file(layer, read_key=_API_KEY.kind.read) for layer in layers]
    problems = [problem for layer in layers for problem in layer.problems]
    if key_in_file:
        problems += others_may_read(file, "apiKey")
    _raise_errors(problems)
    settings, origins = _merge(layers, inputs.environment)
    problems += check_combinations(settings, origins)
    _raise_errors(problems)
    return Configuration(
        settings=settings,
        origins=origins,
        problems=tuple(problems),
        file=file,
        file_found=layers[0].found,
        key_file=key_files[-1] if key_files else None,
    )


def config_path(inputs: Inputs) -> tuple[Path, bool]:
    """Return which file to read, and whether it was asked for by name and so must exist."""
    named = inputs.config_file or inputs.environment.get(CONFIG_VARIABLE, "").strip()
    return inputs.environment.expand(Path(named) if named else DEFAULT_FILE), bool(named)


def _raise_errors(problems: list[Problem]) -> None:
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(sorted(problems, key=lambda problem: problem.severity != "error"))


def _merge(layers: list[Layer], environment: Environment) -> tuple[Settings, dict[str, Origin]]:
    """Put later layers over earlier ones and all of them over the defaults."""
    readings = {name: reading for layer in layers for name, reading in layer.readings.items()}
    values: dict[str, Any] = {name: reading.value for name, reading in readings.items()}
    for setting in SETTINGS:
        if setting.name not in values and setting.default_text:
            values[setting.name] = environment.expand(Path(setting.default_text))
    origins = {
        name: readings[name].origin if name in readings else _DEFAULT for name in Settings.__struct_fields__
    }
    return Settings(**values), origins
