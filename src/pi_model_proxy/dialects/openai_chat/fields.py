"""Reads a decoded JSON request with types checked and every complaint naming its JSON path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BadRequest

__all__ = ["Fields", "decode_object", "too_deep"]


class Fields:
    """One JSON object of a request and where it stands. A field that is null counts as absent."""

    __slots__ = ("at", "values")

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        self.values = values
        self.at = at
        """JSON path of the object; empty for the request itself."""

    def path(self, name: str) -> str:
        """Return the JSON path of a member."""
        return f"{self.at}.{name}" if self.at else name

    def refuse(self, name: str, complaint: str) -> NoReturn:
        """Refuse the request because of one member.

        Raises:
            BadRequest: always.
        """
        path = self.path(name)
        raise BadRequest(f"{path}: {complaint}", param=path)

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse(name, "must be a string.")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "must be true or false.")
        return value

    def number(self, name: str) -> float | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, "must be a number.")
        return value

    def whole(self, name: str) -> int | None:
        value = self.number(name)
        if value is None:
            return None
        if value != int(value):
            self.refuse(name, "must be a whole number.")
        return int(value)

    def object(self, name: str) -> Fields | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(name, "must be an object.")
        return Fields(value, self.path(name))

    def items(self, name: str) -> list[Any] | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            self.refuse(name, "must be an array.")
        return value

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the elements of an array of objects; nothing when it is absent."""
        for index, value in enumerate(self.items(name) or ()):
            at = f"{name}[{index}]"
            if not isinstance(value, dict):
                self.refuse(at, "must be an object.")
            yield Fields(value, self.path(at))


def too_deep() -> BadRequest:
    """Return the complaint about a body that is nested deeper than we can follow."""
    return BadRequest("The body is nested too deeply; flatten it (tool schemas, as a rule).")


def decode_object(body: bytes) -> dict[str, Any]:
    """Return the request's JSON object; lone surrogates in it become U+FFFD.

    Raises:
        BadRequest: not JSON, or JSON of another kind.
    """
    try:
        value = msgspec.json.decode(mend_body(body))
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:  # msgspec's DecodeError, and text that is no UTF-8
        raise BadRequest(f"The body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return value
