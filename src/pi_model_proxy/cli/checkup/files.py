"""pi's files and ours: who may read and write them, and how pi's lock is."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from pi_model_proxy.cli.checkup.finding import Finding, Level
from pi_model_proxy.cli.status import duration
from pi_model_proxy.credentials import auth_path, is_command, journal_path, variables_in
from pi_model_proxy.credentials.lock_health import LockHealth, look_at_lock
from pi_model_proxy.sources import PiState

__all__ = ["FileFacts", "file_findings", "judged", "lock_findings", "looked_at"]

OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
OTHERS_READ: Final = stat.S_IRGRP | stat.S_IROTH
PI_FILES: Final = ("auth.json", "models.json", "models-store.json", "settings.json")


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of a file's status."""

    path: Path
    mode: int
    is_ours: bool
    """Whether it belongs to the user who asks."""
    link_to: str = ""
    """Where it leads when it is a symbolic link."""


def looked_at(path: Path) -> FileFacts | None:
    """Return the facts; None when there is no such file, or it cannot be looked at (`check` says so)."""
    try:
        status = path.stat()
    except OSError:
        return None
    return FileFacts(
        path=path,
        mode=stat.S_IMODE(status.st_mode),
        is_ours=status.st_uid == os.geteuid(),
        link_to=os.path.realpath(path) if path.is_symlink() else "",
    )


def file_findings(agent_dir: Path, state: PiState, *, own: tuple[Path, ...]) -> Iterator[Finding]:
    """Judge pi's folder and files, and our own; that others may read a key of ours, the configuration's findings say."""
    folder = looked_at(agent_dir)
    if folder is None:
        what = "there is no such folder: pi has not been used here, or uses another"
        fix = "log in (`pi-model-proxy login`), start `pi` once, or name its folder with --agent-dir"
        yield Finding(topic="files", level="note", where=str(agent_dir), what=what, fix=fix)
    else:
        yield judged(folder, holds_secrets=False)
    for name in PI_FILES:
        facts = looked_at(agent_dir / name)
        if facts is not None:
            secret = name == "auth.json" or (name == "models.json" and _has_written_key(state))
            yield judged(facts, holds_secrets=secret)
    for path in own:
        facts = looked_at(path)
        if facts is not None:
            yield judged(facts, holds_secrets=False)
    if os.path.lexists(journal := journal_path(auth_path(agent_dir))):
        what = (
            "the renewal of a login was interrupted before its tokens were stored; the next one finishes it"
        )
        yield Finding(
            topic="files",
            level="note",
            where=str(journal),
            what=what,
            fix="start the server, which does so at once",
        )


def judged(facts: FileFacts, *, holds_secrets: bool) -> Finding:
    """Say who besides its owner may do what with a file, and what would mend that."""
    mode = f"mode {facts.mode:04o}"
    where = str(facts.path)
    if not facts.is_ours:
        what = f"it belongs to another user ({mode}), who can change it at any time"
        return Finding(
            topic="files", level="warning", where=where, what=what, fix=f"chown {os.geteuid()} {where}"
        )
    if facts.mode & OTHERS_WRITE:
        what = f"other users may write to it ({mode}): they could have your requests sent elsewhere"
        return Finding(
            topic="files",
            level="warning",
            where=where,
            what=what,
            fix=f"chmod {'600' if holds_secrets else 'go-w'} {where}",
        )
    if holds_secrets and facts.mode & OTHERS_READ:
        what = f"other users may read it ({mode}), and keys are in it"
        return Finding(topic="files", level="warning", where=where, what=what, fix=f"chmod 600 {where}")
    link = f", a link to {facts.link_to}" if facts.link_to else ""
    return Finding(topic="files", level="ok", where=where, what=f"{mode}{link}")


def _has_written_key(state: PiState) -> bool:
    keys = [
        provider.config.api_key
        for provider in state.composition.providers
        if provider.config is not None and provider.config.api_key
    ]
    return any(not is_command(key) and not variables_in(key) for key in keys)


def lock_findings(agent_dir: Path, *, has_logins: bool) -> Iterator[Finding]:
    """Judge pi's lock on `auth.json` without touching it."""
    if not agent_dir.is_dir():
        return
    try:
        looks = look_at_lock(auth_path(agent_dir), now_s=time.time())
    except OSError as error:
        what = f"cannot be looked at ({error.strerror})"
        yield Finding(
            topic="lock", level="error", where=str(agent_dir), what=what, fix="mend the folder's permissions"
        )
        return
    for index, look in enumerate(looks):
        # Where the second, beside a link, cannot be made, nobody else can make it either.
        if index == 0 and not look.can_be_made:
            what = "the folder is read-only here: no login can be renewed or stored, and each ends when it lapses"
            fix = "make it writable for this user, or renew the logins by running `pi` where it is"
            level: Level = "warning" if has_logins else "note"
            yield Finding(topic="lock", level=level, where=str(Path(look.path).parent), what=what, fix=fix)
        yield judged_lock(look)


def judged_lock(look: LockHealth) -> Finding:
    """Say what one lock directory's state means."""
    if look.state == "free":
        return Finding(topic="lock", level="ok", where=look.path, what="nobody holds it")
    if look.state == "stuck":
        what = f"nobody can take this lock: {look.why}; no login can be renewed, here or by pi"
        return Finding(topic="lock", level="error", where=look.path, what=what, fix=f"rm -r {look.path}")
    if look.state == "stale":
        what = (
            f"left over from a process that died {duration(look.age_s)} ago; whoever needs it next takes it over "
            "after watching it for a second"
        )
        return Finding(
            topic="lock", level="note", where=look.path, what=what, fix=f"nothing, or rmdir {look.path}"
        )
    if look.age_s < -1:
        what = f"its stamp lies {duration(-look.age_s)} in the future: a clock was set back, or another machine's is ahead"
        fix = "see Clock; a dead holder's lock is taken over after 30 s of watching it"
        return Finding(topic="lock", level="warning", where=look.path, what=what, fix=fix)
    what = f"held by pi or a gateway at this moment (stamped {duration(max(0.0, look.age_s))} ago)"
    return Finding(topic="lock", level="ok", where=look.path, what=what)
