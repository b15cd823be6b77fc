"""LangChain's two clients before every kind of upstream, alone and in a tool loop of LangGraph."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from pydantic import BaseModel, SecretStr

from integration.materials import CITIES, KINDS, PNG, PNG_SEEN, Kind, as_base64, heard, weather_in
from support.gateway_process import GatewayProcess
from support.strict_provider import UNICODE_TEXT, StrictProvider

pytestmark = [
    pytest.mark.clients,
    # LangGraph and LangChain deprecate parts of themselves with every release; that is not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]

every_kind = pytest.mark.parametrize("kind", KINDS)
every_client = pytest.mark.parametrize("client", ["ChatOpenAI", "ChatAnthropic"])
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])

Models = Callable[..., BaseChatModel]


class Weather(BaseModel):
    """The weather of one city."""

    city: str
    degrees: float
    sunny: bool


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return weather_in(city)


@pytest.fixture
def model(gateway: GatewayProcess) -> Models:
    """Make a client by its name, of a model by its name."""

    def make(client: str, name: str, **fields: Any) -> BaseChatModel:
        if client == "ChatOpenAI":
            return ChatOpenAI(
                base_url=gateway.base_url,
                api_key=SecretStr("any"),
                model=name,
                max_retries=0,
                stream_usage=True,
                **fields,
            )
        known: dict[str, Any] = {"model_name": name, "max_tokens_to_sample": 4000, "stop": None, **fields}
        return ChatAnthropic(
            base_url=gateway.origin, api_key=SecretStr("any"), max_retries=0, timeout=30, **known
        )

    return make


def text(message: Any) -> str:
    return str(message.text)


def told(answering: BaseChatModel, prompt: Any, *, stream: bool) -> AIMessage:
    """Invoke, or fold the stream's chunks as LangChain does."""
    if not stream:
        answer = answering.invoke(prompt)
        assert isinstance(answer, AIMessage)
        return answer
    whole: Any = None
    for chunk in answering.stream(prompt):
        whole = chunk if whole is None else whole + chunk
    assert isinstance(whole, AIMessage)
    return whole


@both_ways
@every_client
@every_kind
def test_an_answer_arrives_with_its_counts(model: Models, kind: Kind, client: str, *, stream: bool) -> None:
    answer = told(model(client, f"stub-{kind}/text"), "script:cached", stream=stream)
    assert text(answer) == "From the cache."
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage["input_tokens"], usage["output_tokens"]) == (141_359, 4_156)
    assert usage["input_token_details"]["cache_read"] == 120_269


@both_ways
@every_client
@every_kind
def test_every_character_survives(model: Models, kind: Kind, client: str, *, stream: bool) -> None:
    answer = told(model(client, f"stub-{kind}/text"), "script:unicode", stream=stream)
    assert text(answer) == UNICODE_TEXT


@every_client
def test_thirty_at_once_keep_apart(model: Models, client: str) -> None:
    """LangChain shares one asynchronous HTTP client a process, so everything runs in one event loop."""
    prompts = [f"number {number}." for number in range(10)]

    async def ask() -> list[str]:
        answering: list[Any] = [model(client, f"stub-{kind}/text") for kind in KINDS]
        async with contextlib.aclosing(_closable(answering[0])):
            batches = await asyncio.gather(*(one.abatch(prompts) for one in answering))
        return [text(answer) for batch in batches for answer in batch]

    assert asyncio.run(ask()) == [f"You said: {prompt}" for prompt in prompts] * len(KINDS)


class _Closable:
    """What holds the connections of one of LangChain's clients."""

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self.aclose = close


def _closable(answering: Any) -> Any:
    holder = (
        answering.root_async_client if hasattr(answering, "root_async_client") else answering._async_client
    )
    return _Closable(holder.close)


