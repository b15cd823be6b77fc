"""pi's `auth.json` as typed values: one credential per provider id.

Source: pi-coding-agent 1.5.2, `dist/core/auth-storage.js`; pi-ai 1.5.2, `dist/auth/types.d.ts`.
Shapes of 0.58 are read too (`key` without `env`, unknown fields, providers that no longer exist).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from pi_model_proxy.credentials.tracked_file import Malformed, TrackedFile

__all__ = [
    "ApiKeyCredential",
    "AuthEntries",
    "AuthFile",
    "BrokenCredential",
    "Credential",
    "OAuthCredential",
    "auth_path",
    "is_refused_by_pi",
    "parse_auth",
    "parse_entry",
    "parse_object",
]


class ApiKeyCredential(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of type `api_key`."""

    key: str | None = None
    """As written: a literal, a template or a `!command`; None when only `env` is given."""
    env: dict[str, str] = {}
    """Variables for this provider only; they win over the process environment."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"ApiKeyCredential(key={'set' if self.key else 'none'}, env={sorted(self.env)})"


class OAuthCredential(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of type `oauth`: a login."""

    access: str
    refresh: str = ""
    """Empty when the login cannot be refreshed (openrouter's permanent key)."""
    expires_ms: float = math.inf
    """Milliseconds since the epoch, less the provider's own margin; infinite when not given."""
    extras: dict[str, Any] = {}
    """The provider's further fields, e.g. `accountId`, `clientId`, `availableModelIds`."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"OAuthCredential(expires_ms={self.expires_ms!r}, extras={sorted(self.extras)})"

    def same_tokens(self, other: OAuthCredential) -> bool:
        """Whether both hold the very same tokens."""
        return self.access == other.access and self.refresh == other.refresh


class BrokenCredential(msgspec.Struct, frozen=True):
    """An entry that cannot be understood; it still owns its provider, as in pi."""

    reason: str


Credential = ApiKeyCredential | OAuthCredential | BrokenCredential
AuthEntries = Mapping[str, Credential]

NO_ENTRIES: Final[AuthEntries] = {}
_FAR_MS: Final = 2**63
"""Beyond any date; also keeps integers that no float can hold away."""
_OAUTH_FIELDS: Final = frozenset({"type", "access", "refresh", "expires"})


def auth_path(agent_dir: Path) -> Path:
    """Return where pi keeps its credentials."""
    return agent_dir / "auth.json"


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")


def parse_object(text: str) -> dict[str, Any]:
    """Parse JSON text whose root must be an object; key order is kept.

    Raises:
        Malformed: it is something else; line and column say where. Holds none of the text.
    """
    try:
        root = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Malformed(f"not valid JSON: {error.msg}", line=error.lineno, column=error.colno) from error
    except (RecursionError, ValueError) as error:
        raise Malformed(
            error.what if isinstance(error, Malformed) else "not valid JSON: beyond any limit"
        ) from error
    if not isinstance(root, dict):
        raise Malformed("expected a JSON object", line=1, column=1)
    return root


def parse_entry(value: object) -> Credential:
    """Give one provider's entry its type; what cannot be used becomes a `BrokenCredential`."""
    if not isinstance(value, dict):
        return BrokenCredential("the entry is not a JSON object")
    kind = value.get("type")
    if kind == "api_key":
        return _parse_api_key(value)
    if kind == "oauth":
        return _parse_oauth(value)
    return BrokenCredential("the entry's `type` is neither `api_key` nor `oauth`")


def _parse_api_key(value: dict[str, Any]) -> Credential:
    key, env = value.get("key"), value.get("env")
    if key is not None and not isinstance(key, str):
        return BrokenCredential("`key` is not a string")
    if env is None:
        env = {}
    if not isinstance(env, dict) or not all(isinstance(entry, str) for entry in env.values()):
        return BrokenCredential("`env` is not an object of strings")
    return ApiKeyCredential(key=key, env=env)


def _parse_oauth(value: dict[str, Any]) -> Credential:
    access, refresh, expires = value.get("access"), value.get("refresh", ""), value.get("expires")
    if not isinstance(access, str) or not access:
        return BrokenCredential("the login has no `access` token")
    if not isinstance(refresh, str):
        return BrokenCredential("the login's `refresh` is not a string")
    extras = {name: field for name, field in value.items() if name not in _OAUTH_FIELDS}
    return OAuthCredential(access=access, refresh=refresh, expires_ms=_milliseconds(expires), extras=extras)


def _milliseconds(value: object) -> float:
    """Read an expiry; as in pi, one that is not a number never comes."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _FAR_MS:
        return math.inf
    return float(value)


def is_refused_by_pi(credential: Credential) -> bool:
    """Whether pi's read-only reader refuses a whole file that holds this entry (`ReadOnlyAuthStorage.load`)."""
    if isinstance(credential, OAuthCredential):
        return credential.expires_ms == math.inf
    return isinstance(credential, BrokenCredential)


def parse_auth(text: str) -> AuthEntries:
    """Parse the text of `auth.json`; nothing at all counts as no entries.

    Raises:
        Malformed: the text is not a JSON object.
    """
    if not text.strip():
        return NO_ENTRIES
    # pi: a `null` entry is no entry.
    return {
        provider: parse_entry(entry) for provider, entry in parse_object(text).items() if entry is not None
    }


class AuthFile(TrackedFile[AuthEntries]):
    """`auth.json`, read without pi's lock and never created."""

    def __init__(self, agent_dir: Path) -> None:
        super().__init__(auth_path(agent_dir), parse=parse_auth, absent=NO_ENTRIES)
