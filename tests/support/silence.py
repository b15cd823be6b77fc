"""Finds what a translation leaves out without a word.

A leaf of a request (a string, number or flag, or an empty array or object) has been said to the
upstream when another value there makes another request of it. If it makes the same request, the
leaf must stand in the list of what was dropped, itself or what it is part of. Words are not
compared, so the check needs no table of translations and cannot agree with a wrong one.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pi_model_proxy.dialects.base import ClientHalf, ServerHalf
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import Target

__all__ = ["GONE", "Case", "Heard", "hear", "is_within", "overlooked", "places_of", "strange_paths", "unsaid"]

Json = dict[str, Any]
Path = tuple[str | int, ...]

NEW: Final = "a_member_of_next_year"
GONE: Final = object()
"""In the place of a value: the member is left out."""


class Case(NamedTuple):
    """A request that uses one thing of its format."""

    name: str
    body: Json
    about: tuple[str, ...]
    """JSON paths of what is looked at; the rest of the request is only there to make it one."""


class Heard(NamedTuple):
    """What became of a request."""

    sent: object
    """Everything an upstream gets; None when the request was refused."""
    dropped: tuple[str, ...]
    refused: str | None = None
    """The path that a refusal names."""

    def answers_for(self, path: str) -> bool:
        """Whether `path`, or what it is part of, is listed or refused."""
        named = [*self.dropped, *filter(None, (self.refused,))]
        return any(is_within(path, each) for each in named)


def objects(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where there is an object."""
    if isinstance(value, dict):
        yield path
        for name, each in value.items():
            yield from objects(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from objects(each, (*path, index))


def overlooked(case: Case, server: ServerHalf, client: ClientHalf, target: Target) -> list[str]:
    """Return the paths at which a member that nobody knows goes unnoticed."""
    heard = hear(case.body, server, client, target)
    found: list[str] = []
    if heard.refused is not None:
        return found
    for path in objects(case.body):
        stranger = (*path, NEW)
        place = written(stranger)
        if not any(is_within(place, root) or is_within(root, written(path)) for root in case.about):
            continue
        try:
            there = hear(changed(case.body, stranger, "new"), server, client, target)
        except BadRequest:
            continue
        if there.sent == heard.sent and not there.answers_for(place):
            found.append(place)
    return found


def is_within(path: str, root: str) -> bool:
    """Whether a path is another one, or leads further into it."""
    return path == root or path.startswith((f"{root}.", f"{root}["))


def hear(body: Json, server: ServerHalf, client: ClientHalf, target: Target) -> Heard:
    """Translate a request.

    Raises:
        BadRequest: it is none.
    """
    try:
        outgoing = client.encode_request(server.decode_request(msgspec.json.encode(body)), target)
    except UnsupportedFeature as error:
        return Heard(None, (), error.param)
    sent = (outgoing.path, msgspec.json.decode(outgoing.body), dict(outgoing.headers), outgoing.stop_here)
    return Heard(sent, outgoing.dropped)


def written(path: Path) -> str:
    """The path as errors and the list write it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def pattern(path: Path) -> str:
    """The path without its indexes."""
    return re.sub(r"\[\d+\]", "[]", written(path))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf below a value."""
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    else:
        yield path, value


def holds(body: Any, path: str) -> bool:
    """Whether something stands at a path of a request."""
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(body, dict) and step in body:
            body = body[step]
        elif isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        else:
            return False
    return True


def changed(body: Json, path: Path, value: Any) -> Json:
    """A copy of the request with another value at a path, or without one."""
    other = copy.deepcopy(body)
    holder: Any = other
    for step in path[:-1]:
        holder = holder[step]
    if value is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return other


def other_values(value: Any) -> tuple[Any, ...]:
    """Values that are not this one."""
    match value:
        case bool():
            return (not value, GONE)
        case int():
            return (value + 1, GONE)
        case float():
            return (value / 2, GONE)
        case str():
            return (f"{value}x", GONE)
        case _:
            return (GONE,)


def unsaid(
    case: Case,
    others: Mapping[str, tuple[Any, ...]],
    says_nothing: Mapping[str, str],
    server: ServerHalf,
    client: ClientHalf,
    target: Target,
) -> list[str]:
    """Return what went lost in silence: a sentence for each leaf of what the case is about.

    Args:
        case: The request.
        others: Other legal values, by the path without indexes, where not any other value is one.
        says_nothing: Paths without indexes, perhaps with `=value`, of leaves that make no difference.
        server: Reads the request.
        client: Writes it.
        target: To whom.
    """
    found: list[str] = []
    heard = hear(case.body, server, client, target)
    looked_at = 0
    for path, value in leaves(case.body):
        place = written(path)
        if not any(is_within(place, root) for root in case.about):
            continue
        looked_at += 1
        plain = pattern(path)
        if heard.answers_for(place) or plain in says_nothing or f"{plain}={value}" in says_nothing:
            continue
        if heard.refused is not None:
            found.append(f"{place}: the request is refused, but because of {heard.refused}")
            continue
        for other in others.get(plain, other_values(value)):
            if other == value:
                continue
            try:
                there = hear(changed(case.body, path, other), server, client, target)
            except BadRequest:
                continue
            if there.sent == heard.sent and not there.answers_for(place):
                shown = "nothing" if other is GONE else repr(other)
                found.append(f"{place}: {value!r} or {shown}, it is all the same to {client.kind}")
    return found if looked_at else [f"{case.name}: there is nothing at {case.about}"]


def places_of(case: Case) -> set[str]:
    """Return what a case looks at, without indexes."""
    found = (path for path, _ in leaves(case.body))
    return {pattern(path) for path in found if any(is_within(written(path), root) for root in case.about)}


def strange_paths(heard: Heard, body: Json) -> list[str]:
    """Return the paths in a list of losses, or a refusal, that are not in the request."""
    return [path for path in (*heard.dropped, *filter(None, (heard.refused,))) if not holds(body, path)]
