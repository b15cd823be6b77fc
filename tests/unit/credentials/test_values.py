"""pi's value syntax, as pi-coding-agent 1.5.2 reads it (compared with its own code while this was written)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_model_proxy.credentials import fill_template, is_command, missing_variables, variables_in
from pi_model_proxy.credentials.values import parse_template

ENVIRONMENT = {"KEY": "k-1", "_x9": "under", "EMPTY": "", "BOTH": "process", "SPACE": " "}
OWN = {"BOTH": "own", "MINE": "m-1", "NOTHING": ""}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("sk-plain", "sk-plain", id="a literal stays as it is"),
        pytest.param("OPENAI_API_KEY", "OPENAI_API_KEY", id="a bare upper-case word is a literal"),
        pytest.param("", "", id="an empty value is empty"),
        pytest.param("$KEY", "k-1", id="a name"),
        pytest.param("${KEY}", "k-1", id="a name in braces"),
        pytest.param("a-${KEY}b$KEY-c", "a-k-1bk-1-c", id="names inside text"),
        pytest.param("$_x9!", "under!", id="a name ends at the first other character"),
        pytest.param("$$KEY", "$KEY", id="two dollars are one"),
        pytest.param("$!echo", "!echo", id="an escaped exclamation mark is no command"),
        pytest.param("$1 $- $", "$1 $- $", id="a dollar before anything else is literal"),
        pytest.param("${bad-name}", "${bad-name}", id="what is no name stays as written"),
        pytest.param("${}", "${}", id="empty braces stay as written"),
        pytest.param("${KEY", "${KEY", id="an open brace gives a literal dollar"),
        pytest.param("$ÄRGER", "$ÄRGER", id="names are ASCII"),
        pytest.param("$BOTH", "own", id="the credential's env wins"),
        pytest.param("$MINE", "m-1", id="the credential's env alone is enough"),
        pytest.param("$SPACE", " ", id="white space is a value inside a template"),
        pytest.param("$EMPTY", None, id="an empty variable is missing"),
        pytest.param("$NOTHING", None, id="an empty variable of the credential is missing"),
        pytest.param("x$KEY$GONE", None, id="one missing name leaves all unresolved"),
    ],
)
def test_a_template_is_filled_as_pi_fills_it(written: str, value: str | None) -> None:
    assert fill_template(written, own=OWN, environment=ENVIRONMENT) == value


def test_only_a_leading_exclamation_mark_makes_a_command() -> None:
    assert is_command("!pass show key")
    assert not is_command(" !pass")
    assert not is_command("$!pass")
    assert variables_in("!echo $KEY") == ()


def test_names_are_listed_once_and_in_order() -> None:
    assert variables_in("$B${A}$B$$C") == ("B", "A")
    assert missing_variables("$GONE$KEY${GONE}$EMPTY", own=OWN, environment=ENVIRONMENT) == ("GONE", "EMPTY")


@given(st.text(alphabet="$!{}aA_1- ", max_size=20))
def test_every_text_is_a_template_and_none_loses_a_character_but_escapes(text: str) -> None:
    parts = parse_template(text)
    length = sum(len(part) if isinstance(part, str) else len(part.name) + 1 for part in parts)
    assert length <= len(text)
    if "$" not in text:
        assert "".join(part for part in parts if isinstance(part, str)) == text
