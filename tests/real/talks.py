"""The conversations of `make real`: the same words through the product and to the model server directly.

Every function returns an `Answer` in one shape, whatever the dialect, so that figures can be compared. The model is a
base model: its words are nonsense and are not judged; shapes, token counts and schemas are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anthropic
import openai

REQUEST_TIMEOUT_S = 120.0
API_ERRORS = (openai.APIError, anthropic.APIError)
Turns = list[tuple[str, str]]
"""A conversation so far: (role, text) pairs, `user` and `assistant`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the text, all input tokens (cached ones among them), output tokens, and why it ended."""

    text: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    ended: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where to send: an origin without path, the key for it, and the model's name there."""

    origin: str
    key: str
    model: str

    def openai(self) -> openai.OpenAI:
        """Return an OpenAI client for this place; retries would hide a failure."""
        return openai.OpenAI(
            base_url=f"{self.origin}/v1", api_key=self.key, max_retries=0, timeout=REQUEST_TIMEOUT_S
        )

    def anthropic(self) -> anthropic.Anthropic:
        """Return an Anthropic client for this place; it adds `/v1` by itself."""
        return anthropic.Anthropic(
            base_url=self.origin, api_key=self.key, max_retries=0, timeout=REQUEST_TIMEOUT_S
        )


Talk = Callable[[Place, Turns, int], Answer]
"""Sends a conversation to a place, asks for at most so many tokens, and returns the answer."""


def chat_plain(place: Place, turns: Turns, limit: int) -> Answer:
    """Chat Completions, not streamed."""
    answer = place.openai().chat.completions.create(
        model=place.model, messages=chat_messages(turns), max_tokens=limit, temperature=0
    )
    assert answer.usage is not None, "a chat completion without usage"
    (choice,) = answer.choices
    return Answer(
        text=choice.message.content or "", ended=str(choice.finish_reason), **chat_usage(answer.usage)
    )


def chat_streamed(place: Place, turns: Turns, limit: int) -> Answer:
    """Chat Completions, streamed, with the usage chunk asked for."""
    text, ended, usage = "", "", None
    stream = place.openai().chat.completions.create(
        model=place.model,
        messages=chat_messages(turns),
        max_tokens=limit,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            ended = choice.finish_reason or ended
    assert usage is not None, "a chat stream without the usage chunk that was asked for"
    return Answer(text=text, ended=ended, **chat_usage(usage))


def messages_plain(place: Place, turns: Turns, limit: int) -> Answer:
    """Anthropic Messages, not streamed. The SDK has no `temperature` argument any more."""
    answer = place.anthropic().messages.create(
        model=place.model,
        messages=anthropic_messages(turns),
        max_tokens=limit,
        extra_body={"temperature": 0},
    )
    return messages_answer(answer)


def messages_streamed(place: Place, turns: Turns, limit: int) -> Answer:
    """Anthropic Messages, streamed; the SDK folds the events, as an agent would."""
    with place.anthropic().messages.stream(
        model=place.model,
        messages=anthropic_messages(turns),
        max_tokens=limit,
        extra_body={"temperature": 0},
    ) as stream:
        return messages_answer(stream.get_final_message())


def responses_plain(place: Place, turns: Turns, limit: int) -> Answer:
    """OpenAI Responses: only for asking the model server directly."""
    answer = place.openai().responses.create(
        model=place.model,
        input=responses_items(turns),
        max_output_tokens=limit,
        temperature=0,
    )
    assert answer.usage is not None, "a response without usage"
    return Answer(
        text=answer.output_text,
        input_tokens=answer.usage.input_tokens,
        cached_tokens=answer.usage.input_tokens_details.cached_tokens or 0,
        output_tokens=answer.usage.output_tokens,
        ended=str(answer.status),
    )


def chat_json(place: Place, turns: Turns, schema: Mapping[str, object]) -> str:
    """Return the text of a Chat Completions answer bound to a JSON schema."""
    answer = place.openai().chat.completions.create(
        model=place.model,
        messages=chat_messages(turns),
        max_tokens=96,
        temperature=0,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "strict": True, "schema": dict(schema)},
        },
    )
    return answer.choices[0].message.content or ""


def messages_json(place: Place, turns: Turns, schema: Mapping[str, object]) -> str:
    """Return the text of a Messages answer bound to a JSON schema."""
    answer = place.anthropic().messages.create(
        model=place.model,
        messages=anthropic_messages(turns),
        max_tokens=96,
        extra_body={
            "temperature": 0,
            "output_config": {"format": {"type": "json_schema", "schema": dict(schema)}},
        },
    )
    return messages_answer(answer).text


def count_tokens(place: Place, turns: Turns) -> int:
    """Return what `/v1/messages/count_tokens` says."""
    counted = place.anthropic().messages.count_tokens(model=place.model, messages=anthropic_messages(turns))
    return counted.input_tokens


def refused_status(talk: Talk, place: Place, turns: Turns) -> int:
    """Return the HTTP status of a request that must fail, 200 when it does not."""
    try:
        talk(place, turns, 4)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return error.status_code
    return 200


def chat_messages(turns: Turns) -> list[openai.types.chat.ChatCompletionMessageParam]:
    """Write the turns as Chat Completions messages."""
    messages: list[openai.types.chat.ChatCompletionMessageParam] = []
    for role, text in turns:
        if role == "user":
            messages.append({"role": "user", "content": text})
        else:
            messages.append({"role": "assistant", "content": text})
    return messages


def anthropic_messages(turns: Turns) -> list[anthropic.types.MessageParam]:
    """Write the turns as Anthropic messages."""
    messages: list[anthropic.types.MessageParam] = []
    for role, text in turns:
        if role == "user":
            messages.append({"role": "user", "content": text})
        else:
            messages.append({"role": "assistant", "content": text})
    return messages


def responses_items(turns: Turns) -> list[openai.types.responses.ResponseInputItemParam]:
    """Write the turns as Responses items; llama.cpp takes an assistant's turn only in its full form."""
    items: list[openai.types.responses.ResponseInputItemParam] = []
    for number, (role, text) in enumerate(turns):
        if role == "user":
            items.append(
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            )
        else:
            items.append(
                {
                    "type": "message",
                    "id": f"msg_{number}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": text, "annotations": []}],
                }
            )
    return items


def chat_usage(usage: openai.types.CompletionUsage) -> dict[str, int]:
    """Return the token figures: this dialect counts cached tokens inside the prompt."""
    details = usage.prompt_tokens_details
    return {
        "input_tokens": usage.prompt_tokens,
        "cached_tokens": (details.cached_tokens or 0) if details else 0,
        "output_tokens": usage.completion_tokens,
    }


def messages_answer(answer: anthropic.types.Message) -> Answer:
    """Return the answer in our shape: this dialect counts cached tokens beside the input."""
    usage = answer.usage
    cached = usage.cache_read_input_tokens or 0
    return Answer(
        text="".join(block.text for block in answer.content if block.type == "text"),
        input_tokens=usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
        cached_tokens=cached,
        output_tokens=usage.output_tokens,
        ended=str(answer.stop_reason),
    )
