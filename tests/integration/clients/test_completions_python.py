"""openai-python's legacy completions before every kind of upstream."""

from __future__ import annotations

import openai
import pytest

from integration.materials import KINDS, Kind, logged
from support.gateway_process import GatewayProcess
from support.strict_provider import FAULTS, UNICODE_TEXT, StrictProvider, http_error, say

pytestmark = pytest.mark.clients

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_a_prompt_is_answered_plain_and_streamed(chat: openai.OpenAI, kind: Kind) -> None:
    model = f"stub-{kind}/text"
    whole = chat.completions.create(model=model, prompt="script:unicode", max_tokens=500, temperature=0.5)
    stream = chat.completions.create(
        model=model,
        prompt="script:unicode",
        max_tokens=500,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    streamed = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert whole.choices[0].text == streamed == UNICODE_TEXT
    assert (whole.object, whole.model, whole.choices[0].finish_reason) == ("text_completion", model, "stop")
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0


@every_kind
def test_several_prompts_get_a_choice_each(
    chat: openai.OpenAI, gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    model, prompts = f"stub-{kind}/text", ["one.", "two.", "three."]
    wanted = [f"You said: {prompt}" for prompt in prompts]
    raw = chat.completions.with_raw_response.create(model=model, prompt=prompts, seed=7)
    whole = raw.parse()
    assert [(choice.index, choice.text) for choice in whole.choices] == list(enumerate(wanted))
    assert len(provider.diary.arrivals()) == 3
    assert whole.usage is not None
    line = logged(gateway, raw.headers["x-request-id"])
    assert (line["output_tokens"], line["status"]) == (whole.usage.completion_tokens, 200)
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    stream = chat.completions.create(
        model=model, prompt=prompts, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    texts = ["", "", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == wanted
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_one_prompt_of_several_that_fails_fails_them_all(
    chat: openai.OpenAI, provider: StrictProvider
) -> None:
    provider.queue(say("fine"), http_error(429, retry_after="7"))
    with pytest.raises(openai.RateLimitError):
        chat.completions.create(model="stub-chat/text", prompt=["a", "b", "c"])
    provider.queue(say("fine"), http_error(429, retry_after="7"))
    with pytest.raises(openai.APIError):
        list(chat.completions.create(model="stub-chat/text", prompt=["a", "b", "c"], stream=True))
    provider.queue(http_error(429, retry_after="7"))
    with pytest.raises(openai.RateLimitError):
        chat.completions.create(model="stub-chat/text", prompt=["a", "b"], stream=True)
    with pytest.raises(openai.BadRequestError) as caught:
        chat.completions.create(model="stub-chat/text", prompt=["a"] * 21)
    assert caught.value.param == "prompt[20]"


@every_kind
def test_an_error_is_the_clients_own(chat: openai.OpenAI, provider: StrictProvider, kind: Kind) -> None:
    with pytest.raises(openai.NotFoundError):
        chat.completions.create(model=f"stub-{kind}/nothing", prompt="hi")
    with pytest.raises(openai.BadRequestError) as caught:
        chat.completions.create(model=f"stub-{kind}/text", prompt=[1, 2, 3])
    assert caught.value.param == "prompt"
    provider.queue(http_error(429, retry_after="7"))
    with pytest.raises(openai.RateLimitError):
        chat.completions.create(model=f"stub-{kind}/text", prompt="hi")


@every_kind
def test_an_answer_that_breaks_off_is_an_error(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    provider.queue(FAULTS["reset-mid-body"])
    with pytest.raises(openai.APIError):
        list(chat.completions.create(model=f"stub-{kind}/text", prompt="hi", stream=True))
