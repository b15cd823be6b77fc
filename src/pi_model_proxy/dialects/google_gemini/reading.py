"""Typed access to a caller's JSON, in either spelling: `maxOutputTokens` and `max_output_tokens` are one.

Google's servers read requests as protocol buffers: both spellings count, numbers may be strings, a
single object stands for a list of one (its own curl examples write `"parts": {"text": ...}`).
A path in a complaint or a list of losses is spelt as the caller spelt it.

Source: the ProtoJSON format (https://protobuf.dev/programming-guides/json/).
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any, Final

import msgspec
from typing_extensions import override

from pi_model_proxy.dialects.reading import Fields, decode, raw_members, says_nothing, too_deep
from pi_model_proxy.errors import BadRequest

__all__ = [
    "ProtoFields",
    "camel",
    "decode",
    "raw_members",
    "read_json",
    "says_nothing",
    "snake",
    "too_deep",
]

MAX_DIGITS: Final = 18
"""Longer numbers in strings are no counts of anything."""
_object_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_HUMP: Final = re.compile(r"[A-Z]")
_JOINT: Final = re.compile(r"_([a-z0-9])")


@functools.lru_cache(maxsize=512)
def snake(name: str) -> str:
    """Return `maxOutputTokens` as `max_output_tokens`."""
    return _HUMP.sub(lambda hump: f"_{hump[0].lower()}", name)


def camel(name: str) -> str:
    """Return `max_output_tokens` as `maxOutputTokens`."""
    return _JOINT.sub(lambda joint: joint[1].upper(), name) if "_" in name else name


def read_json(body: bytes) -> ProtoFields:
    """Return the body's object.

    Raises:
        BadRequest: not JSON, or not an object.
    """
    return ProtoFields(decode(body, _object_decoder))


class ProtoFields(Fields):
    """One JSON object of a request; its members go by their camelCase names, whichever the caller wrote."""

    __slots__ = ("_spelt", "given")

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        self.given = values
        """The object as it came."""
        self._spelt = {camel(name): name for name in values if "_" in name}
        named = {camel(name): value for name, value in values.items()} if self._spelt else values
        super().__init__(named, at)

    @override
    def path(self, name: str) -> str:
        """Return the JSON path of a member, in the caller's spelling."""
        return super().path(self._spelt.get(name, name))

    def word(self, name: str) -> str:
        """Return an enumeration's name in capitals; empty when it is absent."""
        return (self.text(name) or "").upper()

    @override
    def number(self, name: str) -> float | None:
        """Return a number, which may be written in a string."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return super().number(name)
        written = _number(value)
        if written is None:
            self.refuse(name, "must be a number")
        return written

    @override
    def object(self, name: str) -> ProtoFields | None:
        """Return an object."""
        found = super().object(name)
        return None if found is None else ProtoFields(found.values, found.at)

    @override
    def objects(self, name: str) -> list[ProtoFields]:  # type: ignore[override] # a list of the same kind as this one
        """Return an array's objects; a lone object keeps its own path."""
        value = self.values.get(name)
        if isinstance(value, dict):
            return [ProtoFields(value, self.path(name))]
        return [ProtoFields(each.values, each.at) for each in super().objects(name)]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return an array's strings; none when it is absent."""
        value = self.values.get(name)
        items = [value] if isinstance(value, str) else self.array(name)
        for index, item in enumerate(items):
            if not isinstance(item, str):
                at = f"{self.path(name)}[{index}]"
                raise BadRequest(f"{at}: must be a string.", param=at)
        return tuple(items)

    def names(self) -> list[str]:
        """Return the camelCase names of all members that say something."""
        return [name for name, value in self.values.items() if not says_nothing(value)]


def _number(text: str) -> float | None:
    """Return a number written in a string, as protocol buffers write long ones."""
    if len(text) > MAX_DIGITS:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
