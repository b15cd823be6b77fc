"""pi's lock on `auth.json`: a directory beside the file, kept alive by its mtime.

Source: proper-lockfile 4.1.2 (`lib/lockfile.js`) as pi-coding-agent 1.5.2 uses it
(`dist/core/auth-storage.js`). Taken with `mkdir <real path>.lock`, released with `rmdir`; the
directory says nothing of its owner, so its inode and the mtime we set last are our only mark.

pi's sync path takes over a lock whose mtime is 10 s old, its async path one of 30 s. So we stamp
ours every 2 s, from a thread that no busy event loop can starve, and count it as lost when 8 s
pass without a stamp; a foreign lock is left alone until 30 s have passed.
"""

from __future__ import annotations

import atexit
import errno
import functools
import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

__all__ = [
    "HeldLock",
    "LockLost",
    "LockTimings",
    "LockUnavailable",
    "acquire_lock",
    "lock_paths",
    "release_held_locks",
]


class LockTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; the defaults are the protocol's, tests shorten them."""

    heartbeat_s: float = 2.0
    """Between two stamps of a lock we hold."""
    lost_after_s: float = 8.0
    """Without a stamp for this long the lock no longer counts as ours."""
    stale_after_s: float = 30.0
    """A foreign lock that nobody stamps for this long belongs to nobody."""
    observe_s: float = 1.0
    """A lock that looks stale is watched for at least this long before it is taken over."""
    settle_s: float = 0.02
    """After a takeover: longer than anybody needs between finding a lock stale and removing it."""
    wait_s: float = 40.0
    """Longest wait for somebody else's lock; longer than a holder that just died needs to become stale."""
    first_delay_s: float = 0.01
    longest_delay_s: float = 1.0
    """Pauses between tries double from the first to the longest, times 1 to 2 at random."""


DEFAULT_TIMINGS: Final = LockTimings()
_READ_ONLY_ERRORS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

_held: set[HeldLock] = set()
"""Locks this process holds, to be released when it ends."""


