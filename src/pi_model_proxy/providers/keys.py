"""Where a provider's key comes from when a user has not logged in.

Source: pi-ai 1.5.2 `dist/auth/helpers.js`, `dist/providers/{anthropic,amazon-bedrock,cloudflare-auth,google-vertex}.js`,
`dist/auth/context.js`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from pi_model_proxy.providers.row import Provider

__all__ = ["KeyFound", "KeyMissing", "find_key"]


class KeyFound(msgspec.Struct, frozen=True, kw_only=True):
    """A provider can be asked; `repr` hides the key."""

    secret: str = ""
    """Empty when cloud credentials of the environment stand in for a key."""
    variable: str = ""
    """The variable it came from; empty when the caller gave the key."""
    as_bearer: bool = False
    """A bearer token, see `Presented.as_bearer`."""
    variables: Mapping[str, str] = {}
    """The provider's required variables, for its base URL."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"KeyFound(variable={self.variable!r})"


class KeyMissing(msgspec.Struct, frozen=True, kw_only=True):
    """A provider cannot be asked."""

    variables: tuple[str, ...]
    """What to set; of several keys any one will do. Empty when no key would help."""
    has_key: bool = False
    """True when there is a key and only the rest is missing."""


def find_key(
    row: Provider,
    *,
    key: str | None,
    scoped: Mapping[str, str],
    environment: Mapping[str, str],
    file_exists: Callable[[str], bool],
) -> KeyFound | KeyMissing:
    """Look for a key where pi does.

    Args:
        row: The provider.
        key: The resolved key of auth.json, else of models.json; None or empty when there is none.
        scoped: The credential's own `env`.
        environment: The process environment; values of blanks only count as unset.
        file_exists: Whether a file is there; a leading `~` is the home directory.
    """
    if not row.takes_keys:
        return KeyMissing(variables=())
    if key and row.no_key and re.fullmatch(row.no_key, key.strip()):
        # Written where a key belongs, it counts as one until a request needs the real thing, as in pi.
        return KeyFound()
    variable = "" if key else _first_set(row.key_variables, environment)
    secret = key or environment.get(variable, "")
    if not secret:
        found = _find_ambient(row, scoped=scoped, environment=environment, file_exists=file_exists)
        return found or KeyMissing(variables=row.key_variables)
    required = {name: _lookup(name, scoped, environment) for name in row.required_variables}
    missing = tuple(name for name, value in required.items() if not value)
    if missing:
        return KeyMissing(variables=missing, has_key=True)
    return KeyFound(
        secret=secret, variable=variable, as_bearer=variable in row.bearer_variables, variables=required
    )


def _find_ambient(
    row: Provider,
    *,
    scoped: Mapping[str, str],
    environment: Mapping[str, str],
    file_exists: Callable[[str], bool],
) -> KeyFound | None:
    """Return what stands in for a key, if the environment has a whole set of it."""
    allowed = {name: value for name, value in scoped.items() if name in row.scoped_variables}
    variable, usual_place = row.ambient_file
    if variable and not file_exists(_lookup(variable, allowed, environment) or usual_place):
        return None
    for names in row.ambient:
        if all(_lookup(name, allowed, environment) for name in names):
            return KeyFound(variable=names[0])
    return None


def _first_set(names: tuple[str, ...], environment: Mapping[str, str]) -> str:
    return next((name for name in names if environment.get(name, "").strip()), "")


def _lookup(name: str, scoped: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Return a variable's value, the credential's own first; empty when unset or blank."""
    if name in scoped:
        return scoped[name]
    value = environment.get(name, "")
    return value if value.strip() else ""
