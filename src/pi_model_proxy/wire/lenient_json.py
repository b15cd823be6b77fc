"""JSON as people write it by hand: comments, trailing commas, a byte order mark.

`parse` keeps the text, so that a later complaint about a value can name its line and column:
`document.position_of(("providers", "acme", "models", 0))`.

Comments and trailing commas are overwritten with spaces, never removed: every character keeps
its offset, and every error points into the file as its author sees it.

Source: pi 1.5.2 `dist/utils/json.js` (`//` comments, a comma before a closing bracket) and
`dist/utils/text.js` (byte order mark); what is left must be RFC 8259 JSON, as for `JSON.parse`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, NoReturn

__all__ = [
    "BYTE_ORDER_MARK",
    "JsonDocument",
    "JsonSyntaxError",
    "PathStep",
    "Position",
    "format_path",
    "parse",
]

PathStep = str | int
"""One step of a JSON path: a member's name, or an element's index."""

BYTE_ORDER_MARK: Final = "\ufeff"
MAX_EXACT_DIGITS: Final = 18
"""Longer integers become floats: JavaScript rounds them too, and Python refuses to read very long ones."""

_LINE_COMMENTS: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*', re.DOTALL)
_ALL_COMMENTS: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMAS: Final = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[}\]])', re.DOTALL)
_NOT_A_LINE_BREAK: Final = re.compile(r"[^\r\n]")
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


class Position(NamedTuple):
    """A place in a text; both count from 1, columns in characters."""

    line: int
    column: int


class JsonSyntaxError(ValueError):
    """The text is not JSON, even with the leniency asked for."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(f"line {position.line}, column {position.column}: {message}")
        self.message = message
        """What is wrong, without the place."""
        self.position = position


def format_path(path: Sequence[PathStep]) -> str:
    """Return `providers.acme.models[0].id`; names that are no plain word are quoted: `["a/b"]`."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        elif _PLAIN_NAME.fullmatch(step):
            written += f".{step}" if written else step
        else:
            written += f"[{json.dumps(step, ensure_ascii=False)}]"
    return written


class JsonDocument:
    """A decoded text that can still say where each value stood."""

    __slots__ = ("_text", "value")

    def __init__(self, value: object, blanked: str) -> None:
        self.value = value
        """The decoded JSON."""
        self._text = blanked

    def position_of(self, path: Sequence[PathStep]) -> Position:
        """Return where the value at `path` begins; of a path that leads nowhere, where its last existing part does."""
        offset = _skip_blank(self._text, 0)
        for step in path:
            found = _step_into(self._text, offset, step)
            if found is None:
                break
            offset = found.value
        return _position(self._text, offset)

    def position_of_name(self, path: Sequence[PathStep]) -> Position:
        """Return where the name of the member at `path` begins, to point at an unknown key rather than at its value."""
        offset = _skip_blank(self._text, 0)
        for step in path[:-1]:
            found = _step_into(self._text, offset, step)
            if found is None:
                return _position(self._text, offset)
            offset = found.value
        last = _step_into(self._text, offset, path[-1]) if path else None
        return _position(self._text, offset if last is None else last.name)


def parse(text: str, *, block_comments: bool = True) -> JsonDocument:
    """Decode `text`.

    Args:
        text: JSON with `//` comments, trailing commas and perhaps a byte order mark.
        block_comments: Whether `/* ... */` is a comment too; pi's own files do not allow it.

    Raises:
        JsonSyntaxError: with line and column, also for `NaN`, `Infinity` and nesting without end.
    """
    if text.startswith(BYTE_ORDER_MARK):
        text = text[1:]
    comments = _ALL_COMMENTS if block_comments else _LINE_COMMENTS
    blanked = _TRAILING_COMMAS.sub(_blank_out, comments.sub(_blank_out, text))
    if not blanked.strip():
        raise JsonSyntaxError("the file is empty", Position(1, 1))
    try:
        value = _DECODER.decode(blanked)
    except json.JSONDecodeError as error:
        raise JsonSyntaxError(_explain(blanked, error), Position(error.lineno, error.colno)) from error
    except RecursionError as error:
        raise JsonSyntaxError("nested too deeply", Position(1, 1)) from error
    except _NotJsonNumber as error:
        raise JsonSyntaxError(str(error), _find_word(blanked, error.word)) from error
    return JsonDocument(value, blanked)


class _NotJsonNumber(ValueError):
    def __init__(self, word: str) -> None:
        super().__init__(f"{word} is not a JSON number")
        self.word = word


def _refuse_constant(word: str) -> NoReturn:
    raise _NotJsonNumber(word)


def _read_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_EXACT_DIGITS else float(digits)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_read_int)


def _blank_out(match: re.Match[str]) -> str:
    found = match.group()
    return found if found.startswith('"') else _NOT_A_LINE_BREAK.sub(" ", found)


def _explain(text: str, error: json.JSONDecodeError) -> str:
    """Say what stands there, since the decoder only says what should."""
    if error.pos >= len(text.rstrip()):
        return "the file ends in the middle of a value"
    message = error.msg[0].lower() + error.msg[1:]
    if text[error.pos] in "/#'":
        return f"{message}, not {text[error.pos]!r}"
    return message


def _find_word(text: str, word: str) -> Position:
    strings_or_word = re.compile(r'"(?:\\.|[^"\\])*"|' + re.escape(word), re.DOTALL)
    found = (match.start() for match in strings_or_word.finditer(text) if match.group() == word)
    return _position(text, next(found))


class _Found(NamedTuple):
    name: int
    """Offset of the member's name (of the element itself in an array)."""
    value: int
    """Offset of the value."""


def _step_into(text: str, offset: int, step: PathStep) -> _Found | None:
    """Return where `step` stands inside the value at `offset`, which has decoded well before."""
    opened = text[offset : offset + 1]
    if opened == "{" and isinstance(step, str):
        return _find_member(text, offset, step)
    if opened == "[" and isinstance(step, int):
        return _find_element(text, offset, step)
    return None


def _find_member(text: str, offset: int, name: str) -> _Found | None:
    last: _Found | None = None  # of a name given twice, the last one counts
    offset = _skip_blank(text, offset + 1)
    while text[offset] == '"':
        start = offset
        key, offset = _DECODER.raw_decode(text, offset)
        value = _skip_blank(text, _skip_blank(text, offset) + 1)  # past the colon
        if key == name:
            last = _Found(start, value)
        offset = _next_item(text, value)
    return last


def _find_element(text: str, offset: int, index: int) -> _Found | None:
    offset = _skip_blank(text, offset + 1)
    position = 0
    while text[offset] != "]":
        if position == index:
            return _Found(offset, offset)
        position += 1
        offset = _next_item(text, offset)
    return None


def _next_item(text: str, value: int) -> int:
    """Return where the next member, element or closing bracket after the value at `value` stands."""
    _, end = _DECODER.raw_decode(text, value)
    offset = _skip_blank(text, end)
    return _skip_blank(text, offset + 1) if text[offset] == "," else offset


def _skip_blank(text: str, offset: int) -> int:
    match = _BLANK.match(text, offset)
    return match.end() if match else offset


def _position(text: str, offset: int) -> Position:
    line_start = text.rfind("\n", 0, offset) + 1
    return Position(text.count("\n", 0, offset) + 1, offset - line_start + 1)
