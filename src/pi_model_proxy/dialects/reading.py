"""Reads a caller's JSON with types checked: every complaint names its JSON path, and nothing goes unread unnoticed.

Lenient where the format's own SDKs are: a member that is null counts as absent, and a member that
nobody knows is no error. It is collected (`Fields.unread`), so that a translation can list it.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, TypeVar

import msgspec

from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BadRequest

__all__ = ["Fields", "decode", "raw_members", "read_json", "says_nothing", "too_deep"]

T = TypeVar("T")

_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})


def says_nothing(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Tell whether a member's value is what absence is: null, or an empty string, array or object."""
    return value in _NOTHING


class Fields:
    """One JSON object of a request, and where it stands."""

    __slots__ = ("at", "values")

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        self.values = values
        self.at = at
        """JSON path of the object; empty for the request itself."""

    def path(self, name: str) -> str:
        """Return the JSON path of a member."""
        return f"{self.at}.{name}" if self.at else name

    def refuse(self, name: str, complaint: str) -> NoReturn:
        """Refuse the request because of one member; `complaint` begins with a verb.

        Raises:
            BadRequest: always.
        """
        path = self.path(name)
        raise BadRequest(f"{path}: {complaint}.", param=path)

    def text(self, name: str) -> str | None:
        """Return a string."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse(name, "must be a string")
        return value

    def needed_text(self, name: str) -> str:
        """Return a string that must be there; it may be empty."""
        value = self.text(name)
        if value is None:
            self.refuse(name, "must be a string; it is missing")
        return value

    def filled_text(self, name: str) -> str:
        """Return a string that must be there and not empty."""
        value = self.text(name)
        if not value:
            self.refuse(name, "must be a string that is not empty")
        return value

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "must be true or false")
        return value

    def number(self, name: str) -> float | None:
        """Return a number."""
        value = self.values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.refuse(name, "must be a number")
        return value

    def whole(self, name: str) -> int | None:
        """Return a whole number; `4.0` is one."""
        value = self.number(name)
        if isinstance(value, float) and not value.is_integer():
            self.refuse(name, "must be a whole number")
        return None if value is None else int(value)

    def object(self, name: str) -> Fields | None:
        """Return an object."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(name, "must be an object")
        return Fields(value, self.path(name))

    def array(self, name: str) -> list[Any]:
        """Return an array; an empty one when it is absent."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(name, "must be an array")
        return value

    def objects(self, name: str) -> list[Fields]:
        """Return an array's objects; none when it is absent."""
        path = self.path(name)
        found: list[Fields] = []
        for index, value in enumerate(self.array(name)):
            if not isinstance(value, dict):
                at = f"{path}[{index}]"
                raise BadRequest(f"{at}: must be an object.", param=at)
            found.append(Fields(value, f"{path}[{index}]"))
        return found

    def unread(self, known: frozenset[str], paths: list[str]) -> None:
        """Add to `paths` every member that is not `known` and says something."""
        if self.values.keys() <= known:
            return
        paths += [
            self.path(name)
            for name, value in self.values.items()
            if name not in known and not says_nothing(value)
        ]


def read_json(body: bytes) -> Fields:
    """Return the body's object.

    Raises:
        BadRequest: not JSON, or not an object.
    """
    return Fields(decode(body, _object_decoder))


def raw_members(body: bytes) -> dict[str, bytes]:
    """Return the body's members as JSON text, in order.

    Raises:
        BadRequest: not JSON, or not an object.
    """
    return {name: bytes(value) for name, value in decode(body, _members_decoder).items()}


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what `decoder` makes of a request body; escaped lone surrogates, which it refuses, are mended first.

    Raises:
        BadRequest: not JSON, or not what the decoder wants; names the JSON path.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        mended = mend_body(body)
        if mended is body:
            raise _complaint(error) from error
    try:
        return decoder.decode(mended)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _complaint(error) from error


def too_deep() -> BadRequest:
    """Return the complaint about a body that is nested deeper than we can follow."""
    return BadRequest("The request body is nested too deeply; flatten it (tool schemas, as a rule).")


def _complaint(error: Exception) -> BadRequest:
    if isinstance(error, RecursionError):
        return too_deep()
    if not isinstance(error, msgspec.ValidationError):
        return BadRequest(f"The request body is not valid JSON ({error}); send one JSON object.")
    what, _, where = str(error).partition(" - at `$")
    path = where.rstrip("`").lstrip(".")
    if not path:
        return BadRequest(f"The request body must be a JSON object ({what}).")
    return BadRequest(f"{path}: {what}.", param=path)
