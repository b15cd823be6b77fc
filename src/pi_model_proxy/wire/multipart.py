"""One part of a `multipart/form-data` body, found and exchanged; every other byte stays as it is.

Sources: RFC 7578 §4 (form data), RFC 2046 §5.1.1 (boundaries).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

__all__ = ["MAX_PARTS", "FormPart", "boundary_of", "find_part", "part_names"]

MAX_PARTS: Final = 200
"""More parts than any endpoint's form has; those behind them are not looked at."""
MAX_HEAD_BYTES: Final = 8 * 1024
"""A part's own headers are shorter."""
_BOUNDARY: Final = re.compile(
    r"multipart/form-data\s*;(?:.*;)?\s*boundary=(?:\"([^\"\r\n]{1,70})\"|([^\s\";,]{1,70}))", re.IGNORECASE
)
_DISPOSITION: Final = re.compile(rb"^content-disposition:\s*form-data\b(.*)$", re.IGNORECASE | re.MULTILINE)
_NAME: Final = re.compile(rb";\s*name=(?:\"([^\"\r\n]*)\"|([^\s;\"]+))", re.IGNORECASE)


class FormPart(msgspec.Struct, frozen=True):
    """Where a part's value stands in the body."""

    start: int
    end: int

    def value(self, body: bytes) -> bytes:
        """Return the value."""
        return body[self.start : self.end]

    def replaced(self, body: bytes, value: bytes) -> bytes:
        """Return the body with another value in this part."""
        return b"".join((body[: self.start], value, body[self.end :]))


def boundary_of(content_type: str) -> bytes | None:
    """Return what separates the parts; None when the type is another one, or names no boundary."""
    found = _BOUNDARY.match(content_type.strip())
    return (found[1] or found[2]).encode("latin-1", "replace") if found else None


def find_part(body: bytes, boundary: bytes, name: str) -> FormPart | None:
    """Return the first part of this name; None when there is none, or the body is broken before it."""
    wanted = name.encode()
    return next((part for found, part in _parts(body, boundary) if found == wanted), None)


def part_names(body: bytes, boundary: bytes) -> list[str]:
    """Return the names of the parts, in order, as far as the body can be read; at most `MAX_PARTS` of them."""
    return [name.decode("utf-8", "replace") for name, _ in _parts(body, boundary) if name is not None]


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes | None, FormPart]]:
    mark = b"--" + boundary
    at = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if at < 2 and not body.startswith(mark):  # noqa: PLR2004 - the length of the line break before a mark
        return
    for _ in range(MAX_PARTS):
        begin = at + len(mark)
        if not body.startswith(b"\r\n", begin):
            return  # the end mark, or no mark at all
        head_end = body.find(b"\r\n\r\n", begin, begin + MAX_HEAD_BYTES)
        end = body.find(b"\r\n" + mark, head_end + 2) if head_end >= 0 else -1
        if end < 0:
            return
        yield _name_in(body[begin + 2 : head_end]), FormPart(min(head_end + 4, end), end)
        at = end + 2


def _name_in(head: bytes) -> bytes | None:
    disposition = _DISPOSITION.search(head.replace(b"\r\n", b"\n"))
    found = _NAME.search(disposition[1]) if disposition else None
    return (found[1] if found[1] is not None else found[2]) if found else None
