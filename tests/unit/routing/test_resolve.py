from __future__ import annotations

import msgspec
import pytest

from pi_model_proxy.errors import BadRequest, UnknownModel
from pi_model_proxy.routing import Directory


class Item(msgspec.Struct, frozen=True):
    ref: str
    usable: bool = True
    yields: bool = False

    @property
    def bare(self) -> str:
        return self.ref.partition("/")[2]


ITEMS = [
    Item("anthropic/claude-sonnet-5"),
    Item("openai/gpt-6"),
    Item("openrouter/openai/gpt-6"),
    Item("openrouter/qwen/qwen3:free"),
    Item("copilot/gpt-6", usable=False),
    Item("a/only", usable=False),
    Item("llama/gpt-oss:high"),
    Item("x/twice"),
    Item("y/twice"),
]
ALIASES = {"fast": "openai/gpt-6", "deep": "anthropic/claude-sonnet-5:high", "gone": "no/where"}


@pytest.mark.parametrize(
    ("asked", "ref", "level"),
    [
        ("openai/gpt-6", "openai/gpt-6", None),
        ("openrouter/qwen/qwen3:free", "openrouter/qwen/qwen3:free", None),
        ("qwen/qwen3:free", "openrouter/qwen/qwen3:free", None),
        ("claude-sonnet-5", "anthropic/claude-sonnet-5", None),
        ("gpt-6", "openai/gpt-6", None),
        ("anthropic/claude-sonnet-5:high", "anthropic/claude-sonnet-5", "high"),
        ("claude-sonnet-5:off", "anthropic/claude-sonnet-5", "off"),
        ("llama/gpt-oss:high", "llama/gpt-oss:high", None),
        ("llama/gpt-oss:high:low", "llama/gpt-oss:high", "low"),
        ("fast", "openai/gpt-6", None),
        ("deep", "anthropic/claude-sonnet-5", "high"),
        ("a/only", "a/only", None),
        (None, "openai/gpt-6", None),
        ("", "openai/gpt-6", None),
    ],
)
def test_a_name_means_one_model(asked: str | None, ref: str, level: str | None) -> None:
    choice = Directory(ITEMS).resolve(asked, aliases=ALIASES, default="fast")
    assert (choice.entry.ref, choice.level) == (ref, level)


def test_a_bare_id_of_several_usable_models_must_be_named_in_full() -> None:
    with pytest.raises(BadRequest, match="x/twice, y/twice"):
        Directory(ITEMS).resolve("twice", aliases={}, default=None)


def test_no_name_and_no_default_says_what_to_do() -> None:
    with pytest.raises(BadRequest, match="defaultModel"):
        Directory(ITEMS).resolve(None, aliases={}, default=None)


@pytest.mark.parametrize("asked", ["openai/gpt-7", "claude-sonet-5", "OpenAI/GPT-6"])
def test_an_unknown_name_suggests_near_ones(asked: str) -> None:
    with pytest.raises(UnknownModel, match="Did you mean"):
        Directory(ITEMS).resolve(asked, aliases={}, default=None)


@pytest.mark.parametrize("asked", ["toString", "__proto__", "x" * 5000, "gone", "\ud800"])
def test_strange_names_are_unknown_and_nothing_worse(asked: str) -> None:
    with pytest.raises(UnknownModel):
        Directory(ITEMS).resolve(asked, aliases=ALIASES, default=None)


def test_near_names_look_at_the_id_too() -> None:
    with pytest.raises(UnknownModel, match="openai/gpt-6"):
        Directory(ITEMS).resolve("gpt6", aliases={}, default=None)


def test_a_bare_id_never_means_a_model_that_was_only_found() -> None:
    directory = Directory(
        [Item("pi/same"), Item("found/same", yields=True), Item("found/other", yields=True)]
    )
    assert directory.resolve("same", aliases={}, default=None).entry.ref == "pi/same"
    assert directory.resolve("other", aliases={}, default=None).entry.ref == "found/other"
    gone = Directory([Item("pi/same", usable=False), Item("found/same", yields=True)])
    assert gone.resolve("same", aliases={}, default=None).entry.ref == "found/same"
