"""A look at pi's lock that neither takes nor touches it: any change of its mtime would cost its holder the lock."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal

import msgspec

from pi_model_proxy.credentials.lock import LockTimings, lock_paths

__all__ = ["LockHealth", "look_at_lock"]


class LockHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One lock directory at one moment."""

    path: str
    state: Literal["free", "held", "stale", "stuck"] = "free"
    """`stale`: nobody keeps it alive, and whoever needs it next takes it over; `stuck`: nobody can."""
    age_s: float = 0.0
    """Since it was stamped last; negative when the stamp lies in the future."""
    why: str = ""
    """Why it is stuck."""
    can_be_made: bool = True
    """Whether this user may make it at all: its folder can be written to."""


def look_at_lock(
    auth_path: Path, *, now_s: float, stale_after_s: float = LockTimings().stale_after_s
) -> tuple[LockHealth, ...]:
    """Return the state of each lock directory that belongs to `auth_path` (see `lock_paths`).

    Raises:
        OSError: the folder cannot be entered.
    """
    return tuple(_look(path, now_s, stale_after_s) for path in lock_paths(auth_path))


def _look(path: str, now_s: float, stale_after_s: float) -> LockHealth:
    can_be_made = os.access(os.path.dirname(path), os.W_OK | os.X_OK)  # noqa: PTH120 - strings, as `lock_paths` gives
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return LockHealth(path=path, can_be_made=can_be_made)
    health = LockHealth(path=path, age_s=now_s - status.st_mtime, can_be_made=can_be_made)
    if not stat.S_ISDIR(status.st_mode):
        return msgspec.structs.replace(health, state="stuck", why="it is no folder, as pi's lock must be")
    if health.age_s < stale_after_s:
        return msgspec.structs.replace(health, state="held")
    if os.listdir(path):  # noqa: PTH208 - a string
        return msgspec.structs.replace(health, state="stuck", why="there is something in it")
    return msgspec.structs.replace(health, state="stale")
