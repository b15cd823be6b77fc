"""Writing one provider's entry of `auth.json`, so that a kill at any point loses nothing.

Order: the new tokens go to a journal (0600, beside the resolved file), then the whole new content
to a temporary file, `fsync`, `os.replace`, then the journal is removed. Whoever next takes the
lock finishes what a journal tells of. Where the file is a bind mount that cannot be replaced
(EBUSY, EXDEV) it is rewritten in place, as pi does, with the full content in the journal first.

Everything here must be called with pi's lock held (`lock.acquire_lock`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from pi_model_proxy.credentials.auth_file import OAuthCredential, parse_entry, parse_object
from pi_model_proxy.credentials.tracked_file import Malformed, read_file

__all__ = [
    "JOURNAL_SUFFIX",
    "WriteRefused",
    "create_file",
    "finish_journal",
    "journal_path",
    "write_entry_journal",
    "write_journal",
]

JOURNAL_SUFFIX: Final = ".model-proxy-journal"
"""Beside `auth.json`; pi reads no file of that name (it looks at `*.jsonl` only)."""
_TEMPORARY_SUFFIX: Final = ".model-proxy-new"
_PRIVATE: Final = 0o600
_CANNOT_REPLACE: Final = frozenset({errno.EBUSY, errno.EXDEV, errno.EPERM})
"""EPERM: the owner cannot be kept, as the file is another user's that we may write to."""


class WriteRefused(Exception):
    """The file must not be written as it is now; says why, without any of its content.

    `superseded` when the login is no longer in it, so that the new tokens are of no use;
    otherwise the journal is kept for a better moment.
    """

    def __init__(self, what: str, *, superseded: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.superseded = superseded


class _Journal(msgspec.Struct, kw_only=True):
    """What is to be written, so that it can be written later."""

    provider: str
    spent: str = ""
    """Digest of the tokens the new ones replace: only an entry that still holds those is changed."""
    fields: dict[str, Any] = {}
    before: str = ""
    """Digest of the whole entry that is replaced or removed: set instead of `spent` by a login and a logout."""
    entry: dict[str, Any] | None = None
    """What takes its place; None: nothing, the entry is removed."""
    content: str | None = None
    """The whole new file, when it is about to be rewritten in place."""


def journal_path(auth_path: Path) -> Path:
    """Return where the journal of this `auth.json` lies (beside the resolved file)."""
    return Path(os.path.realpath(auth_path) + JOURNAL_SUFFIX)


def _digest(login: OAuthCredential) -> str:
    return hashlib.sha256(f"{login.access}\0{login.refresh}".encode("utf-8", "surrogatepass")).hexdigest()


def write_journal(
    auth_path: Path, provider: str, *, spent: OAuthCredential, fields: Mapping[str, Any]
) -> None:
    """Note that `fields` belong over the provider's entry, which holds `spent`. Takes well under a millisecond.

    To be called the moment a token endpoint has answered: from here on a kill loses nothing.

    Raises:
        OSError: it could not be written.
    """
    journal = _Journal(provider=provider, spent=_digest(spent), fields=dict(fields))
    _write_private(journal_path(auth_path), msgspec.json.encode(journal))


def write_entry_journal(auth_path: Path, provider: str, entry: Mapping[str, Any] | None) -> bool:
    """Note that the provider's entry is to be replaced by `entry`, or removed (None); False when it is so already.

    To be called with an older journal finished: there is one journal, and this one takes its place.

    Raises:
        WriteRefused: the file cannot be understood now.
        OSError: it could not be read, or the note not be written.
    """
    root = _understood(auth_path) or {}
    present = root.get(provider)
    if (entry is None and provider not in root) or (entry is not None and present == entry):
        return False
    journal = _Journal(
        provider=provider, before=_entry_digest(root, provider), entry=None if entry is None else dict(entry)
    )
    _write_private(journal_path(auth_path), msgspec.json.encode(journal))
    return True


def _entry_digest(root: Mapping[str, Any], provider: str) -> str:
    """Return a mark of what the provider has in the file; of nothing, too."""
    text = json.dumps(root[provider], sort_keys=True) if provider in root else "nothing"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def finish_journal(auth_path: Path, *, check_lock: Callable[[], None]) -> bool:
    """Put what the journal tells of into `auth.json`; False when there is nothing to be done.

    Other entries, unknown fields and the order of keys stay. `check_lock` raises when the lock is
    no longer ours; it is called last thing before a write. After any failure the journal stays,
    unless the login it belongs to is no longer in the file.

    Raises:
        WriteRefused: the file cannot be understood now, or holds another credential by now.
        OSError: it could not be written.
    """
    path = journal_path(auth_path)
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=_Journal)
    except FileNotFoundError:
        return False
    except (msgspec.DecodeError, UnicodeDecodeError):
        path.unlink(missing_ok=True)  # cut short while it was written: the file itself was not touched yet
        return False
    target = Path(os.path.realpath(auth_path))
    try:
        _apply(target, journal, check_lock)
    except WriteRefused as refused:
        if refused.superseded:
            path.unlink(missing_ok=True)
            raise
        if journal.content is None:
            raise
        # Our own rewriting in place was cut short, and the journal has the whole content.
        check_lock()
        _rewrite_in_place(target, journal.content.encode())
    path.unlink(missing_ok=True)
    return True


