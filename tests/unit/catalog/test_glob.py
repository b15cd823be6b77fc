"""Wildcards, as minimatch reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_model_proxy.catalog.glob import MAX_BRACES, expand_braces, matches_glob

YES, NO = True, False


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        pytest.param("*", "gpt-5", YES, id="a star matches a whole part"),
        pytest.param("*", "zai/glm", NO, id="a star stops at a slash"),
        pytest.param("**", "zai/glm/x", YES, id="two stars do not"),
        pytest.param("zai/**", "zai/a/b", YES, id="two stars at the end"),
        pytest.param("**/b", "b", YES, id="two stars may stand for nothing"),
        pytest.param("a/**/d", "a/b/c/d", YES, id="two stars in the middle"),
        pytest.param("a/**/d", "a/b/c", NO, id="what follows two stars must be there"),
        pytest.param("**", "a/.b", NO, id="two stars pass by hidden parts"),
        pytest.param("*", ".hidden", NO, id="a star does not begin with a dot"),
        pytest.param("a/b", "a", NO, id="a part too many in the pattern"),
        pytest.param("gpt-?", "gpt-5", YES, id="a question mark is one character"),
        pytest.param("gpt-?", "gpt-", NO, id="and not none"),
        pytest.param("GPT-*", "gpt-5", YES, id="case does not matter"),
        pytest.param("gpt-[456]", "gpt-5", YES, id="one of several"),
        pytest.param("gpt-[!456]", "gpt-5", NO, id="none of several"),
        pytest.param("gpt-[^456]", "gpt-7", YES, id="none of several, the other way"),
        pytest.param("gpt-[4-6]", "gpt-5", YES, id="a range"),
        pytest.param("gpt-[6-4]", "gpt-5", NO, id="a range upside down holds nothing"),
        pytest.param("gpt-[!6-4]", "gpt-5", YES, id="so anything is outside of it"),
        pytest.param("gpt-[[:digit:]]", "gpt-5", YES, id="a named class"),
        pytest.param("[]a]", "]", YES, id="a bracket first in brackets"),
        pytest.param("[a-]", "-", YES, id="a dash last in brackets"),
        pytest.param("m[1", "m[1", YES, id="a bracket that never closes"),
        pytest.param(r"\*", "*", YES, id="a backslash protects"),
        pytest.param(r"[\]]", "]", YES, id="in brackets too"),
        pytest.param("{openai,azure}/*", "azure/gpt-5", YES, id="alternatives"),
        pytest.param("a{b,{c,d}}", "ad", YES, id="alternatives within alternatives"),
        pytest.param("gpt-{4..6}", "gpt-5", YES, id="numbers"),
        pytest.param("gpt-{6..4}", "gpt-5", YES, id="numbers downwards"),
        pytest.param("a{b}*", "a{b}c", YES, id="braces without a choice are braces"),
        pytest.param("a{b,c", "a{b,c", YES, id="braces that never close are braces"),
        pytest.param("!openai/*", "azure/gpt-5", YES, id="anything but"),
        pytest.param("!!a", "a", YES, id="not nothing but"),
        pytest.param("!", "a", YES, id="anything but nothing"),
        pytest.param("#*", "#a", NO, id="a comment"),
        pytest.param("a" * 2000, "a" * 2000, NO, id="longer than any pattern"),
    ],
)
def test_wildcards(pattern: str, name: str, matches: bool) -> None:
    assert matches_glob(name, pattern) is matches


def test_braces_cannot_grow_without_bound() -> None:
    assert len(expand_braces("{a,b,c,d}" * 30)) == MAX_BRACES


@given(st.text("ab/.*?[]{},!-\\1:", max_size=12), st.text("ab/.1-", max_size=8))
def test_no_pattern_is_an_error(pattern: str, name: str) -> None:
    assert matches_glob(name, pattern) in {True, False}


@given(st.text("abc019-_:", min_size=1, max_size=12))
def test_a_name_without_wildcards_matches_itself(name: str) -> None:
    assert matches_glob(name, name)
