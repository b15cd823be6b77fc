"""openai-python: Responses with everything that is kept, and chat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openai import NotFoundError, OpenAI
from pydantic import BaseModel
from scenes import CITY, HELLO, KEY, V1, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]

client = OpenAI(base_url=V1, api_key=KEY, max_retries=0)


class Place(BaseModel):
    city: str
    days: int


def responses(model: str) -> Mapping[str, Scene]:
    tool: Any = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}

    def text() -> None:
        same(client.responses.create(model=model, input=HELLO).output_text, f"You said: {HELLO}")

    def stream() -> None:
        with client.responses.stream(model=model, input=HELLO) as events:
            pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
            same(events.get_final_response().output_text, f"You said: {HELLO}")
        same("".join(pieces), f"You said: {HELLO}")

    def tools() -> None:
        said: list[Any] = [{"role": "user", "content": "script:parallel-tools"}]
        first = client.responses.create(model=model, input=said, tools=[tool], store=False)
        calls = [item for item in first.output if item.type == "function_call"]
        same(len(calls), 2)
        said += [item.model_dump(exclude_none=True) for item in first.output]
        said += [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": weather(Place.model_validate_json(call.arguments[:-1] + ',"days":1}').city),
            }
            for call in calls
        ]
        last = client.responses.create(model=model, input=said, tools=[tool], store=False)
        same(last.output_text, "The tools said: sunny in Paris; sunny in München")

    def structured() -> None:
        parsed = client.responses.parse(model=model, input="Where?", text_format=Place).output_parsed
        same(parsed, Place(city="Paris", days=7))

    def kept() -> None:
        first = client.responses.create(model=model, input=HELLO)
        second = client.responses.create(model=model, input="script:mirror", previous_response_id=first.id)
        same(HELLO in second.output_text, True)
        same(client.responses.retrieve(second.id).output_text, second.output_text)
        same(len(list(client.responses.input_items.list(second.id))) >= 1, True)
        client.responses.delete(first.id)
        try:
            client.responses.retrieve(first.id)
        except NotFoundError:
            return
        raise AssertionError("a deleted answer is still there")

    def conversation() -> None:
        made = client.conversations.create()
        client.responses.create(model=model, input=HELLO, conversation=made.id)
        again = client.responses.create(model=model, input="script:mirror", conversation=made.id)
        same(HELLO in again.output_text, True)
        same(len(list(client.conversations.items.list(made.id))), 4)
        client.conversations.delete(made.id)

    return {
        "text": text, "stream": stream, "tools": tools, "structured": structured, "kept": kept,
        "conversation": conversation,
    }  # fmt: skip


def chat(model: str) -> Mapping[str, Scene]:
    asked: Any = [{"role": "user", "content": HELLO}]

    def text() -> None:
        whole = client.chat.completions.create(model=model, messages=asked)
        same(whole.choices[0].message.content, f"You said: {HELLO}")

    def stream() -> None:
        with client.chat.completions.stream(model=model, messages=asked) as events:
            for _ in events:
                pass
            same(events.get_final_completion().choices[0].message.content, f"You said: {HELLO}")

    def structured() -> None:
        parsed = client.chat.completions.parse(model=model, messages=asked, response_format=Place)
        same(parsed.choices[0].message.parsed, Place(city="Paris", days=7))

    def tools() -> None:
        said: Any = [{"role": "user", "content": "script:parallel-tools"}]
        offered: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
        first = client.chat.completions.create(model=model, messages=said, tools=offered).choices[0].message
        said.append(first.model_dump(exclude_none=True))
        said += [
            {"role": "tool", "tool_call_id": call.id, "content": weather("Paris")}
            for call in first.tool_calls or []
        ]
        last = client.chat.completions.create(model=model, messages=said, tools=offered)
        same(last.choices[0].message.content, "The tools said: sunny in Paris; sunny in Paris")

    return {"text": text, "stream": stream, "tools": tools, "structured": structured}


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    yield "responses", responses(model)
    yield "chat", chat(model)


play(faces)