def _apply(target: Path, journal: _Journal, check_lock: Callable[[], None]) -> None:
    content = _with_fields(target, journal)
    data = _encode(content)
    check_lock()
    try:
        _replace(target, data)
    except OSError as error:
        if error.errno not in _CANNOT_REPLACE:
            raise
        journal.content = data.decode()
        _write_private(Path(f"{target}{JOURNAL_SUFFIX}"), msgspec.json.encode(journal))
        check_lock()
        _rewrite_in_place(target, data)


def _with_fields(target: Path, journal: _Journal) -> dict[str, Any]:
    """Return the file's present content with the journal's fields in it."""
    root = _understood(target)
    if journal.before:
        root = root or {}
        if _entry_digest(root, journal.provider) != journal.before:
            raise _superseded()
        if journal.entry is None:
            root.pop(journal.provider, None)
        else:
            root[journal.provider] = journal.entry
        return root
    if root is None:
        raise WriteRefused("auth.json is empty or gone although it held this login a moment ago")
    entry = root.get(journal.provider)
    login = parse_entry(entry)
    if (
        not isinstance(entry, dict)
        or not isinstance(login, OAuthCredential)
        or _digest(login) != journal.spent
    ):
        raise _superseded()
    root[journal.provider] = {**entry, **journal.fields}
    return root


def _superseded() -> WriteRefused:
    return WriteRefused("auth.json holds another credential for this provider by now", superseded=True)


def _understood(path: Path) -> dict[str, Any] | None:
    """Return the file's content; None when it is empty, or there is none.

    Raises:
        WriteRefused: it is not what it should be.
    """
    try:
        text = read_file(path).text or ""
        return parse_object(text) if text.strip() else None
    except Malformed as error:
        raise WriteRefused(
            f"auth.json cannot be understood now ({error.what}); it was left as it is"
        ) from error


def _encode(root: dict[str, Any]) -> bytes:
    """Serialise as pi does: two spaces, no escapes beyond need, no newline at the end."""
    try:
        return json.dumps(root, indent=2, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can express
        return json.dumps(root, indent=2).encode()


def _replace(target: Path, data: bytes) -> None:
    """Exchange the file for a new one with the same owner and mode, durably."""
    before = target.stat()
    temporary = Path(f"{target}{_TEMPORARY_SUFFIX}")
    try:
        _write_private(
            temporary, data, mode=stat.S_IMODE(before.st_mode), owner=(before.st_uid, before.st_gid)
        )
        temporary.replace(target)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _write_private(
    path: Path, data: bytes, *, mode: int = _PRIVATE, owner: tuple[int, int] | None = None
) -> None:
    """Write a file of ours, replacing a left-over of the same name, never through a link."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if owner is not None:
            status = os.fstat(descriptor)
            if (status.st_uid, status.st_gid) != owner:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)


def create_file(auth_path: Path, content: dict[str, Any]) -> None:
    """Create the file, private and whole, unless somebody else just has.

    Raises:
        OSError: it could not be written.
    """
    target = Path(os.path.realpath(auth_path))
    temporary = Path(f"{target}{_TEMPORARY_SUFFIX}")
    _write_private(temporary, _encode(content))
    try:
        with suppress(FileExistsError):
            os.link(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _rewrite_in_place(target: Path, data: bytes) -> None:
    """Overwrite, then cut: a reader never sees an empty file, and the inode stays."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        file.truncate(len(data))
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; a file system that cannot do that is no reason to fail."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
