"""Putting a login into `auth.json`, or taking one out, as pi's `AuthStorage.modify` and `delete` do.

Under pi's lock, by way of the journal (`auth_write.py`): other providers' entries, fields that nobody here knows and
the order of keys stay; the file is created as pi creates it (folder 0700, file 0600). Where there is none yet, what a
pi before auth.json kept (`oauth.json`, `apiKeys` of `settings.json`) is taken over first, because from then on pi
itself no longer does that (pi-coding-agent 1.5.2, `dist/migrations.js`, `migrateAuthToAuthJson`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pi_model_proxy.credentials.auth_file import parse_object
from pi_model_proxy.credentials.auth_write import (
    WriteRefused,
    create_file,
    finish_journal,
    journal_path,
    write_entry_journal,
)
from pi_model_proxy.credentials.lock import LockTimings, acquire_lock
from pi_model_proxy.credentials.tracked_file import Malformed, read_file

__all__ = ["remove_entry", "store_entry"]

FOLDER_MODE: Final = 0o700
DEFAULT_TIMINGS: Final = LockTimings()


def store_entry(
    auth_path: Path, provider: str, entry: Mapping[str, Any], *, timings: LockTimings = DEFAULT_TIMINGS
) -> None:
    """Make `entry` the provider's credential; blocks while another process has pi's lock.

    Raises:
        LockUnavailable, LockLost: pi's lock could not be had, or was lost.
        WriteRefused: the file cannot be understood, so it was left as it is.
        OSError: it could not be written.
    """
    # A dangling link, too, leads to the folder that the file is to be in.
    Path(os.path.realpath(auth_path)).parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _change(auth_path, provider, entry, timings)


def remove_entry(auth_path: Path, provider: str, *, timings: LockTimings = DEFAULT_TIMINGS) -> bool:
    """Take the provider's credential out; False when there was none.

    Raises:
        LockUnavailable, LockLost, WriteRefused, OSError: as for `store_entry`.
    """
    if not auth_path.exists():
        return False
    return _change(auth_path, provider, None, timings)


def _change(auth_path: Path, provider: str, entry: Mapping[str, Any] | None, timings: LockTimings) -> bool:
    lock = acquire_lock(auth_path, timings=timings)
    try:
        if not auth_path.exists():
            create_file(auth_path, _older_content(auth_path.parent))
        with suppress(WriteRefused):
            finish_journal(auth_path, check_lock=lock.check)
        if journal_path(auth_path).exists():
            raise WriteRefused(
                "auth.json is empty or broken although it held a login a moment ago, and a renewed login waits to "
                "be written to it; mend the file first"
            )
        if not write_entry_journal(auth_path, provider, entry):
            return False
        return finish_journal(auth_path, check_lock=lock.check)
    finally:
        lock.release()


def _older_content(agent_dir: Path) -> dict[str, Any]:
    """Return what an early pi kept elsewhere, in today's form."""
    content: dict[str, Any] = {}
    for provider, login in _members(agent_dir / "oauth.json").items():
        if isinstance(login, dict):
            content[provider] = {"type": "oauth", **login}
    keys = _members(agent_dir / "settings.json").get("apiKeys")
    for provider, key in keys.items() if isinstance(keys, dict) else ():
        if isinstance(key, str):
            content.setdefault(provider, {"type": "api_key", "key": key})
    return content


def _members(path: Path) -> dict[str, Any]:
    try:
        return parse_object(read_file(path).text or "{}")
    except (Malformed, OSError):
        return {}  # as pi: what cannot be read is passed over