class LockUnavailable(Exception):
    """The lock could not be had; `read_only` when the folder cannot be written to."""

    def __init__(self, what: str, *, read_only: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.read_only = read_only


class LockLost(Exception):
    """Somebody else took the lock while we held it: what it guarded must not be written."""


def lock_paths(auth_path: Path) -> tuple[str, ...]:
    """Return the lock directories to take, in order.

    The first lies beside the resolved file. When `auth.json` itself is a link, pi 0.58's sync path
    locks the link's own name, so that one is taken too.
    """
    resolved = os.path.realpath(auth_path)
    parent, name = os.path.split(os.path.abspath(auth_path))  # noqa: PTH100 - must not resolve the last component
    named = os.path.join(os.path.realpath(parent), name)  # noqa: PTH118 - plain strings, like `realpath`
    return tuple(dict.fromkeys((f"{resolved}.lock", f"{named}.lock")))


class _Stamp(msgspec.Struct, frozen=True):
    """What identifies one holder's lock directory at one moment."""

    inode: int
    mtime_ns: int


def _stamp_of(path: str) -> _Stamp | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return _Stamp(status.st_ino, status.st_mtime_ns)


class _LockDirectory:
    """One lock directory that we made."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp = _stamp_of(path)

    def ours(self) -> bool:
        """Whether the directory is still the one we made and stamped last."""
        return self._stamp is not None and _stamp_of(self.path) == self._stamp

    def stamp(self) -> bool:
        """Renew the mtime; False when the directory is no longer ours."""
        if not self.ours():
            return False
        now_ns = time.time_ns()
        os.utime(self.path, ns=(now_ns, now_ns))
        after = _stamp_of(self.path)  # file systems may keep fewer digits than we gave
        if after is None or self._stamp is None or after.inode != self._stamp.inode:
            return False
        self._stamp = after
        return True

    def remove(self) -> None:
        with suppress(OSError):
            if self.ours():
                os.rmdir(self.path)  # noqa: PTH106 - a string path, as everywhere in this module


class HeldLock:
    """A lock we hold; a thread of its own keeps it alive until `release`."""

    def __init__(self, first: _LockDirectory, timings: LockTimings) -> None:
        self._directories = [first]
        self._timings = timings
        self._guard = threading.Lock()
        self._done = threading.Event()
        self._lost = ""
        self._stamped_s = time.monotonic()
        _release_at_exit()
        _held.add(self)
        threading.Thread(target=self._beat, name="auth-lock-heartbeat", daemon=True).start()

    def add(self, directory: _LockDirectory) -> None:
        """Keep one more directory alive and remove it with the others."""
        with self._guard:
            self._directories.append(directory)

    def _beat(self) -> None:
        while not self._done.wait(self._timings.heartbeat_s):
            with self._guard:
                if self._done.is_set() or self._lost:
                    return
                self._beat_once()

    def _beat_once(self) -> None:
        try:
            for directory in self._directories:
                if not directory.stamp():
                    self._lost = f"{directory.path} was taken over by another process"
                    return
        except OSError as error:
            # As proper-lockfile: keep trying; `check` gives up when it has been too long.
            if error.errno == errno.ENOENT:
                self._lost = "the lock directory vanished"
            return
        self._stamped_s = time.monotonic()

    def check(self) -> None:
        """Make sure the lock is still ours, now.

        Raises:
            LockLost: it is not; write nothing.
        """
        with self._guard:
            if not self._lost and time.monotonic() - self._stamped_s > self._timings.lost_after_s:
                self._lost = (
                    f"it was not renewed for {self._timings.lost_after_s:g} s (the process was suspended?)"
                )
            if not self._lost:
                for directory in self._directories:
                    if not directory.ours():
                        self._lost = f"{directory.path} was taken over by another process"
            if self._lost:
                raise LockLost(self._lost)

    def release(self) -> None:
        """Remove what is still ours; safe to call twice."""
        self._done.set()
        with self._guard:
            for directory in reversed(self._directories):
                directory.remove()
            self._directories = []
        _held.discard(self)


def release_held_locks() -> None:
    """Remove every lock this process holds: for a process that must end at once."""
    for lock in tuple(_held):
        lock.release()


@functools.cache
def _release_at_exit() -> None:
    atexit.register(release_held_locks)


class _Wait:
    """One bounded wait for the lock directories of a file."""

    def __init__(self, timings: LockTimings, give_up: threading.Event, jitter: Callable[[], float]) -> None:
        self._timings = timings
        self._give_up = give_up
        self._jitter = jitter
        self._deadline_s = time.monotonic() + timings.wait_s
        self._delay_s = timings.first_delay_s
        self._seen: dict[str, tuple[_Stamp, float]] = {}
        self._took_over = False

    def take(self, path: str) -> _LockDirectory:
        """Make the directory at `path`, waiting while somebody else has it."""
        while True:
            try:
                os.mkdir(path)  # noqa: PTH102 - see `_LockDirectory.remove`
            except FileExistsError:
                if not self._removed_if_stale(path):
                    self._pause(path)
            except OSError as error:
                raise LockUnavailable(
                    f"{path}: {error.strerror or 'cannot be made'}",
                    read_only=error.errno in _READ_ONLY_ERRORS,
                ) from error
            else:
                directory = _LockDirectory(path)
                if self._settled(directory):
                    return directory

    def _removed_if_stale(self, path: str) -> bool:
        """Remove a lock that nobody keeps alive; True when `mkdir` is worth a try at once."""
        stamp = _stamp_of(path)
        if stamp is None:
            return True
        now_s = time.monotonic()
        before = self._seen.get(path)
        if before is None or before[0] != stamp:
            self._seen[path] = (stamp, now_s)
            return False
        watched_s = now_s - before[1]
        age_s = time.time() - stamp.mtime_ns / 1e9
        stale_after_s = self._timings.stale_after_s
        # An mtime in the future (a clock set back, proper-lockfile's probe) says nothing of age:
        # then only our own watch counts.
        if watched_s < stale_after_s and (age_s < stale_after_s or watched_s < self._timings.observe_s):
            return False
        if _stamp_of(path) != stamp:
            return False
        try:
            os.rmdir(path)  # noqa: PTH106 - see `_LockDirectory.remove`
        except FileNotFoundError:
            return True  # somebody else found it stale at the same moment
        except OSError as error:
            raise LockUnavailable(
                f"{path} is left over from a process that died and cannot be removed "
                f"({error.strerror}); remove it by hand",
                read_only=error.errno in _READ_ONLY_ERRORS,
            ) from error
        self._took_over = True
        return True

    def _settled(self, directory: _LockDirectory) -> bool:
        """After a takeover: whether nobody who saw the same stale lock has removed ours in its place."""
        if not self._took_over:
            return True
        time.sleep(self._timings.settle_s)
        return directory.ours()

    def _pause(self, path: str) -> None:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise LockUnavailable(f"{path} has been held by another process for {self._timings.wait_s:g} s")
        pause_s = min(self._delay_s * (1.0 + self._jitter()), left_s)
        self._delay_s = min(self._delay_s * 2, self._timings.longest_delay_s)
        if self._give_up.wait(pause_s):
            raise LockUnavailable(f"the wait for {path} was given up because the process is ending")


def acquire_lock(
    auth_path: Path,
    *,
    timings: LockTimings = DEFAULT_TIMINGS,
    give_up: threading.Event | None = None,
    jitter: Callable[[], float] = random.random,
) -> HeldLock:
    """Take pi's lock on `auth_path`; blocks up to `timings.wait_s`, so call it in a thread.

    Raises:
        LockUnavailable: somebody else holds it, the folder is read-only, or `give_up` was set.
    """
    wait = _Wait(timings, give_up or threading.Event(), jitter)
    first, *others = lock_paths(auth_path)
    held = HeldLock(wait.take(first), timings)
    for path in others:
        try:
            held.add(wait.take(path))
        except LockUnavailable as unavailable:
            if unavailable.read_only:
                continue  # nobody can lock in the link's own folder, so no old pi does
            held.release()
            raise
    return held
