"""LlamaIndex: an LLM, its streaming, an agent with a tool, a typed answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.llms import ChatMessage  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.prompts import PromptTemplate  # type: ignore[import-not-found,unused-ignore]
from llama_index.llms.anthropic import Anthropic  # type: ignore[import-not-found,unused-ignore]
from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-not-found,unused-ignore]
from pydantic import BaseModel
from scenes import HELLO, KEY, ORIGIN, V1, Scene, play, same, weather  # type: ignore[import-not-found,unused-ignore]


class Place(BaseModel):
    city: str
    days: int


def scenes(make: Callable[[], Any]) -> Mapping[str, Scene]:
    def text() -> None:
        answer = make().chat([ChatMessage(role="user", content=HELLO)])
        same(answer.message.content, f"You said: {HELLO}")

    def stream() -> None:
        pieces = make().stream_chat([ChatMessage(role="user", content=HELLO)])
        same("".join(piece.delta or "" for piece in pieces), f"You said: {HELLO}")

    async def tools() -> None:
        agent = FunctionAgent(tools=[weather], llm=make(), streaming=True)
        same(str(await agent.run("script:tool-loop")), "The tools said: sunny in Paris")

    def structured() -> None:
        place = make().structured_predict(Place, PromptTemplate("Where?"))
        same(place, Place(city="Paris", days=7))

    return {"text": text, "stream": stream, "tools": tools, "structured": structured}


def faces(model: str) -> Iterator[tuple[str, Mapping[str, Scene]]]:
    def openai_like() -> Any:
        return OpenAILike(
            model=model, api_base=V1, api_key=KEY, is_chat_model=True, is_function_calling_model=True,
            context_window=100_000, max_retries=0,
        )  # fmt: skip

    yield "chat", scenes(openai_like)
    # It takes only names that it knows; the gateway has such a name as an alias.
    if model == os.environ["CLAUDE_IS"]:
        yield (
            "messages",
            scenes(lambda: Anthropic(model="claude-sonnet-4-5", base_url=ORIGIN, api_key=KEY, max_retries=0)),
        )


play(faces)
