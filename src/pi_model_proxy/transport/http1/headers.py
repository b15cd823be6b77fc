r"""The headers of an answer, found when somebody asks for them.

A provider sends fifteen to thirty, of which a handful is ever looked at. llhttp has checked every byte of the text
before this reads it: it lets no line be folded, no name be followed by a blank, no CR or NUL into a value, and lets a
bare LF end a line. So a line begins after each `\n`, and its name ends at the first colon.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator
from typing import Final, NamedTuple

from typing_extensions import override

from pi_model_proxy.transport.upstream import AnswerHeaders

__all__ = ["Framing", "Headers", "end_of_head", "framing_of"]

MAX_MARKS: Final = 512

_BLANKS: Final = b" \t\r"
_LINE_ENDS: Final = b"\r\n"
"""llhttp skips them before a status line."""
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_FRAMING: Final = re.compile(
    rb"\n(?:content-length:[ \t]*(\d)|content-encoding:([^\r\n]*)|transfer-encoding:([^\r\n]*))",
    re.IGNORECASE,
)


class Framing(NamedTuple):
    """What the headers say of the body's bytes."""

    has_length: bool
    """The end of the body shows without the connection's end."""
    coding: str
    """Of the transfer; in lower case."""
    encoding: str
    """Of the content; in lower case, empty for none."""


_SIZED: Final = Framing(has_length=True, coding="", encoding="")
_CHUNKED: Final = Framing(has_length=True, coding="chunked", encoding="")


def end_of_head(data: bytes, start: int) -> int:
    """Return where the body begins after the head that begins at `start`, which llhttp has found to be whole.

    Raises:
        ValueError: it is not whole.
    """
    while data[start] in _LINE_ENDS:
        start += 1
    found = _EMPTY_LINE.search(data, start)
    if found is None:
        raise ValueError("a head without an end")
    return found.end()


def framing_of(head: bytes) -> Framing:
    """Read how the body is sent."""
    found = _FRAMING.findall(head)
    if len(found) == 1:
        length, _, coding = found[0]
        if length:
            return _SIZED
        if coding.strip().lower() == b"chunked":
            return _CHUNKED
    coding = _joined(coding for _, _, coding in found)
    encoding = _joined(encoding for _, encoding, _ in found)
    return Framing(
        has_length=coding == "chunked" or (not coding and any(length for length, _, _ in found)),
        coding=coding,
        encoding="" if encoding == "identity" else encoding,
    )


def _joined(values: Iterator[bytes]) -> str:
    stripped = (value.strip(_BLANKS) for value in values)
    return b",".join(filter(None, stripped)).decode("latin-1").lower()


class Headers(AnswerHeaders):
    """Names in lower case; of repeated headers the values joined by commas."""

    __slots__ = ("_lower", "_text")

    def __init__(self, text: bytes) -> None:
        """Take a status line and the header lines after it, to the end of the head."""
        self._text = text
        self._lower = text.lower()

    @override
    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override] # any default is a text here
        mark = _marks.get(name) or _mark_of(name)
        lower = self._lower
        start = lower.find(mark)
        if start < 0:
            return default
        start += len(mark)
        end = lower.find(b"\n", start)
        if lower.find(mark, end) >= 0:
            return ",".join(each for other, each in self._lines() if other == name)
        return self._text[start:end].strip(_BLANKS).decode("latin-1")

    @override
    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @override
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (_marks.get(name) or _mark_of(name)) in self._lower

    @override
    def beginning(self, *starts: str) -> dict[str, str]:
        known = _beginnings.get(starts)
        if known is None:
            known = _beginnings[starts] = re.compile(
                b"\n(?:%b)" % b"|".join(re.escape(s.encode()) for s in starts)
            )
        if known.search(self._lower) is None:
            return {}
        return {name: value for name, value in self.items() if name.startswith(starts)}

    @override
    def items(self) -> ItemsView[str, str]:
        joined: dict[str, str] = {}
        for name, value in self._lines():
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined.items()

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._lines()))

    @override
    def __len__(self) -> int:
        return len(dict(self._lines()))

    def _lines(self) -> Iterator[tuple[str, str]]:
        for line in self._text.lstrip(_LINE_ENDS).split(b"\n")[1:]:
            name, colon, value = line.partition(b":")
            if colon:
                yield name.decode("latin-1").lower(), value.strip(_BLANKS).decode("latin-1")


_beginnings: Final[dict[tuple[str, ...], re.Pattern[bytes]]] = {}
"""How to look for what `beginning` was asked for: the same few names each time."""
_marks: Final[dict[str, bytes]] = {}
"""What a header's line begins with, the end of the line before it included, by the names that were asked for."""


def _mark_of(name: str) -> bytes:
    if len(_marks) >= MAX_MARKS:
        _marks.clear()
    _marks[name] = mark = f"\n{name}:".encode("latin-1", "replace")
    return mark
