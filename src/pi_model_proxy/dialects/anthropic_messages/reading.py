"""Typed access to a caller's JSON: wrong types are refused with their path, unknown fields are not."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BadRequest

__all__ = ["Fields", "decode", "raw_members", "read_json"]

_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_object_decoder = msgspec.json.Decoder(dict[str, Any])
T = TypeVar("T")


def read_json(body: bytes) -> Fields:
    """Return the body's object.

    Raises:
        BadRequest: not JSON, or not an object.
    """
    return Fields(decode(body, _object_decoder), "")


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


def _complaint(error: Exception) -> BadRequest:
    if isinstance(error, RecursionError):
        return BadRequest("The request body is nested too deeply; flatten it.")
    if not isinstance(error, msgspec.ValidationError):
        return BadRequest(f"The request body is not valid JSON ({error}); send one JSON object.")
    what, _, where = str(error).partition(" - at `$")
    path = where.rstrip("`").lstrip(".")
    if not path:
        return BadRequest(f"The request body must be a JSON object ({what}).")
    return BadRequest(f"{path}: {what}.", param=path)


class Fields:
    """One JSON object of a request, and where it stands."""

    __slots__ = ("at", "values")

    def __init__(self, values: dict[str, Any], at: str) -> None:
        self.values = values
        self.at = at
        """JSON path; empty for the body itself."""

    def path(self, name: str) -> str:
        """Return the JSON path of a member."""
        return f"{self.at}.{name}" if self.at else name

    def refuse(self, name: str, wanted: str) -> BadRequest:
        """Return the complaint that a member is not `wanted`."""
        path = self.path(name)
        return BadRequest(f"{path}: must be {wanted}.", param=path)

    def text(self, name: str) -> str | None:
        """Return a string member; None when absent or null."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self.refuse(name, "a string")

    def needed_text(self, name: str) -> str:
        """Return a string member that must be there."""
        value = self.text(name)
        if value is None:
            raise self.refuse(name, "a string; it is missing")
        return value

    def flag(self, name: str) -> bool | None:
        """Return a boolean member; None when absent or null."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.refuse(name, "true or false")

    def count(self, name: str) -> int | None:
        """Return a whole number; None when absent or null."""
        value = self.values.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        raise self.refuse(name, "a whole number")

    def number(self, name: str) -> float | None:
        """Return a number; None when absent or null."""
        value = self.values.get(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise self.refuse(name, "a number")

    def object(self, name: str) -> Fields | None:
        """Return an object member; None when absent or null."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return Fields(value, self.path(name))
        raise self.refuse(name, "an object")

    def objects(self, name: str) -> list[Fields]:
        """Return an array of objects; empty when absent or null."""
        path = self.path(name)
        found: list[Fields] = []
        for index, item in enumerate(self.array(name)):
            if not isinstance(item, dict):
                at = f"{path}[{index}]"
                raise BadRequest(f"{at}: must be an object.", param=at)
            found.append(Fields(item, f"{path}[{index}]"))
        return found

    def array(self, name: str) -> list[Any]:
        """Return an array; empty when absent or null."""
        value = self.values.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise self.refuse(name, "an array")
