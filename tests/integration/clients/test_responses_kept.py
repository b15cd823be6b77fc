"""openai-python's Responses client against models whose providers keep nothing: the gateway does."""

from __future__ import annotations

import json
import sqlite3
import stat
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from integration.materials import serving
from support.gateway_process import GatewayProcess
from support.strict_provider import Answer, Call, StrictProvider, Text, Thinking, say

pytestmark = pytest.mark.clients

STUBS = ("stub-chat", "stub-messages", "stub-responses")
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
EVERY_STUB = pytest.mark.parametrize("stub", STUBS)
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def create(client: OpenAI, *, streamed: bool, **asked: Any) -> Any:
    if not streamed:
        return client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        return stream.get_final_response()


def told(provider: StrictProvider) -> list[str]:
    """The texts of all messages that the upstream was sent last, in order."""
    return texts_of(provider.diary.last().body)


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        held = [text for name in ("content", "text", "output") if isinstance(text := value.get(name), str)]
        return held + [
            text for name in ("messages", "input", "content") for text in texts_of(value.get(name))
        ]
    return [text for each in value for text in texts_of(each)] if isinstance(value, list) else []


@EVERY_STUB
@STREAMED
def test_a_response_goes_on_from_another_as_if_all_had_been_sent(
    chat: OpenAI, provider: StrictProvider, stub: str, streamed: bool
) -> None:
    model = f"{stub}/text"
    provider.queue(say("blue"), say("green"), say("red"))
    first = create(chat, streamed=streamed, model=model, input="one?", instructions="be short")
    second = create(chat, streamed=streamed, model=model, input="two?", previous_response_id=first.id)
    third = create(chat, streamed=streamed, model=model, input="three?", previous_response_id=second.id)
    assert told(provider) == ["one?", "blue", "two?", "green", "three?"]
    assert [each.output_text for each in (first, second, third)] == ["blue", "green", "red"]
    assert (third.previous_response_id, third.store, third.status) == (second.id, True, "completed")
    assert len({first.id, second.id, third.id}) == 3
    again = chat.responses.retrieve(third.id).to_dict()
    assert again == third.to_dict() | {"output": again["output"]}
    assert [item.id for item in third.output] == [item["id"] for item in again["output"]]  # type: ignore[attr-defined]  # the SDK says object


@EVERY_STUB
def test_a_conversation_switches_models_and_keeps_its_calls(
    chat: OpenAI, provider: StrictProvider, stub: str
) -> None:
    provider.queue(Answer(parts=(Call("get_weather", '{"city":"Rome"}'),)), say("sunny it is"))
    first = chat.responses.create(model=f"{stub}/text", input="weather in Rome?", tools=[WEATHER])
    (call,) = [item for item in first.output if item.type == "function_call"]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = chat.responses.create(
        model="stub-chat/text", input=[result], tools=[WEATHER], previous_response_id=first.id
    )
    assert second.output_text == "sunny it is"
    listed = chat.responses.input_items.list(second.id, order="asc").data
    assert [item.type for item in listed] == ["message", "function_call", "function_call_output"]
    assert all(item.id for item in listed)


def test_thinking_comes_back_to_the_model_that_thought(chat: OpenAI, provider: StrictProvider) -> None:
    # The strict provider seals its thinking and refuses what comes back otherwise.
    for model in ("stub-messages/thinker", "stub-responses/thinker"):
        provider.queue(
            Answer(parts=(Thinking("hm, weather"), Call("get_weather", "{}"))), Answer(parts=(Text("done"),))
        )
        asked: dict[str, Any] = {"model": model, "tools": [WEATHER], "reasoning": {"effort": "low"}}
        first = chat.responses.create(input="weather?", **asked)
        (call,) = [item for item in first.output if item.type == "function_call"]
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        chat.responses.create(input=[result], previous_response_id=first.id, **asked)
        body = provider.diary.last().raw.decode()
        assert '"signature"' in body or '"encrypted_content"' in body


@EVERY_STUB
def test_what_is_not_to_be_kept_is_not(chat: OpenAI, gateway: GatewayProcess, stub: str) -> None:
    secret = f"the-words-of-{stub}"
    response = chat.responses.create(model=f"{stub}/text", input=secret, store=False)
    assert response.to_dict()["store"] is False
    with pytest.raises(NotFoundError):
        chat.responses.retrieve(response.id)
    database = gateway.home / ".pi" / "model-proxy.db"
    assert not any(secret.encode() in file.read_bytes() for file in database.parent.glob("model-proxy.db*"))


def test_a_response_that_is_not_to_be_kept_may_go_on_from_one_that_is(
    chat: OpenAI, provider: StrictProvider
) -> None:
    provider.queue(say("blue"), say("green"))
    first = chat.responses.create(model="stub-chat/text", input="one?")
    second = chat.responses.create(
        model="stub-chat/text", input="two?", previous_response_id=first.id, store=False
    )
    assert told(provider) == ["one?", "blue", "two?"]
    assert (second.previous_response_id, second.to_dict()["store"]) == (first.id, False)
    with pytest.raises(NotFoundError):
        chat.responses.retrieve(second.id)


