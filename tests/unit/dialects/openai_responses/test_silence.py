"""Nothing in silence, for Responses callers: see `support.silence` for the rule."""

from __future__ import annotations

import msgspec
import pytest

from pi_model_proxy.dialects.openai_responses import RELAY, SERVER
from support.documented_responses import (
    RESPONSES_CASES,
    RESPONSES_DOCUMENTED,
    RESPONSES_SAYS_NOTHING,
    RESPONSES_VALUES,
)
from support.silence import Case, hear, strange_paths, unsaid
from unit.dialects.test_nothing_in_silence import TARGETS

REQUESTS = [pytest.param(case, id=case.name) for case in RESPONSES_CASES]
FOREIGN = {where: target for where, target in TARGETS.items() if target[0].dialect != SERVER.dialect}


@pytest.mark.parametrize("case", REQUESTS)
def test_every_part_of_a_request_is_said_listed_or_refused(case: Case) -> None:
    found = [
        f"{where}: {line}"
        for where, (client, target) in FOREIGN.items()
        for line in unsaid(case, RESPONSES_VALUES, RESPONSES_SAYS_NOTHING, SERVER, client, target)
    ]
    assert found == []


@pytest.mark.parametrize("case", REQUESTS)
def test_losses_are_named_as_the_caller_spelt_them(case: Case) -> None:
    found = [
        f"{where}: {path}"
        for where, (client, target) in FOREIGN.items()
        for path in strange_paths(hear(case.body, SERVER, client, target), case.body)
    ]
    assert found == []


@pytest.mark.parametrize("case", REQUESTS)
def test_strictness_refuses_exactly_what_would_be_listed(case: Case) -> None:
    for where, (client, target) in FOREIGN.items():
        lenient = hear(case.body, SERVER, client, target)
        strict = hear(case.body, SERVER, client, msgspec.structs.replace(target, strict=True))
        assert (strict.refused is not None) == bool(lenient.dropped or lenient.refused), where
        assert strange_paths(strict, case.body) == [], where


def test_the_table_knows_every_documented_field() -> None:
    looked_at = {root.partition(".")[0].partition("[")[0] for case in RESPONSES_CASES for root in case.about}
    assert looked_at >= RESPONSES_DOCUMENTED


@pytest.mark.parametrize("where", ["responses plain", "responses compatible"])
def test_what_only_openai_knows_is_said_to_others_in_their_words(where: str) -> None:
    """A request that cannot be passed on goes through the hub, from this format to this."""
    client, target = TARGETS[where]
    cases = [case for case in RESPONSES_CASES if not RELAY.suits(msgspec.json.encode(case.body), target)]
    assert len(cases) > 10
    found = [
        f"{case.name}: {line}"
        for case in cases
        for line in unsaid(case, RESPONSES_VALUES, RESPONSES_SAYS_NOTHING, SERVER, client, target)
    ]
    assert found == []
