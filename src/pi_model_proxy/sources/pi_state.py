"""pi's files as they are now: read without any lock of pi's, each keeping its last good state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from pi_model_proxy.catalog import (
    Composition,
    InvalidFileError,
    ModelsFile,
    ModelsStore,
    compose,
    parse_models_json,
    parse_models_store,
)
from pi_model_proxy.credentials import (
    AuthEntries,
    AuthFile,
    Fault,
    Malformed,
    TrackedFile,
    parse_entry,
    parse_object,
)

__all__ = ["PiFilesReader", "PiSettings", "PiState"]

T = TypeVar("T")

OLD_LOGINS: Final = "oauth.json"
"""Where pi kept logins before it had auth.json; today's pi moves them over when it starts without one."""


class PiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What matters here of pi's `settings.json`."""

    enabled_models: tuple[str, ...] | None = None
    """The patterns of `enabledModels`; None when the setting is absent."""
    warns_of_extra_usage: bool = True
    """`warnings.anthropicExtraUsage`: whether the user still wants to read about Anthropic's billing."""
    old_keys: Mapping[str, str] = {}
    """`apiKeys` of an early pi, which today's pi moves to auth.json when it starts without one."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"PiSettings(enabled_models={self.enabled_models!r})"


class PiState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything pi's files say at one moment."""

    entries: AuthEntries
    """The credentials in force, by provider id."""
    entries_are_old: bool = False
    """True when they come from before auth.json existed; such a login cannot be renewed."""
    composition: Composition
    settings: PiSettings
    refused_in_auth: str = ""
    """Why `!command` values of auth.json must not be run; empty when they may."""
    refused_in_models: str = ""
    """The same for models.json."""
    broken: tuple[Fault, ...] = ()
    """Files that could not be read; what they held before stays in force."""
    doubtful: tuple[Fault, ...] = ()
    """What was read and deserves a word."""


class PiFilesReader:
    """Looks at the files of one agent directory. Not safe to use from two threads at once."""

    def __init__(self, agent_dir: Path) -> None:
        self._auth = AuthFile(agent_dir)
        models, store, settings = (
            agent_dir / f"{name}.json" for name in ("models", "models-store", "settings")
        )
        self._models = TrackedFile(
            models, parse=_rejecting(parse_models_json, models), absent=ModelsFile(), empty_is_absent=False
        )
        self._store = TrackedFile(store, parse=_rejecting(parse_models_store, store), absent=ModelsStore())
        self._settings = TrackedFile(
            settings, parse=_parse_settings, absent=PiSettings(), empty_is_absent=False
        )
        self._old_logins = TrackedFile(agent_dir / OLD_LOGINS, parse=_parse_old_logins, absent=NO_ENTRIES)
        self._composition: Composition | None = None

    @property
    def _files(self) -> tuple[TrackedFile[Any], ...]:
        return (self._auth, self._models, self._store, self._settings, self._old_logins)

    def changed(self) -> bool:
        """Whether any file is another than when it was read; one `stat` each."""
        return any(file.changed() for file in self._files)

    def read(self) -> PiState:
        """Read what changed and return the state; blocks, so call it in a thread."""
        recompose = [file.read() for file in (self._models, self._store)]
        for file in (self._auth, self._settings, self._old_logins):
            file.read()
        if self._composition is None or any(recompose):
            self._composition = compose(self._models.value, self._store.value)
        entries, are_old = self._entries()
        return PiState(
            entries=entries,
            entries_are_old=are_old,
            composition=self._composition,
            settings=self._settings.value,
            refused_in_auth=self._auth.refuses_commands,
            refused_in_models=self._models.refuses_commands,
            broken=tuple(fault for file in self._files for fault in file.faults),
            doubtful=self._doubtful(self._composition),
        )

    def _entries(self) -> tuple[AuthEntries, bool]:
        """As pi's `migrateAuthToAuthJson`, without moving anything: old logins first, then old keys."""
        if self._auth.exists or self._auth.faults:
            return self._auth.value, False
        keys = self._settings.value.old_keys
        old = {name: parse_entry({"type": "api_key", "key": key}) for name, key in keys.items()}
        entries = {**old, **self._old_logins.value}
        return entries, bool(entries)

    def _doubtful(self, composition: Composition) -> tuple[Fault, ...]:
        noted = self._store.value.faults
        return (
            *(Fault(note.where, f"{note.path} {note.message}".strip()) for note in noted),
            *(Fault(f"{self._models.path}: providers.{f.provider}", f.message) for f in composition.faults),
        )


NO_ENTRIES: Final[AuthEntries] = {}


def _rejecting(parse: Callable[[str, str], T], path: Path) -> Callable[[str], T]:
    """Let the catalogue's parser report its faults as every other file's are reported."""

    def parsed(text: str) -> T:
        try:
            return parse(text, str(path))
        except InvalidFileError as error:
            faults = tuple(
                Fault(fault.where, f"{fault.path} {fault.message}".strip()) for fault in error.faults
            )
            raise Malformed(str(error), faults=faults) from error

    return parsed


def _parse_settings(text: str) -> PiSettings:
    root = parse_object(text)
    patterns, warnings, keys = root.get("enabledModels"), root.get("warnings"), root.get("apiKeys")
    return PiSettings(
        enabled_models=tuple(entry for entry in patterns if isinstance(entry, str))
        if isinstance(patterns, list)
        else None,
        warns_of_extra_usage=not (
            isinstance(warnings, dict) and warnings.get("anthropicExtraUsage") is False
        ),
        old_keys={name: key for name, key in keys.items() if isinstance(key, str)}
        if isinstance(keys, dict)
        else {},
    )


def _parse_old_logins(text: str) -> AuthEntries:
    return {
        provider: parse_entry({"type": "oauth", **fields} if isinstance(fields, dict) else fields)
        for provider, fields in parse_object(text).items()
    }
