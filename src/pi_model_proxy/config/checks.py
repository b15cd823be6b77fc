"""What no setting can know alone: combinations that would be open, and names that lead nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pi_model_proxy.config.layers import Origin
from pi_model_proxy.config.settings import Settings
from pi_model_proxy.config.values import is_loopback_host
from pi_model_proxy.errors import BadRequest, UnknownModel
from pi_model_proxy.routing import Directory
from pi_model_proxy.sources import Problem
from pi_model_proxy.sources.local import SERVERS

__all__ = ["check_combinations", "check_model_names"]

SHORTEST_SAFE_KEY: Final = 16
"""Characters; a shorter key on an open address can be guessed."""

_SET_KEY: Final = "set apiKey"
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_FOUND_LATER: Final = frozenset(server.provider for server in SERVERS)
"""Providers whose server may start at any time."""


def check_combinations(settings: Settings, origins: Mapping[str, Origin]) -> list[Problem]:
    """Return what is unsafe (`error`) or doubtful (`warning`, `note`) about these settings together."""

    def say(name: str, what: str, fix: str, *, severity: str = "error") -> Problem:
        return Problem(where=origins[name].where or "default", what=what, fix=fix, severity=severity)

    found: list[Problem] = []
    key, open_address = settings.api_key, not is_loopback_host(settings.host)
    if open_address and key is None:
        what = f"host is {settings.host}: other machines could use every model without a key"
        found.append(say("host", what, f"{_SET_KEY}, or leave host at 127.0.0.1"))
    if settings.allowed_hosts and key is None:
        found.append(
            say(
                "allowed_hosts", "allowedHosts admits other names than localhost, which needs a key", _SET_KEY
            )
        )
    if "*" in settings.allowed_origins and key is None:
        what = "allowedOrigins is *: any web page you visit can use every model"
        found.append(say("allowed_origins", what, f"{_SET_KEY}, or name the origins", severity="warning"))
    if open_address and key is not None and not settings.allowed_hosts:
        what = f"host is {settings.host}, but allowedHosts is empty: callers get in by a loopback name only"
        fix, severity = "list the names callers use in allowedHosts", "note"
        if settings.host not in _EVERYWHERE:
            # Nothing listens on loopback then, so that name leads nowhere.
            what = f"host is {settings.host}, but allowedHosts is empty: nobody gets in"
            fix, severity = f"list {settings.host}, or the names callers use, in allowedHosts", "warning"
        found.append(say("host", what, fix, severity=severity))
    if open_address and key is not None and len(key.reveal()) < SHORTEST_SAFE_KEY:
        what = f"apiKey has fewer than {SHORTEST_SAFE_KEY} characters, and other machines can try keys"
        found.append(say("api_key", what, "`openssl rand -hex 24` makes a good one", severity="warning"))
    if settings.ca_file is not None and not settings.ca_file.is_file():
        found.append(say("ca_file", f"there is no file {settings.ca_file}", "mend caFile or leave it out"))
    return found


def check_model_names(
    settings: Settings, origins: Mapping[str, Origin], directory: Directory[Any]
) -> list[Problem]:
    """Return a warning for each alias and default that names no model, or none that can be used now."""
    names = [("aliases", f"aliases.{alias}", target) for alias, target in settings.aliases.items()]
    if settings.default_model is not None:
        names.append(
            (
                "default_model",
                "defaultModel",
                settings.aliases.get(settings.default_model, settings.default_model),
            )
        )
    found: list[Problem] = []
    for setting, path, target in names:
        if settings.discover_local and target.partition("/")[0] in _FOUND_LATER:
            continue
        try:
            entry = directory.resolve(target, aliases={}, default=None).entry
        except (BadRequest, UnknownModel) as error:
            what = f"{path} leads nowhere: {error.message.removeprefix('model: ')}"
        else:
            if entry.usable:
                continue
            what = f"{path} is {target}, which cannot be used now"
        found.append(
            Problem(where=origins[setting].where, what=what, fix="`pi-model-proxy models` lists the names")
        )
    return found
