"""Two requests, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from oracle.recording import Recorded

__all__ = ["ABSENT", "TRANSPORT", "Difference", "differences", "fields_of"]

ABSENT: Final = "(absent)"
TRANSPORT: Final = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding"})
"""HTTP's own business: not what is said, but how it is carried."""


class Difference(msgspec.Struct, frozen=True):
    """One field that pi and we fill differently."""

    field: str
    """`url`, `headers.<name>` or `body.<path>`."""
    pi: Any
    ours: Any

    def __str__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"{self.field}: pi {self.pi!r:.300}, we {self.ours!r:.300}"


def differences(pi: Recorded, ours: Recorded) -> list[Difference]:
    """Return every field in which the requests differ; a field that one of them lacks is `ABSENT` there."""
    left, right = dict(_fields(pi)), dict(_fields(ours))
    names = [*left, *(name for name in right if name not in left)]
    return [
        Difference(name, left.get(name, ABSENT), right.get(name, ABSENT))
        for name in names
        if left.get(name, ABSENT) != right.get(name, ABSENT)
    ]


def _fields(request: Recorded) -> Iterator[tuple[str, Any]]:
    yield "url", request.path
    for name, value in request.headers.items():
        yield f"headers.{name}", value
    yield from fields_of(request.body)


def fields_of(value: Any, path: str = "body") -> Iterator[tuple[str, Any]]:
    """Return every leaf of a JSON value under its path; an empty array or object is a leaf."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from fields_of(inner, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from fields_of(inner, f"{path}[{number}]")
    else:
        yield path, value
