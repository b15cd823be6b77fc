#!/usr/bin/env python3
"""Write what is made from the table of settings: the JSON Schema and the table in docs/configuration.md.

scripts/settings_docs.py            write both
scripts/settings_docs.py --check    write nothing; exit 1 when one is out of date
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import Final

import msgspec

from pi_model_proxy.config import SCHEMA_FILE, SETTINGS, Setting, encode_schema

ROOT: Final = Path(__file__).resolve().parent.parent
SCHEMA: Final = ROOT / "src" / "pi_model_proxy" / "config" / SCHEMA_FILE
PAGE: Final = ROOT / "docs" / "configuration.md"
BEGIN: Final = "<!-- begin: settings (written by scripts/settings_docs.py) -->"
END: Final = "<!-- end: settings -->"


def settings_tables() -> str:
    """Return one Markdown table for each group of settings."""
    parts: list[str] = []
    for group, rows in itertools.groupby(SETTINGS, key=lambda setting: setting.group):
        parts.append(
            f"### {group}\n\n| setting | default | takes | what it does |\n| --- | --- | --- | --- |"
        )
        parts[-1] += "".join(f"\n{_row(setting)}" for setting in rows)
    return "\n\n".join(parts)


def _row(setting: Setting) -> str:
    names = f"`{setting.flag}`<br>`{setting.variable}`"
    names = f"`{setting.key}`<br>{names}" if setting.in_file else f"{names}<br>(not in the file)"
    if setting.also_variable:
        names += f"<br>else `{setting.also_variable}`"
    default = "none" if setting.default is None else f"`{_json(setting.default)}`"
    restart = " *Counts after a restart.*" if setting.needs_restart else ""
    cells = (names, default, setting.kind.accepts, setting.help + restart)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def page_with_tables(page: str) -> str:
    """Return the page with its tables written anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.name} has lost its marks: {BEGIN} and {END}")
    return f"{before}{begin}\n\n{settings_tables()}\n\n{end}{after}"


def main() -> int:
    """Write or compare; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    wanted = {SCHEMA: encode_schema(), PAGE: page_with_tables(PAGE.read_text(encoding="utf-8"))}
    stale = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
        print(
            f"{path.relative_to(ROOT)}: {'out of date; run scripts/settings_docs.py' if check else 'written'}"
        )
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
