"""A hub request as the body of `POST {base}/messages`: `{model, context, options}`.

Sources: pi 1.5.2 `dist/api/pi-messages.js` and `pi-messages.d.ts` (`PiMessagesOptions`). The format
has no words for the form of an answer: JSON can be asked for in words, a schema cannot be enforced.
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, distinct_tools
from pi_model_proxy.dialects.pi_messages.context import DIALECT, ContextWriter
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.dialects.reasoning import choose_level
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.dialects.surrogates import clean_json
from pi_model_proxy.dialects.wishes import list_unfulfilled
from pi_model_proxy.hub import (
    Block,
    CacheMark,
    DocumentBlock,
    ImageBlock,
    Request,
    Target,
    TextBlock,
    Tool,
    ToolChoice,
    ToolResultBlock,
)
from pi_model_proxy.wire import compact_json

__all__ = ["encode_request"]

MESSAGES_PATH: Final = "/messages"
JSON_INSTRUCTION: Final = (
    "Answer with one valid JSON object and nothing else: no explanation, no Markdown fences."
)

Json = dict[str, Any]


def encode_request(request: Request, target: Target) -> Outgoing:
    """Return the request for `target`, streamed.

    Raises:
        UnsupportedFeature: something cannot be said without which the answer would not be what was asked.
        BadRequest: nothing is left to send.
    """
    try:
        return _RequestWriter(request, target).outgoing()
    except RecursionError as error:
        raise too_deep() from error


class _RequestWriter:
    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._losses = Losses(request, target)

    def outgoing(self) -> Outgoing:
        request, target, losses = self._request, self._target, self._losses
        if request.n > 1:
            losses.refuse(request.paths.get("n", "n"), why="one answer is written at a time")
        tools = distinct_tools(request.tools, losses)
        names = ToolNames(tools, casing=target.identity.tool_names)
        turns = repair_history(request.turns, self._rules(), losses)
        offered = self._offered(tools)
        messages = ContextWriter(target, names, losses).write(self._instructions(), offered, turns)
        if not messages:
            losses.refuse_empty()
        options = {
            "temperature": request.sampling.temperature,
            "maxTokens": self._max_tokens(),
            "reasoning": self._reasoning(),
            "cacheRetention": self._retention(),
            "sessionId": request.cache_key or (session_of(request) if target.auto_cache else None) or None,
            "toolChoice": self._choice(names, is_offered=bool(offered)),
        }
        body: Json = {
            "model": target.model,
            "context": {"messages": messages},
            "options": {name: value for name, value in options.items() if value is not None},
        }
        self._list_the_rest()
        return Outgoing(
            path=MESSAGES_PATH,
            body=_encode(body),
            dropped=losses.paths,
            names=names,
            stop_here=request.stop,
        )

    def _rules(self) -> HistoryRules:
        target = self._target
        return HistoryRules(
            dialect=DIALECT,
            provider=target.provider,
            model=target.model,
            opaque_kinds=frozenset({"pi_signature", "pi_redacted"}),
            plain_reasoning=target.reasoning,
            takes_images=target.takes_images,
            system_turns="keep",
        )

    def _instructions(self) -> list[str]:
        texts: list[str] = []
        for block in self._request.instructions:
            self._losses.mark(block.cache, block.at)
            texts.append(block.text)
        output = self._request.output
        if output is not None and output.kind == "schema":
            path = self._request.paths.get("output", "output")
            self._losses.refuse(path, why="the provider cannot be held to a schema")
        if output is not None:
            self._losses.field("output")
            texts.append(JSON_INSTRUCTION)
        return texts

    # Tools.

    def _offered(self, tools: tuple[Tool, ...]) -> list[Tool]:
        """Return the tools that the caller allows and that do not run at another provider."""
        choice = self._request.tool_choice or ToolChoice(mode="auto")
        allowed = [tool for tool in tools if choice.mode != "subset" or tool.name in choice.names]
        kept = [tool for tool in allowed if tool.kind != "server"]
        for tool in allowed:
            if tool.kind == "server":
                if not kept or tool.name in choice.names:
                    self._losses.refuse(tool.at, why="the provider cannot run this tool")
                self._losses.path(tool.at, why="the provider cannot run this tool")
        return kept

    def _choice(self, names: ToolNames, *, is_offered: bool) -> str | Json | None:
        request, choice = self._request, self._request.tool_choice
        if not is_offered:
            if choice is not None and (choice.mode in {"required", "named"} or choice.required):
                self._losses.refuse(request.paths.get("tool_choice", "tool_choice"), why="no tool is offered")
            return None
        if request.parallel_tools is False and not request.legacy_functions:
            self._losses.field("parallel_tools")
        match choice:
            case ToolChoice(mode="named", names=(name, *_)):
                return {"type": "function", "function": {"name": names.wire(name)}}
            case ToolChoice(mode="required") | ToolChoice(mode="subset", required=True):
                return "required"
            case ToolChoice(mode="none" | "auto" as mode):
                return mode
            case _:
                return None

    # Single fields.

    def _max_tokens(self) -> int | None:
        limit, cap = self._request.max_output, self._target.max_output
        if limit is not None and 0 < cap < limit:
            self._losses.field("max_output")
            return cap
        return limit

    def _reasoning(self) -> str | None:
        """Return the level by pi's own name; saying nothing is `off`."""
        choice = choose_level(self._request.reasoning, self._target)
        list_unfulfilled(self._request, choice, self._losses)
        return None if choice is None or choice.level == "off" else choice.level

    def _retention(self) -> str | None:
        """Return `long` where a mark asks for an hour; marks themselves are placed by the provider."""
        return "long" if any(mark.ttl == "1h" for mark in _marks(self._request)) else None

    def _list_the_rest(self) -> None:
        """List every wish this format has no word for; values that change nothing are no wish."""
        request, losses = self._request, self._losses
        if request.sampling.top_p not in {None, 1}:
            losses.field("sampling.top_p")
        for name in (
            "top_k",
            "min_p",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "top_logprobs",
        ):
            if getattr(request.sampling, name):
                losses.field(f"sampling.{name}")
        for name in ("verbosity", "service_tier", "end_user", "metadata"):
            if getattr(request, name):
                losses.field(name)
        for name in request.extra:
            losses.path(name)


def _marks(request: Request) -> list[CacheMark]:
    blocks: list[Block] = [*request.instructions, *(block for turn in request.turns for block in turn.blocks)]
    marks = [tool.cache for tool in request.tools]
    marks += [
        block.cache
        for block in blocks
        if isinstance(block, TextBlock | ImageBlock | DocumentBlock | ToolResultBlock)
    ]
    return [mark for mark in marks if mark is not None]


def _encode(body: Json) -> bytes:
    try:
        return compact_json(body)
    except UnicodeEncodeError:  # a lone surrogate outside of the history: a session's name, a description
        return compact_json(clean_json(body))