@every_client
@every_kind
def test_a_system_message_and_a_picture_arrive(
    model: Models, provider: StrictProvider, kind: Kind, client: str
) -> None:
    picture = {"type": "image", "base64": as_base64(PNG), "mime_type": "image/png"}
    messages = [
        SystemMessage("Be brief."),
        HumanMessage([{"type": "text", "text": "script:pictures"}, picture]),
    ]
    assert text(model(client, f"stub-{kind}/vision").invoke(messages)) == f"I see 1: {PNG_SEEN}"
    assert heard(provider).system == "Be brief."


@both_ways
@every_client
@every_kind
def test_parallel_calls_are_told_apart(model: Models, kind: Kind, client: str, *, stream: bool) -> None:
    bound: Any = model(client, f"stub-{kind}/text").bind_tools([get_weather])
    answer = told(bound, "script:parallel-tools", stream=stream)
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [
        ("get_weather", {"city": city}) for city in CITIES
    ]
    assert answer.invalid_tool_calls == []


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@every_client
@every_kind
def test_a_structured_answer_becomes_its_type(model: Models, kind: Kind, client: str, method: str) -> None:
    answering = model(client, f"stub-{kind}/text").with_structured_output(Weather, method=method)
    assert answering.invoke("The weather, please.") == Weather(city="Paris", degrees=1.5, sunny=True)


def graph(answering: Any) -> Any:
    """Return the usual agent: the model speaks, its calls run at once, until there are none."""

    def speak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [answering.invoke(state["messages"])]}

    def is_done(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    builder = StateGraph(MessagesState)
    builder.add_node("speak", speak)
    builder.add_node("tools", ToolNode([get_weather]))
    builder.add_edge(START, "speak")
    builder.add_conditional_edges("speak", is_done)
    builder.add_edge("tools", "speak")
    return builder.compile()


@every_client
@every_kind
def test_a_graph_of_tools_runs_to_its_end(model: Models, kind: Kind, client: str) -> None:
    agent = graph(model(client, f"stub-{kind}/text").bind_tools([get_weather]))
    messages = agent.invoke({"messages": [HumanMessage("script:parallel-tools")]})["messages"]
    results = [message.content for message in messages if isinstance(message, ToolMessage)]
    assert results == [weather_in(city) for city in CITIES]
    assert text(messages[-1]) == "The tools said: sunny in Paris; sunny in München"


@every_client
@every_kind
def test_a_graph_that_streams_its_tokens_runs_to_its_end(model: Models, kind: Kind, client: str) -> None:
    agent = graph(model(client, f"stub-{kind}/text", streaming=True).bind_tools([get_weather]))
    pieces: list[str] = []
    for chunk, about in agent.stream(
        {"messages": [HumanMessage("script:parallel-tools")]}, stream_mode="messages"
    ):
        if about["langgraph_node"] == "speak":
            pieces.append(text(chunk))
    assert "".join(pieces) == "The tools said: sunny in Paris; sunny in München"
    assert len(pieces) > 5, "it came whole, not as it was made"


@pytest.mark.parametrize("name", ["stub-messages/thinker", "stub-responses/thinker", "stub-chat/deepseek"])
def test_a_graph_with_a_thinking_claude_client_replays_its_thoughts(
    model: Models, provider: StrictProvider, name: str
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    bound = model("ChatAnthropic", name, thinking=thinking).bind_tools([get_weather])
    messages = graph(bound).invoke({"messages": [HumanMessage("script:thinking-then-tools")]})["messages"]
    assert text(messages[-1]) == "Done."
    sent = json.dumps(provider.diary.last().body)
    assert any(
        mark in sent for mark in ('"signature": "', '"encrypted_content": "', '"reasoning_content": "')
    )


@pytest.mark.parametrize("name", ["stub-messages/thinker", "stub-responses/thinker", "stub-chat/thinker"])
def test_a_graph_with_a_thinking_openai_client_goes_on_without_its_thoughts(model: Models, name: str) -> None:
    """ChatOpenAI keeps nothing of them; no seal is made up for it."""
    bound = model("ChatOpenAI", name, reasoning_effort="high").bind_tools([get_weather])
    messages = graph(bound).invoke({"messages": [HumanMessage("script:thinking-then-tools")]})["messages"]
    assert text(messages[-1]) == "Done."
