"""The scripted upstream over real HTTP: three formats, streamed and not, and its faults.

Answers are read with the client halves that real upstreams are read with; these share no code with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from pi_model_proxy.catalog import Model
from pi_model_proxy.demo import DemoSource, DemoUpstream, demo_models, open_demo
from pi_model_proxy.demo.scenes import LABEL, SCENES
from pi_model_proxy.dialects.names import NO_NAMES
from pi_model_proxy.dialects.table import CLIENTS
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    Failure,
    Message,
    ReasoningBlock,
    Request,
    Target,
    TextBlock,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    check_order,
    fold,
)
from pi_model_proxy.sources import Lease
from pi_model_proxy.transport import Deadlines, UpstreamHead, UpstreamRequest, UpstreamResponse
from pi_model_proxy.transport.http1 import Http1Transport

Json = dict[str, Any]
KINDS = {"chat": "openai-completions", "messages": "anthropic-messages", "responses": "openai-responses"}
FORMATS = tuple(KINDS)
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
MINIMAL: dict[str, Json] = {
    "chat": {"messages": [{"role": "user", "content": "hello you"}]},
    "messages": {"messages": [{"role": "user", "content": "hello you"}], "max_tokens": 4000},
    "responses": {"input": "hello you"},
}


class Answer:
    """An answer of the demo upstream, read with our own client."""

    def __init__(self, response: UpstreamResponse) -> None:
        self.response = response
        self.status = response.status
        self.headers = response.headers
        self.content_type = response.headers["content-type"].partition(";")[0]

    async def read(self) -> bytes:
        data = b""
        while chunk := await self.response.read():
            data += chunk
        return data

    async def text(self) -> str:
        return (await self.read()).decode()

    async def json(self) -> Any:
        return json.loads(await self.read())


class Visit:
    """A demo upstream, its source and a client for the length of a test."""

    def __init__(self, demo: DemoUpstream, transport: Http1Transport) -> None:
        self.demo = demo
        self.source = DemoSource(demo)
        self._transport = transport

    def model(self, name: str) -> Model:
        return next(offer.model for offer in self.source.snapshot.offers if offer.model.id == name)

    async def lease(self, name: str) -> Lease:
        return await self.source.lease(self.model(name))

    async def post(self, name: str, *, stream: bool = False, body: Json | None = None, **more: Any) -> Answer:
        """Ask model `name` the least that its format allows."""
        format_ = name.partition("-")[0]
        asked = {**MINIMAL[format_], "model": name, "stream": stream, **(body or {}), **more}
        headers = {"anthropic-version": "2023-06-01", **(await self.lease(name)).headers}
        return await self.ask_at(PATHS[format_], asked, headers)

    async def ask_at(
        self, path: str, body: Json | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request, with GET when there is no body."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        method = "GET" if body is None else "POST"
        head = UpstreamHead(method, self.demo.base_url + path, headers or {})
        deadlines = Deadlines(connect_s=10, headers_s=10)
        return Answer(await self._transport.open(UpstreamRequest(head, data), deadlines))

    async def ask(self, name: str, *turns: Turn, tools: tuple[Tool, ...] = ()) -> Message:
        """Hold a streamed exchange as the gateway would, and return the answer."""
        model = self.model(name)
        target = Target(
            provider="demo",
            model=name,
            public_model=f"demo/{name}",
            kind=model.api,
            reasoning=model.reasoning,
            level="low" if model.reasoning else None,
        )
        client = CLIENTS[model.api]
        out = client.encode_request(Request(dialect="test", model=name, turns=turns, tools=tools), target)
        lease = await self.lease(name)
        headers = {**out.headers, **lease.headers, "content-type": "application/json"}
        path = lease.base_url.removeprefix(self.demo.base_url) + out.path
        answer = await self.ask_at(path, out.body, headers)
        data = await answer.read()
        assert (answer.status, answer.content_type) == (200, "text/event-stream"), data
        decoder = client.stream_decoder(target, out.names)
        events = [*decoder.feed(data), *decoder.close()]
        assert check_order(events) is None
        return fold(events)


def visit(story: Callable[[Visit], Awaitable[None]]) -> None:
    async def run() -> None:
        async with DemoUpstream(pace_s=0) as demo:
            transport = Http1Transport({})
            visitor = Visit(demo, transport)
            try:
                await story(visitor)
            finally:
                await transport.close()

    asyncio.run(asyncio.wait_for(run(), 20))


def user(text: str) -> Turn:
    return Turn(role="user", blocks=(TextBlock(text=text),))


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.blocks if isinstance(block, TextBlock))


def test_every_scene_exists_in_every_format_and_says_that_it_is_scripted() -> None:
    models = demo_models("http://127.0.0.1:1")
    assert {model.api for model in models} == set(KINDS.values())
    assert {model.id for model in models} == {f"{kind}-{scene.id}" for kind in KINDS for scene in SCENES}
    assert all(model.ref.startswith("demo/") and "cripted" in model.name for model in models)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("scene", ["text", "long", "thinking", "vision", "tools"])
def test_a_streamed_answer_is_read_by_the_client_half_of_its_format(format_: str, scene: str) -> None:
    async def story(demo: Visit) -> None:
        message = await demo.ask(f"{format_}-{scene}", user("hello you"))
        assert text_of(message).startswith(LABEL)
        assert "9 characters" in text_of(message)
        assert message.finish.reason == "stop"
        assert message.usage.total_input > 0
        assert message.usage.output > 10
        thoughts = [block for block in message.blocks if isinstance(block, ReasoningBlock)]
        assert len(thoughts) == (scene == "thinking")

    visit(story)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_plain_answer_means_what_the_streamed_one_does(format_: str) -> None:
    async def story(demo: Visit) -> None:
        name = f"{format_}-thinking"
        thinks = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
        asked = thinks if format_ == "messages" else {"stream_options": {"include_usage": True}}
        client, target = CLIENTS[KINDS[format_]], Target(provider="d", model="m", public_model="m", kind="k")
        plain = await (await demo.post(name, **asked)).read()
        streamed = await (await demo.post(name, stream=True, **asked)).read()
        decoder = client.stream_decoder(target, NO_NAMES)
        first = fold(client.decode_message(plain, target, NO_NAMES))
        second = fold([*decoder.feed(streamed), *decoder.close()])
        assert [type(block) for block in first.blocks] == [ReasoningBlock, TextBlock]
        assert text_of(first) == text_of(second)
        assert (first.usage, first.finish.reason) == (second.usage, second.finish.reason)

    visit(story)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_tool_loop_runs_to_its_end(format_: str) -> None:
    async def story(demo: Visit) -> None:
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        tools = (Tool(name="weather", schema=schema), Tool(name="clock", schema={"type": "object"}))
        name = f"{format_}-tools"
        first = await demo.ask(name, user("both in parallel"), tools=tools)
        calls = [block for block in first.blocks if isinstance(block, ToolCallBlock)]
        assert [call.name for call in calls] == ["weather", "clock"]
        assert json.loads(calls[0].arguments) == {"city": "demo city"}
        assert first.finish.reason == "tool_calls"
        results = tuple(
            ToolResultBlock(call_id=call.id, content=(TextBlock(text=f"{call.name}!"),)) for call in calls
        )
        second = await demo.ask(
            name,
            user("both in parallel"),
            Turn(role="assistant", blocks=first.blocks),
            Turn(role="tool", blocks=results),
            tools=tools,
        )
        assert "weather answered: weather!; clock answered: clock!" in text_of(second)
        assert second.finish.reason == "stop"

    visit(story)


@pytest.mark.parametrize("format_", ["messages", "responses"])
def test_thinking_must_come_back_as_it_was(format_: str) -> None:
    async def story(demo: Visit) -> None:
        name = f"{format_}-thinking"
        first = await demo.ask(name, user("hi"))
        again = (user("hi"), Turn(role="assistant", blocks=first.blocks), user("and now?"))
        assert "8 characters" in text_of(await demo.ask(name, *again))

    visit(story)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "messages-thinking",
            {
                "messages": [
                    {"role": "user", "content": "hi"},
                    {
                        "role": "assistant",
                        "content": [{"type": "thinking", "thinking": "x", "signature": "made up"}],
                    },
                ]
            },
        ),
        (
            "responses-thinking",
            {"input": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "made up"}]},
        ),
    ],
)
def test_made_up_tokens_are_refused(name: str, body: Json) -> None:
    async def story(demo: Visit) -> None:
        response = await demo.post(name, body=body)
        assert response.status == 400
        words = (await response.text()).lower()
        assert "invalid `signature`" in words or "invalid_encrypted_content" in words

    visit(story)


PICTURES: dict[str, Json] = {
    "chat": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    },
    "messages": {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
    "responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}]},
}


@pytest.mark.parametrize("format_", FORMATS)
def test_pictures_are_counted(format_: str) -> None:
    async def story(demo: Visit) -> None:
        answer = await (await demo.post(f"{format_}-vision", body=PICTURES[format_])).text()
        assert "1 image(s) and 0 document(s)" in answer

    visit(story)


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
CHOICES: list[tuple[str, Json, str]] = [
    (
        "chat-text",
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
        '"name":"f"',
    ),
    (
        "chat-text",
        {
            "tools": [{"type": "custom", "custom": {"name": "p"}}],
            "tool_choice": {"type": "custom", "custom": {"name": "p"}},
        },
        '"custom":{"name":"p"',
    ),
    (
        "chat-tools",
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"},
        "no tool",
    ),
    (
        "chat-text",
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        '{\\"n\\":1}',
    ),
    ("chat-text", {"response_format": {"type": "json_object"}}, '{\\"scripted\\":true'),
    ("chat-text", {"max_tokens": 2}, '"finish_reason":"length"'),
    ("messages-text", {"tools": [{"name": "f"}], "tool_choice": {"type": "any"}}, '"name":"f"'),
    ("messages-tools", {"tools": [{"name": "f"}], "tool_choice": {"type": "none"}}, "no tool"),
    ("messages-tools", {"tools": [{"type": "web_search_20250305", "name": "s"}]}, "no tool"),
    ("messages-text", {"output_config": {"format": {"schema": SCHEMA}}}, '{\\"n\\":1}'),
    ("messages-text", {"system": "Answer with one JSON object."}, '{\\"scripted\\":true'),
    ("messages-text", {"stop_sequences": ["words"]}, '"stop_sequence":"words"'),
    (
        "responses-text",
        {"tools": [{"type": "function", "name": "f"}], "tool_choice": "required"},
        '"name":"f"',
    ),
    ("responses-tools", {"tools": [{"type": "custom", "name": "p"}]}, '"type":"custom_tool_call"'),
    ("responses-tools", {"tools": [{"type": "web_search"}]}, "no tool"),
    ("responses-text", {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}, '{\\"n\\":1}'),
    ("responses-text", {"max_output_tokens": 2}, '"reason":"max_output_tokens"'),
]


@pytest.mark.parametrize(("name", "body", "expected"), CHOICES)
def test_what_is_asked_for_is_done(name: str, body: Json, expected: str) -> None:
    async def story(demo: Visit) -> None:
        response = await demo.post(name, body=body)
        assert response.status == 200
        answer = await response.text()
        assert expected in answer

    visit(story)


@pytest.mark.parametrize("format_", FORMATS)
def test_custom_calls_stream_too(format_: str) -> None:
    async def story(demo: Visit) -> None:
        tool = Tool(kind="custom", name="patch", description="d")
        message = await demo.ask(f"{format_}-tools", user("go"), tools=(tool,))
        (call,) = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
        assert call.name == "patch"
        assert call.arguments

    visit(story)


# Faults.


@pytest.mark.parametrize(
    ("name", "status", "kind", "retry_after_s"),
    [
        ("chat-rate-limit", 429, "rate_limit", 7),
        ("messages-rate-limit", 429, "rate_limit", 7),
        ("responses-rate-limit", 429, "rate_limit", 7),
        ("chat-overload", 503, "overloaded", None),
        ("messages-overload", 529, "overloaded", None),
        ("responses-overload", 503, "overloaded", None),
        ("chat-unheard-of", 404, "unknown_model", None),
        ("messages-unheard-of", 404, "unknown_model", None),
        ("responses-unheard-of", 404, "unknown_model", None),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_refusal_comes_in_its_vendors_words(
    name: str, status: int, kind: str, retry_after_s: int | None, stream: bool
) -> None:
    async def story(demo: Visit) -> None:
        format_ = name.partition("-")[0]
        lease = await demo.lease(f"{format_}-text")
        headers = {"anthropic-version": "2023-06-01", **lease.headers}
        body = {**MINIMAL[format_], "model": name, "stream": stream}
        response = await demo.ask_at(PATHS[format_], body, headers)
        error = CLIENTS[KINDS[format_]].decode_error(
            response.status, dict(response.headers), await response.read()
        )
        assert (error.status, error.kind) == (status, kind)
        assert response.headers.get("retry-after") == (str(retry_after_s) if retry_after_s else None)

    visit(story)


@pytest.mark.parametrize("format_", FORMATS)
def test_more_input_than_the_model_reads_is_refused_as_such(format_: str) -> None:
    async def story(demo: Visit) -> None:
        huge = "x" * 4 * 65_000
        body: Json = (
            {"input": huge} if format_ == "responses" else {"messages": [{"role": "user", "content": huge}]}
        )
        response = await demo.post(f"{format_}-text", body=body)
        error = CLIENTS[KINDS[format_]].decode_error(response.status, {}, await response.read())
        assert (error.status, error.kind) == (400, "context_too_long")

    visit(story)


def _events(format_: str, data: bytes) -> list[Any]:
    target = Target(provider="d", model="m", public_model="m", kind=KINDS[format_])
    decoder = CLIENTS[KINDS[format_]].stream_decoder(target, NO_NAMES)
    return [*decoder.feed(data), *decoder.close()]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_cut_stream_breaks_off_after_its_first_words(format_: str) -> None:
    async def story(demo: Visit) -> None:
        response = await demo.post(f"{format_}-cut", stream=True)
        data = b""
        with pytest.raises(BrokenStream):
            while chunk := await response.response.read():
                data += chunk
        assert b"scripted" in data
        assert isinstance(_events(format_, data)[-1], Failure)

    visit(story)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_failing_stream_tells_of_its_error_after_its_first_words(format_: str) -> None:
    async def story(demo: Visit) -> None:
        data = await (await demo.post(f"{format_}-error", stream=True)).read()
        events = _events(format_, data)
        assert len(events) > 5
        assert isinstance(events[-1], Failure)
        assert "middle of its answer" in events[-1].error.message
        plain = await demo.post(f"{format_}-error")
        assert plain.status == 500

    visit(story)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_cut_plain_answer_is_shorter_than_it_promised(format_: str) -> None:
    async def story(demo: Visit) -> None:
        response = await demo.post(f"{format_}-cut")
        with pytest.raises(BrokenStream):
            await response.read()

    visit(story)


@pytest.mark.parametrize("stream", [True, False])
def test_a_stalled_answer_begins_and_then_waits_for_its_reader_to_leave(stream: bool) -> None:
    async def story(demo: Visit) -> None:
        response = await demo.post("chat-stall", stream=stream)
        data = await response.response.read()
        assert data
        with pytest.raises(TimeoutError):
            # What was on its way is read first; then nothing comes, which only waiting can show.
            async with asyncio.timeout(0.2):
                while await response.response.read():
                    pass
        response.response.abort()

    visit(story)


# The door.


@pytest.mark.parametrize("format_", FORMATS)
def test_a_wrong_key_is_refused(format_: str) -> None:
    async def story(demo: Visit) -> None:
        body = {**MINIMAL[format_], "model": f"{format_}-text"}
        response = await demo.ask_at(PATHS[format_], body)
        error = CLIENTS[KINDS[format_]].decode_error(response.status, {}, await response.read())
        assert (error.status, error.kind) == (401, "upstream_auth")

    visit(story)


def test_messages_wants_its_version_header() -> None:
    async def story(demo: Visit) -> None:
        lease = await demo.lease("messages-text")
        response = await demo.ask_at(PATHS["messages"], MINIMAL["messages"], lease.headers)
        assert response.status == 400
        assert "anthropic-version" in await response.text()

    visit(story)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"{}", b'{"messages":7,"input":7}', b"[" * 100_000])
def test_a_body_that_asks_nothing_is_refused(format_: str, body: bytes) -> None:
    async def story(demo: Visit) -> None:
        headers = {"anthropic-version": "1", **(await demo.lease(f"{format_}-text")).headers}
        response = await demo.ask_at(PATHS[format_], body, headers)
        assert response.status == 400
        assert "error" in await response.json()

    visit(story)


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_a_conversation_that_it_never_kept_is_refused(name: str) -> None:
    async def story(demo: Visit) -> None:
        body = json.dumps({**MINIMAL["responses"], "model": "responses-text", name: "none_1"}).encode()
        headers = (await demo.lease("responses-text")).headers
        response = await demo.ask_at(PATHS["responses"], body, dict(headers))
        assert response.status == 400
        assert (await response.json())["error"]["code"].endswith("_not_found")

    visit(story)


def test_tokens_are_counted_as_the_answer_counts_them() -> None:
    async def story(demo: Visit) -> None:
        headers = {"anthropic-version": "1", **(await demo.lease("messages-text")).headers}
        body = {
            **MINIMAL["messages"],
            "system": "be brief",
            "model": "messages-text",
            "tools": [{"name": "f"}],
        }
        counted = await demo.ask_at("/v1/messages/count_tokens", body, headers)
        answered = await (await demo.post("messages-text", body=body)).json()
        assert (await counted.json())["input_tokens"] == answered["usage"]["input_tokens"]
        wrong = await demo.ask_at("/v1/messages/count_tokens", {}, headers)
        assert wrong.status == 400

    visit(story)


def test_models_are_listed_and_other_paths_answered_in_json() -> None:
    async def story(demo: Visit) -> None:
        listed = await (await demo.ask_at("/v1/models")).json()
        assert [each["id"] for each in listed["data"]] == [model.id for model in demo_models("")]
        unknown = await demo.ask_at("/v2")
        assert (unknown.status, unknown.content_type) == (404, "application/json")
        wrong = await demo.ask_at("/v1/models", {})
        assert (wrong.status, wrong.content_type) == (405, "application/json")

    visit(story)


def test_a_request_with_fields_of_any_type_is_answered() -> None:
    async def story(demo: Visit) -> None:
        odd: Json = {
            "messages": [{"role": 7, "content": [{"type": "text"}, 7], "tool_calls": [{"function": 7}, {}]}],
            "input": [{"type": "function_call", "arguments": {"a": 1}}, {"type": 7, "content": 7}],
            "tools": [7, {"type": "function", "function": 7}, {"name": 7}],
            "tool_choice": {"function": 7},
            "response_format": 7,
            "stream_options": 7,
            "text": {"format": 7},
            "thinking": 7,
            "output_config": 7,
            "stop": [7],
            "max_tokens": True,
        }
        for format_ in FORMATS:
            response = await demo.post(f"{format_}-tools", body=odd)
            assert response.status == 200, await response.text()

    visit(story)


def test_a_tool_result_with_a_picture_counts_it() -> None:
    async def story(demo: Visit) -> None:
        result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {}}]}
        body: Json = {"messages": [{"role": "user", "content": [result]}]}
        answer = await (await demo.post("messages-vision", body=body)).text()
        assert "an unknown tool answered" in answer

    visit(story)


# The source.


def test_the_source_lives_and_dies_with_its_upstream_and_keeps_its_key_to_itself() -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            (source,) = await open_demo(stack)
            offers = source.snapshot.offers
            lease = await source.lease(offers[0].model)
            assert source.alive()
            assert all(offer.usable for offer in offers)
            (report,) = source.snapshot.providers
            assert report.models == len(offers)
            assert "cripted" in report.note
            assert source.secrets() == lease.secrets
            assert lease.secrets[0] not in repr(lease)
            assert lease.base_url.startswith("http://127.0.0.1:")
            assert await source.lease_after_refusal(offers[0].model, lease) is None
        assert not source.alive()

    asyncio.run(story())