@pytest.mark.parametrize("stub", ["stub-chat", "stub-messages"])
def test_an_unknown_past_is_refused_with_the_code_that_clients_know(chat: OpenAI, stub: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        chat.responses.create(model=f"{stub}/text", input="go on", previous_response_id="resp_nobody")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_deleted_response_is_gone_and_so_is_what_went_on_from_it(chat: OpenAI) -> None:
    first = chat.responses.create(model="stub-chat/text", input="one?")
    second = chat.responses.create(model="stub-chat/text", input="two?", previous_response_id=first.id)
    chat.responses.delete(first.id)
    with pytest.raises(NotFoundError) as caught:
        chat.responses.retrieve(first.id)
    assert caught.value.body == {
        "message": f"Response with id '{first.id}' not found.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    with pytest.raises(NotFoundError):
        chat.responses.delete(first.id)
    assert chat.responses.retrieve(second.id).id == second.id
    with pytest.raises(BadRequestError):
        chat.responses.create(model="stub-chat/text", input="three?", previous_response_id=second.id)


def test_an_item_may_be_named_instead_of_sent(chat: OpenAI, provider: StrictProvider) -> None:
    provider.queue(say("blue"), say("green"))
    first = chat.responses.create(model="stub-chat/text", input="one?")
    named: Any = [{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "and?"}]
    chat.responses.create(model="stub-chat/text", input=named)
    assert told(provider) == ["blue", "and?"]


def test_input_items_come_in_pages(chat: OpenAI, provider: StrictProvider) -> None:
    provider.queue(say("blue"), say("green"))
    said: Any = [{"role": "user", "content": f"line {number}"} for number in range(5)]
    first = chat.responses.create(model="stub-chat/text", input=said)
    second = chat.responses.create(model="stub-chat/text", input="last", previous_response_id=first.id)
    pages = list(chat.responses.input_items.list(second.id, limit=2))
    texts = [item.content[0].text for item in pages if item.type == "message"]  # type: ignore[union-attr]  # all are text
    assert texts == ["last", "blue", "line 4", "line 3", "line 2", "line 1", "line 0"]
    with pytest.raises(BadRequestError):
        chat.responses.input_items.list(second.id, after="msg_nobody")


def test_what_is_wrong_is_named_where_the_caller_wrote_it(chat: OpenAI) -> None:
    first = chat.responses.create(model="stub-chat/text", input="one?")
    wrong: Any = [{"role": "user", "content": "two?"}, {"role": "nobody", "content": "x"}]
    with pytest.raises(BadRequestError) as caught:
        chat.responses.create(model="stub-chat/text", input=wrong, previous_response_id=first.id)
    assert caught.value.param == "input[1].role"
    assert "input[1].role" in caught.value.message


def test_two_pasts_are_one_too_many(chat: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        chat.responses.create(
            model="stub-chat/text", input="x", previous_response_id="resp_1", conversation="conv_1"
        )
    assert caught.value.param == "previous_response_id"


def test_an_answer_that_broke_off_is_not_kept(
    chat: OpenAI, gateway: GatewayProcess, provider: StrictProvider
) -> None:
    asked = {"model": "stub-chat/text", "input": "fault:clean-cut", "stream": True}
    answer = gateway.post("/v1/responses", asked)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] == "response.failed"
    assert gateway.get(f"/v1/responses/{events[-1]['response']['id']}").status == 404


def test_the_file_is_private_and_sound(chat: OpenAI, gateway: GatewayProcess) -> None:
    chat.responses.create(model="stub-chat/text", input="one?")
    path = gateway.home / ".pi" / "model-proxy.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_any_worker_goes_on_from_what_another_kept_and_so_does_the_next_server(
    provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("shared") / "kept.db"
    previous: str | None = None
    for name in ("first", "second"):
        with serving(provider, tmp_path_factory.mktemp(name), workers=2, dbPath=str(path)) as crew:
            for _ in range(12):  # each request on a connection of its own
                asked = {"model": "stub-chat/text", "input": "again", "previous_response_id": previous}
                answer = crew.post("/v1/responses", asked)
                assert answer.status == 200, answer.text
                previous = answer.json()["id"]
    assert told(provider).count("again") == 24


@STREAMED
def test_what_a_caller_has_been_told_survives_a_kill(
    provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory, streamed: bool
) -> None:
    path = tmp_path_factory.mktemp("shared") / "kept.db"
    ids: list[str] = []
    for name in ("first", "second", "third"):
        with serving(provider, tmp_path_factory.mktemp(name), dbPath=str(path)) as running:
            for known in ids:
                assert running.get(f"/v1/responses/{known}").status == 200
            with OpenAI(base_url=running.base_url, api_key="any", max_retries=0) as client:
                ids.append(create(client, streamed=streamed, model="stub-chat/text", input=name).id)
            running.process.kill()
            running.process.wait()


def test_nothing_is_kept_where_the_settings_say_so(
    provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("forgetful")
    with serving(provider, home, storeMaxResponses=0) as forgetful:
        response = forgetful.post("/v1/responses", {"model": "stub-chat/text", "input": "x"}).json()
        assert response["store"] is False
        assert forgetful.get(f"/v1/responses/{response['id']}").status == 404
        again = {"model": "stub-chat/text", "input": "x", "previous_response_id": response["id"]}
        assert forgetful.post("/v1/responses", again).status == 400


def test_a_database_that_cannot_be_used_stops_no_answer(
    provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("broken")
    with serving(provider, home, dbPath=str(home)) as broken:
        for _ in range(2):
            assert broken.post("/v1/responses", {"model": "stub-chat/text", "input": "x"}).status == 200
        broken.wait_for(lambda: "database cannot be used" in broken.printed(), "the complaint")
        assert broken.printed().count("database cannot be used") == 1


@EVERY_STUB
def test_a_count_includes_what_came_before(chat: OpenAI, stub: str) -> None:
    model = f"{stub}/text"
    first = chat.responses.create(model=model, input="one " * 200)
    alone = chat.responses.input_tokens.count(model=model, input="two?")
    with_past = chat.responses.input_tokens.count(model=model, input="two?", previous_response_id=first.id)
    assert alone.object == "response.input_tokens"
    assert 1 <= alone.input_tokens < 100 < with_past.input_tokens


@EVERY_STUB
def test_a_long_conversation_is_made_short_and_gone_on_from(
    chat: OpenAI, provider: StrictProvider, stub: str
) -> None:
    model = f"{stub}/text"
    provider.queue(say("blue"), say("They like blue."), say("red, then"))
    first = chat.responses.create(model=model, input="which colour?")
    short = chat.responses.compact(model=model, input="and now?", previous_response_id=first.id)
    assert short.object == "response.compaction"
    assert [item.type for item in short.output] == ["message", "message", "compaction"]
    assert short.usage.output_tokens > 0
    items: Any = [
        item.to_dict(warnings=False) for item in short.output
    ]  # typed as answers, they are questions
    chat.responses.create(model=model, input=[*items, {"role": "user", "content": "go on"}])
    texts = told(provider)
    assert texts[:2] == ["which colour?", "and now?"]
    assert texts[2].endswith("They like blue.")
    assert texts[3:] == ["go on"]


@EVERY_STUB
@STREAMED
def test_a_conversation_grows_with_every_response(
    chat: OpenAI, provider: StrictProvider, stub: str, streamed: bool
) -> None:
    provider.queue(say("blue"), say("green"))
    conversation = chat.conversations.create(
        metadata={"topic": "colours"}, items=[{"type": "message", "role": "user", "content": "hello"}]
    )
    model, named = f"{stub}/text", conversation.id
    first = create(chat, streamed=streamed, model=model, input="one?", conversation=named)
    create(chat, streamed=streamed, model=model, input="two?", conversation={"id": named})
    assert told(provider) == ["hello", "one?", "blue", "two?"]
    assert first.conversation.id == named
    items: Any = chat.conversations.items.list(named, order="asc").data
    assert [item.content[0].text for item in items] == ["hello", "one?", "blue", "two?", "green"]
    # What went on from a response is the conversation as it was then.
    provider.queue(say("red"))
    chat.responses.create(model=model, input="instead?", previous_response_id=first.id)
    assert told(provider) == ["hello", "one?", "blue", "instead?"]


def test_a_conversation_can_be_read_changed_and_deleted(chat: OpenAI) -> None:
    made = chat.conversations.create()
    assert made.object == "conversation"
    chat.conversations.update(made.id, metadata={"a": "b"})
    assert chat.conversations.retrieve(made.id).metadata == {"a": "b"}
    items: Any = [{"type": "message", "role": "user", "content": text} for text in ("x", "y")]
    added = chat.conversations.items.create(made.id, items=items)
    first, second = added.data
    assert first.id is not None
    assert second.id is not None
    chat.conversations.items.delete(first.id, conversation_id=made.id)
    assert [item.id for item in chat.conversations.items.list(made.id)] == [second.id]
    assert chat.conversations.items.retrieve(second.id, conversation_id=made.id).id == second.id
    chat.conversations.delete(made.id)
    for gone in (
        lambda: chat.conversations.retrieve(made.id),
        lambda: chat.conversations.items.list(made.id),
        lambda: chat.conversations.items.retrieve(second.id or "", conversation_id=made.id),
    ):
        with pytest.raises(NotFoundError):
            gone()


def test_an_unknown_conversation_is_refused(chat: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        chat.responses.create(model="stub-chat/text", input="go on", conversation="conv_nobody")
    assert caught.value.param == "conversation"
