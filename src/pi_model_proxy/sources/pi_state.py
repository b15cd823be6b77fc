"""pi's files as they are now: read without any lock of pi's, each keeping its last good state."""

from __future__ import annotations

import re
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
from pi_model_proxy.catalog.store_file import StoredCatalog
from pi_model_proxy.credentials import (
    AuthEntries,
    AuthFile,
    Fault,
    Malformed,
    TrackedFile,
    is_refused_by_pi,
    parse_entry,
    parse_object,
)

__all__ = ["PiFilesReader", "PiSettings", "PiState"]

T = TypeVar("T")

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

OLD_LOGINS: Final = "oauth.json"
"""Where pi kept logins before it had auth.json; today's pi moves them over when it starts without one."""


class PiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What matters here of pi's `settings.json`."""

    enabled_models: tuple[str, ...] | None = None
    """The patterns of `enabledModels`; None when the setting is absent."""
    warns_of_extra_usage: bool = True
    """`warnings.anthropicExtraUsage`: whether the user still wants to read about Anthropic's billing."""
    device_id: str = ""
    """`deviceId`, by which Sign in with ChatGPT knows this installation; empty when pi has drawn none yet."""
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
    is_invalid: bool = False
    """True when pi's strict readers (`pi auth check --no-refresh`) refuse auth.json or models.json altogether."""
    refused_in_auth: str = ""
    """Why `!command` values of auth.json must not be run; empty when they may."""
    refused_in_models: str = ""
    """The same for models.json."""
    broken: tuple[Fault, ...] = ()
    """Files that could not be read; what they held before stays in force."""
    doubtful: tuple[Fault, ...] = ()
    """What was read and deserves a word."""

    @property
    def gateways(self) -> Mapping[str, str]:
        """The Radius gateways that models.json declares: base URL by provider id."""
        return {
            provider.id: provider.config.base_url
            for provider in self.composition.providers
            if provider.config is not None and provider.config.oauth and provider.config.base_url
        }


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
        self._fetched: Mapping[str, StoredCatalog] = {}
        self._composed_with: Mapping[str, StoredCatalog] = self._fetched

    @property
    def _files(self) -> tuple[TrackedFile[Any], ...]:
        return (self._auth, self._models, self._store, self._settings, self._old_logins)

    def changed(self) -> bool:
        """Whether any file is another than when it was read; one `stat` each."""
        return self._fetched is not self._composed_with or any(file.changed() for file in self._files)

    def take_lists(self, fetched: Mapping[str, StoredCatalog]) -> None:
        """Take model lists that were fetched, by provider; each counts as if pi had stored it, unless pi's is newer."""
        if fetched != self._fetched:
            self._fetched = fetched

    def read(self) -> PiState:
        """Read what changed and return the state; blocks, so call it in a thread."""
        recompose = [file.read() for file in (self._models, self._store)]
        fetched = self._fetched
        for file in (self._auth, self._settings, self._old_logins):
            file.read()
        if self._composition is None or any(recompose) or fetched is not self._composed_with:
            self._composition = compose(self._models.value, _with_fetched(self._store.value, fetched))
            self._composed_with = fetched
        entries, are_old = self._entries()
        return PiState(
            entries=entries,
            entries_are_old=are_old,
            composition=self._composition,
            settings=self._settings.value,
            is_invalid=self._is_invalid(self._composition),
            refused_in_auth=self._auth.refuses_commands,
            refused_in_models=self._models.refuses_commands,
            broken=tuple(fault for file in self._files for fault in file.faults),
            doubtful=self._doubtful(self._composition),
        )

    def _is_invalid(self, composition: Composition) -> bool:
        if self._auth.faults or self._auth.is_blank or self._models.faults or composition.faults:
            return True
        return any(is_refused_by_pi(entry) for entry in self._auth.value.values())

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


def _with_fetched(store: ModelsStore, fetched: Mapping[str, StoredCatalog]) -> ModelsStore:
    providers = dict(store.providers)
    for provider, catalog in fetched.items():
        stored = providers.get(provider)
        is_older = (
            stored is not None
            and catalog.last_modified_ms is not None
            and (stored.last_modified_ms or 0) > catalog.last_modified_ms
        )
        if not is_older:
            providers[provider] = catalog
    return msgspec.structs.replace(store, providers=providers)


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
    device_id = root.get("deviceId")
    return PiSettings(
        enabled_models=tuple(entry for entry in patterns if isinstance(entry, str))
        if isinstance(patterns, list)
        else None,
        warns_of_extra_usage=not (
            isinstance(warnings, dict) and warnings.get("anthropicExtraUsage") is False
        ),
        device_id=device_id if isinstance(device_id, str) and _UUID.fullmatch(device_id) else "",
        old_keys={name: key for name, key in keys.items() if isinstance(key, str)}
        if isinstance(keys, dict)
        else {},
    )


def _parse_old_logins(text: str) -> AuthEntries:
    return {
        provider: parse_entry({"type": "oauth", **fields} if isinstance(fields, dict) else fields)
        for provider, fields in parse_object(text).items()
    }
