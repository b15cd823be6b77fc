"""What we write: the request log and the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pi_model_proxy.cli.checkup.finding import Finding, Level, found
from pi_model_proxy.cli.paths import check_database, check_log
from pi_model_proxy.config import Configuration

__all__ = ["database_findings", "log_findings", "size_of"]

KIB: Final = 1024


def log_findings(configuration: Configuration) -> Iterator[Finding]:
    """Say whether requests can be logged, and how much of the room the log takes."""
    settings = configuration.settings
    path = settings.log_path
    problems = check_log(configuration)
    for problem in problems:
        yield found("log", problem)
    if problems:
        return
    try:
        size = path.stat().st_size
    except OSError:
        yield Finding(
            topic="log", level="ok", where=str(path), what="not there yet; made with the first request"
        )
        return
    aside = sum(
        path.with_name(f"{path.name}.{number}").exists() for number in range(1, settings.log_keep + 1)
    )
    kept = f", and {aside} put aside" if aside else ""
    what = f"{size_of(size)} of {size_of(settings.log_max_bytes)}{kept}; it can be written"
    yield Finding(topic="log", level="ok", where=str(path), what=what)


def database_findings(configuration: Configuration) -> Iterator[Finding]:
    """Say whether the database can be used, how large it is, and whether it is sound."""
    path = configuration.settings.db_path
    problems = check_database(configuration)
    for problem in problems:
        yield found("database", problem)
    if problems and not path.is_file():
        return  # nothing to be read there, and said already
    try:
        from pi_model_proxy.storage.health import examine_database  # noqa: PLC0415 - imports SQLite
    except ImportError:
        return  # the program's findings tell of it
    health = examine_database(path)
    where = str(path)
    if health.trouble:
        fix = (
            "nothing: the server sets it aside and begins a new one; what was kept is in the file set aside"
            if health.is_damaged
            else "mend or move the file, or set dbPath; meanwhile requests are served without it"
        )
        yield Finding(topic="database", level="error", where=where, what=health.trouble, fix=fix)
    elif not health.exists:
        what = "not there yet; made when there is something to keep"
        yield Finding(topic="database", level="ok", where=where, what=what)
    else:
        level: Level = "note" if health.unchecked else "ok"
        checked = f"not checked in full: {health.unchecked}" if health.unchecked else "sound"
        what = f"{size_of(health.size)}, {checked}"
        yield Finding(topic="database", level=level, where=where, what=what)
    if health.set_aside:
        what = f"damaged files were set aside: {', '.join(health.set_aside)}"
        yield Finding(
            topic="database",
            level="note",
            where=where,
            what=what,
            fix="remove them once nothing in them is needed",
        )


def size_of(size: int) -> str:
    """Return a number of bytes as people read it."""
    value, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if value < KIB:
            break
        value, unit = value / KIB, larger
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004 - two digits
