"""Headers that many answers have in common: what they look like on the wire is worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["SharedHeaders", "header_lines"]

_FRAMING: Final = frozenset({"connection", "content-length", "transfer-encoding"})


class SharedHeaders(dict[str, str]):
    """A mapping that nobody changes once it is made; names in lower case, none of them about framing."""

    __slots__ = ("lines",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Take the headers.

        Raises:
            ValueError: one of them concerns a single answer, or would break out of its line.
        """
        super().__init__(headers)
        if not _FRAMING.isdisjoint(headers):
            raise ValueError("framing is for each answer to decide")
        self.lines = header_lines(headers)
        """The header lines, each with its end."""


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Return the lines of a head.

    Raises:
        ValueError: a name or value would break out of its line.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError("a header of the answer would break out of its line")
    return text.encode("latin-1", "replace")
