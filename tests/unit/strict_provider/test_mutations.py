"""However a request is mangled, the provider judges it; whatever it takes, it can answer."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.strict_provider import StrictProvider
from unit.strict_provider.asking import DIALECTS, ask
from unit.strict_provider.test_rules_chat import TAKEN as CHAT
from unit.strict_provider.test_rules_messages import TAKEN as MESSAGES
from unit.strict_provider.test_rules_responses import TAKEN as RESPONSES

GOOD: Final = {
    "chat": [body for _, body, _ in CHAT],
    "messages": [body for _, body, _ in MESSAGES],
    "responses": [body for _, body, _ in RESPONSES],
}
JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    " ",
    "x",
    "\u2028",
    [],
    {},
    [[]],
    [None],
    {"type": "text"},
    {"type": []},
    [{"type": {}}],
)
ROUNDS: Final = 12
"""Mutations of each good request."""


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value, as its container and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def mangled(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    found = copy.deepcopy(body)
    for _ in range(chance.choice((1, 1, 2))):
        holder, key = chance.choice(list(places(found)))
        what = chance.random()
        if what < 0.25:
            del holder[key]
        elif what < 0.35 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif what < 0.45 and isinstance(holder, dict):
            holder["surprise"] = chance.choice(JUNK)
        else:
            holder[key] = copy.deepcopy(chance.choice(JUNK))
        if not found:
            return found
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_mangled_request_is_answered_or_refused_but_never_breaks_the_provider(dialect: str) -> None:
    chance = random.Random(dialect)
    statuses: set[int] = set()

    with StrictProvider.running() as provider:
        for body in GOOD[dialect]:
            for _ in range(ROUNDS):
                statuses.add(ask(provider, dialect, mangled({**body, "model": "vision"}, chance)).status)

    assert {200, 400, 404} <= statuses <= {200, 400, 401, 404}
