"""anthropic-python and thinking: shown, sealed, replayed over a tool loop and over turns, moved between models."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from integration.clients.anthropic_answers import WAYS, Way, as_turn, ask, text_of
from integration.materials import MESSAGES_TOOLS, heard
from support.strict_provider import StrictProvider

pytestmark = pytest.mark.clients

every_way = pytest.mark.parametrize("way", WAYS)

ENABLED: dict[str, Any] = {"type": "enabled", "budget_tokens": 2000}
ADAPTIVE: dict[str, Any] = {"type": "adaptive", "display": "summarized"}
THINKERS = pytest.mark.parametrize(
    "model",
    [
        "stub-messages/thinker",
        "stub-messages/adaptive",
        "stub-responses/thinker",
        "stub-chat/deepseek",
        "stub-chat/openrouter",
    ],
)


def thinking_for(model: str) -> dict[str, Any]:
    return ADAPTIVE if model.endswith("adaptive") else ENABLED


def think(client: anthropic.Anthropic, model: str, prompt: Any, way: Way, **fields: Any) -> Any:
    return ask(client, model, prompt, way, max_tokens=8000, thinking=thinking_for(model), **fields)


@every_way
@THINKERS
def test_a_thought_comes_first_and_can_be_given_back(
    claude: anthropic.Anthropic, model: str, way: Way
) -> None:
    message = think(claude, model, "Two plus two?", way)
    thought, said = message.content
    assert (thought.type, said.type) == ("thinking", "text")
    assert thought.thinking.startswith("Let me think")
    assert thought.signature
    assert said.text == "You said: Two plus two?"


@every_way
@THINKERS
def test_thoughts_are_replayed_over_a_tool_loop_and_over_turns(
    claude: anthropic.Anthropic, provider: StrictProvider, model: str, way: Way
) -> None:
    """The provider refuses a thought whose text or seal has changed by a byte."""
    messages: list[Any] = [{"role": "user", "content": "script:thinking-then-tools"}]
    first = think(claude, model, messages, way, tools=MESSAGES_TOOLS)
    assert [block.type for block in first.content] == ["thinking", "tool_use", "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in first.content
        if block.type == "tool_use"
    ]
    messages += [as_turn(first), {"role": "user", "content": results}]
    second = think(claude, model, messages, way, tools=MESSAGES_TOOLS)
    assert text_of(second) == "Done."
    messages += [as_turn(second), {"role": "user", "content": "script:hello again."}]
    third = think(claude, model, messages, way, tools=MESSAGES_TOOLS)
    assert text_of(third).startswith("Hello!")
    sent = provider.diary.last().raw.decode()
    marks = ('"signature":"', '"encrypted_content":"', '"reasoning_content":"', '"reasoning_details":[')
    assert any(mark in sent.replace('": ', '":') for mark in marks)


@every_way
def test_redacted_thinking_is_replayed(claude: anthropic.Anthropic, way: Way) -> None:
    messages: list[Any] = [{"role": "user", "content": "script:redacted-thinking"}]
    first = think(claude, "stub-messages/thinker", messages, way)
    assert [block.type for block in first.content] == ["redacted_thinking", "thinking", "text"]
    messages += [as_turn(first), {"role": "user", "content": "script:hello again."}]
    assert text_of(think(claude, "stub-messages/thinker", messages, way)).startswith("Hello!")


@every_way
def test_a_conversation_can_move_between_models_with_its_thoughts(
    claude: anthropic.Anthropic, provider: StrictProvider, way: Way
) -> None:
    """No model is shown another's seals; coming home, the first one takes its own again."""
    models = [
        "stub-messages/thinker",
        "stub-responses/thinker",
        "stub-chat/openrouter",
        "stub-chat/deepseek",
        "stub-messages/thinker",
        "stub-responses/thinker",
    ]
    messages: list[Any] = []
    for model in models:
        messages.append({"role": "user", "content": "script:thinking-then-text"})
        message = think(claude, model, messages, way)
        assert text_of(message) == "Four."
        messages.append(as_turn(message))
        assert "pmp1." not in provider.diary.last().raw.decode()
    assert len(provider.diary.arrivals()) == len(models)


@every_way
def test_thoughts_of_another_claude_are_left_out_once_they_are_refused(
    claude: anthropic.Anthropic, provider: StrictProvider, way: Way
) -> None:
    """Their seals look like its own: only the provider can tell, and it is asked a second time."""
    prompt = {"role": "user", "content": "script:thinking-then-text"}
    first = think(claude, "stub-messages/thinker", [prompt], way)
    second = think(claude, "stub-messages/adaptive", [prompt, as_turn(first), prompt], way)
    assert text_of(second) == "Four."
    assert [arrival.status for arrival in provider.diary.arrivals()] == [200, 400, 200]
    provider.diary.clear()


@every_way
def test_thinking_that_is_not_to_be_shown_comes_sealed_and_empty(
    claude: anthropic.Anthropic, way: Way
) -> None:
    thinking = {"type": "adaptive", "display": "omitted"}
    message: Any = ask(claude, "stub-messages/adaptive", "Hm?", way, max_tokens=8000, thinking=thinking)
    assert (message.content[0].type, message.content[0].thinking) == ("thinking", "")
    assert message.content[0].signature


@pytest.mark.parametrize("kind", ["chat", "responses", "messages"])
def test_who_does_not_ask_for_thinking_gets_none(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: str
) -> None:
    message = ask(claude, f"stub-{kind}/thinker", "Two plus two?")
    assert [block.type for block in message.content] == ["text"]
    assert not heard(provider).thinking


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("stub-messages/thinker", 2001),
        *(
            (f"stub-{kind}/thinker", limit)
            for kind in ("chat", "responses")
            for limit in (1500, 2001, 20_000)
        ),
    ],
)
def test_a_budget_leaves_room_for_the_answer(claude: anthropic.Anthropic, model: str, limit: int) -> None:
    """A pass-through leaves an impossible budget to Anthropic; translated, any is made possible."""
    message = ask(claude, model, "Hm?", max_tokens=limit, thinking=ENABLED)
    assert text_of(message) == "You said: Hm?"


@pytest.mark.parametrize("model", ["stub-responses/thinker", "stub-chat/thinker", "stub-messages/adaptive"])
def test_an_effort_arrives(claude: anthropic.Anthropic, provider: StrictProvider, model: str) -> None:
    config = {"effort": "high"}
    ask(claude, model, "Hm?", max_tokens=8000, thinking=ADAPTIVE, output_config=config)
    assert heard(provider).thinking
    assert '"high"' in provider.diary.last().raw.decode()


@pytest.mark.parametrize("model", ["stub-messages/thinker", "stub-responses/thinker", "stub-chat/deepseek"])
def test_thinking_together_with_a_temperature_is_mended(
    claude: anthropic.Anthropic, provider: StrictProvider, model: str
) -> None:
    """Qwen Code sends both; Anthropic refuses any temperature but 1 beside thinking."""
    message = ask(claude, model, "Hm?", max_tokens=8000, thinking=ENABLED, extra_body={"temperature": 0.3})
    assert text_of(message) == "You said: Hm?"
    assert heard(provider).thinking
