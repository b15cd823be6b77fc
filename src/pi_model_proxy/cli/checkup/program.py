"""The program itself: versions, the libraries it runs on, the optional ones."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from pi_model_proxy import __version__
from pi_model_proxy.cli.checkup.finding import Finding
from pi_model_proxy.providers import Means
from pi_model_proxy.sources.cloud import missing_extra

__all__ = ["program_findings"]

LIBRARIES: Final = ("uvloop", "httptools", "msgspec")
EXTRAS: Final = {"bedrock": Means.SIGV4, "vertex": Means.GOOGLE}


def program_findings() -> Iterator[Finding]:
    """Say what runs here."""
    versions = {name: _version(name) for name in LIBRARIES}
    told = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    where = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding(topic="program", level="ok", what=f"pi-model-proxy {__version__}, {where}; {told}")
    if not versions["uvloop"]:
        what = (
            "uvloop is not there: asyncio's own event loop serves, and takes about twice the time a request"
        )
        yield Finding(topic="program", level="note", what=what, fix="pip install uvloop")
    yield _sqlite()
    missing = {name: missing_extra(means) for name, means in EXTRAS.items()}
    there = [name for name, fix in missing.items() if not fix]
    absent = tuple(
        f"without {name}: for what its cloud gives instead of a key, {fix}"
        for name, fix in missing.items()
        if fix
    )
    what = f"extras: {', '.join(there) or 'none installed, and none needed for keys and logins'}"
    yield Finding(topic="program", level="ok", what=what, details=absent)


def _sqlite() -> Finding:
    try:
        import sqlite3  # noqa: PLC0415 - some builds of Python lack it

        from pi_model_proxy.storage.health import has_wal_bug  # noqa: PLC0415 - imports sqlite3 too
    except ImportError:
        what = "this Python has no sqlite3: nothing is kept between requests"
        return Finding(topic="program", level="warning", what=what, fix="use a Python with sqlite3")
    what = f"SQLite {sqlite3.sqlite_version}"
    if has_wal_bug(sqlite3.sqlite_version_info):
        what += ", which has the WAL-reset bug (fixed in 3.51.3); whoever writes here waits for its turn, so it cannot strike"
    return Finding(topic="program", level="ok", what=what)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
