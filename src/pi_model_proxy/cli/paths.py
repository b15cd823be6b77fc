"""Whether the files we write can be written: the request log and the database."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pi_model_proxy.config import Configuration
from pi_model_proxy.sources import Problem

__all__ = ["check_database", "check_log"]


def check_log(configuration: Configuration) -> list[Problem]:
    """Return what keeps requests from being logged."""
    path = configuration.settings.log_path
    where = configuration.origins["log_path"].where or str(path)
    if path.is_dir():
        what = f"{path} is a folder, so requests cannot be logged"
        return [Problem(where=where, what=what, fix="name a file in logPath")]
    if _is_odd(path):
        what = f"{path} is no regular file, so requests are not logged"
        return [Problem(where=where, what=what, fix="name a file in logPath")]
    if not _is_writable(path):
        what = f"{path} cannot be written, so requests would not be logged"
        return [Problem(where=where, what=what, fix="mend its permissions or set logPath")]
    return []


def check_database(configuration: Configuration) -> list[Problem]:
    """Return what keeps responses and thinking from being kept. SQLite also makes files beside its own."""
    path = configuration.settings.db_path
    where = configuration.origins["db_path"].where or str(path)
    if path.is_dir():
        what = f"{path} is a folder, so nothing can be kept between requests"
        return [Problem(where=where, what=what, fix="name a file in dbPath")]
    if _is_odd(path):
        what = f"{path} is no regular file, so nothing is kept between requests"
        return [Problem(where=where, what=what, fix="name a file in dbPath")]
    if not _is_writable(path) or not _can_make_files_at(path):
        what = f"{path} or its folder cannot be written, so nothing would be kept between requests"
        return [Problem(where=where, what=what, fix="mend their permissions or set dbPath")]
    return []


def _is_odd(path: Path) -> bool:
    """Whether something is there that is no plain file (a link too: it is not followed)."""
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_writable(path: Path) -> bool:
    """Whether the file can be written, or made where there is none."""
    # `access` answers where `exists` would raise: below a folder that may not be entered.
    return os.access(path, os.W_OK) if os.access(path, os.F_OK) else _can_make_files_at(path)


def _can_make_files_at(path: Path) -> bool:
    nearest = next(folder for folder in path.parents if os.access(folder, os.F_OK))
    return nearest.is_dir() and os.access(nearest, os.W_OK)
