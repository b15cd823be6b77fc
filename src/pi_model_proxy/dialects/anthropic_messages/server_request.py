"""A caller's Messages request, read into the hub.

Sources: dialects.md §1.1 AM, §1.2, §1.3; clients.md §3 (Claude Code's first request).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.anthropic_messages.reading import Fields, decode, read_json
from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT, ContentReader, cache_mark
from pi_model_proxy.dialects.anthropic_messages.server_tools import parallel_tools, read_tool, tool_choice
from pi_model_proxy.dialects.base import Peek
from pi_model_proxy.errors import BadRequest, ThreadNotFound
from pi_model_proxy.hub import (
    Block,
    OutputFormat,
    RawBlock,
    ReasoningWish,
    Request,
    Role,
    Sampling,
    TextBlock,
    ToolResultBlock,
    Turn,
)

__all__ = ["decode_request", "peek", "shows_reasoning"]

PATHS: Final = {
    "max_output": "max_tokens",
    "stop": "stop_sequences",
    "sampling.temperature": "temperature",
    "sampling.top_p": "top_p",
    "sampling.top_k": "top_k",
    "reasoning": "thinking",
    "output": "output_config.format",
    "tool_choice": "tool_choice",
    "parallel_tools": "tool_choice.disable_parallel_tool_use",
    "end_user": "metadata.user_id",
    "metadata": "metadata",
    "service_tier": "service_tier",
}
"""Hub field to the caller's name for it."""
KNOWN_FIELDS: Final = frozenset({
    "model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k",
    "thinking", "output_config", "output_format", "tool_choice", "tools", "metadata", "service_tier",
    "cache_control", "thread",
})  # fmt: skip
ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
"""`developer` is no role here, but clients of several dialects send it."""
SERVICE_TIERS: Final = {"standard_only": "default"}
"""`auto` is what every dialect does unasked."""


class _Peek(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


_peek_decoder = msgspec.json.Decoder(_Peek)
_block_decoder = msgspec.json.Decoder(dict[str, Any])


def peek(body: bytes) -> Peek:
    """Return what routing needs.

    Raises:
        BadRequest: names the JSON path.
    """
    seen = decode(body, _peek_decoder)
    return Peek(model=seen.model, stream=bool(seen.stream))


def shows_reasoning(request: Request) -> bool:
    """Tell whether the caller asked for thinking: only then is it shown, as Anthropic does."""
    wish = request.reasoning
    return wish is not None and wish.mode != "off" and wish.visible is not None


def decode_request(body: bytes) -> Request:
    """Return the whole request.

    Raises:
        BadRequest: names the JSON path.
        ThreadNotFound: the request continues a conversation that only Anthropic's server holds.
    """
    try:
        return _RequestReader(read_json(body)).request()
    except RecursionError as error:
        raise BadRequest("The request body is nested too deeply; flatten it.") from error


class _RequestReader:
    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._content = ContentReader()
        self._tools = [read_tool(each) for each in fields.objects("tools")]
        self._late_effort: str | None = None
        """The effort that the last system message set."""

    def request(self) -> Request:
        fields = self._fields
        self._refuse_threads()
        turns = self._turns()
        choice = fields.object("tool_choice")
        metadata = fields.object("metadata") or Fields({}, "metadata")
        tier = fields.text("service_tier")
        return Request(
            dialect=DIALECT,
            model=fields.text("model"),
            stream=bool(fields.flag("stream")),
            instructions=self._instructions(),
            turns=self._with_top_level_mark(turns),
            tools=tuple(self._tools),
            tool_choice=tool_choice(choice),
            parallel_tools=parallel_tools(choice),
            max_output=self._max_output(),
            stop=self._stop(),
            sampling=self._sampling(),
            reasoning=self._reasoning(),
            output=self._output(),
            end_user=metadata.text("user_id"),
            metadata={
                key: value
                for key, value in metadata.values.items()
                if key != "user_id" and isinstance(value, str)
            },
            service_tier=SERVICE_TIERS.get(tier or ""),
            extra={name: value for name, value in fields.values.items() if name not in KNOWN_FIELDS},
            paths=self._paths(),
            dropped=tuple(self._content.dropped),
        )

    def _refuse_threads(self) -> None:
        thread = self._fields.object("thread")
        if thread is None:
            return
        if thread.text("type") == "continue":
            raise ThreadNotFound(
                "thread: the earlier part of this conversation is kept by Anthropic and cannot be sent to another "
                "provider; send the whole conversation without `thread`.",
                param="thread",
            )
        self._content.dropped.append("thread")

    def _instructions(self) -> tuple[TextBlock, ...]:
        """Return `system`, a string or text blocks."""
        system = self._fields.values.get("system")
        if isinstance(system, str):
            return (TextBlock(text=system, at="system"),)
        if system is not None and not isinstance(system, list):
            raise self._fields.refuse("system", "a string or an array of text blocks")
        return tuple(
            TextBlock(text=block.needed_text("text"), cache=cache_mark(block), at=block.at)
            for block in self._fields.objects("system")
        )

    def _turns(self) -> list[Turn]:
        if not self._fields.array("messages"):
            raise self._fields.refuse("messages", "an array with at least one message")
        turns: list[Turn] = []
        for message in self._fields.objects("messages"):
            role = ROLES.get(message.needed_text("role"))
            if role is None:
                raise message.refuse("role", "one of user, assistant, system")
            blocks = self._content.blocks(message)
            if role == "system":
                blocks = self._instruction_blocks(message, blocks)
            turns.extend(_split(role, blocks, message.at))
        return turns

    def _instruction_blocks(self, message: Fields, blocks: list[Block]) -> list[Block]:
        """Take from a system message what is no text: an effort, and tools that join or leave."""
        config = message.object("output_config")
        if config is not None:
            self._late_effort = config.text("effort") or self._late_effort
        if message.values.get("clear_at") is not None:
            self._content.dropped.append(message.path("clear_at"))
        kept: list[Block] = []
        for block in blocks:
            if not isinstance(block, RawBlock):
                kept.append(block)
            elif not self._adds_tool(block):
                self._content.dropped.append(block.at)
        return kept

    def _adds_tool(self, block: RawBlock) -> bool:
        tool = Fields(_block_decoder.decode(block.data), block.at).object("tool")
        added = tool is not None and block.type_name == "tool_addition"
        definition = tool.object("definition") if added and tool is not None else None
        if definition is None:
            return False
        self._tools.append(read_tool(definition))
        return True

    def _with_top_level_mark(self, turns: list[Turn]) -> tuple[Turn, ...]:
        """Put the body's own cache mark where Anthropic would: on the last block that can carry one."""
        mark = cache_mark(self._fields)
        if mark is not None and turns and turns[-1].blocks:
            last = turns[-1].blocks[-1]
            if isinstance(last, TextBlock | ToolResultBlock) and last.cache is None:
                blocks = (*turns[-1].blocks[:-1], msgspec.structs.replace(last, cache=mark))
                turns[-1] = msgspec.structs.replace(turns[-1], blocks=blocks)
        return tuple(turns)

    def _max_output(self) -> int | None:
        limit = self._fields.count("max_tokens")
        if limit is None or limit > 0:
            return limit
        # 0 only warms Anthropic's cache; nobody else can answer nothing.
        self._content.dropped.append("max_tokens")
        return 1

    def _stop(self) -> tuple[str, ...]:
        stop = self._fields.array("stop_sequences")
        for index, text in enumerate(stop):
            if not isinstance(text, str):
                at = f"stop_sequences[{index}]"
                raise BadRequest(f"{at}: must be a string.", param=at)
        return tuple(text for text in stop if text)

    def _sampling(self) -> Sampling:
        """Return the sampling asked for: none beside thinking, which excludes it (dialects.md §1.3; Qwen Code sends both)."""
        fields = self._fields
        temperature, top_p, top_k = (
            fields.number("temperature"),
            fields.number("top_p"),
            fields.count("top_k"),
        )
        thinking = fields.object("thinking")
        if thinking is None or thinking.text("type") == "disabled":
            return Sampling(temperature=temperature, top_p=top_p, top_k=top_k)
        says = {
            "temperature": temperature not in {None, 1},
            "top_p": top_p not in {None, 1},
            "top_k": top_k is not None,
        }
        self._content.dropped += [name for name, matters in says.items() if matters]
        return Sampling()

    def _effort(self) -> str | None:
        config = self._fields.object("output_config")
        return self._late_effort or (config.text("effort") if config is not None else None)

    def _reasoning(self) -> ReasoningWish | None:
        thinking, effort = self._fields.object("thinking"), self._effort()
        if thinking is None:
            return None if effort is None else ReasoningWish(mode="level", level=effort)
        mode = thinking.needed_text("type")
        if mode == "disabled":
            return ReasoningWish(mode="off")
        visible: Literal["none", "summary"] = "none" if thinking.text("display") == "omitted" else "summary"
        if mode == "enabled":
            budget = thinking.count("budget_tokens")
            if budget is None:
                raise thinking.refuse("budget_tokens", "a whole number; it is missing")
            return ReasoningWish(mode="budget", budget=budget, level=effort, visible=visible)
        # `adaptive`, `between_tools` and whatever comes next leave the amount to the model.
        return ReasoningWish(mode="auto", level=effort, visible=visible)

    def _output(self) -> OutputFormat | None:
        config = self._fields.object("output_config")
        wanted = config.object("format") if config is not None else None
        wanted = wanted or self._fields.object("output_format")
        schema = wanted.object("schema") if wanted is not None else None
        return None if schema is None else OutputFormat(kind="schema", schema=schema.values, strict=True)

    def _paths(self) -> dict[str, str]:
        paths = dict(PATHS)
        if self._fields.values.get("thinking") is None:
            paths["reasoning"] = "output_config.effort"
        if self._fields.values.get("output_format") is not None:
            paths["output"] = "output_format"
        config = self._fields.object("output_config")
        if config is not None and config.values.get("task_budget") is not None:
            self._content.dropped.append(config.path("task_budget"))
        return paths


def _split(role: Role, blocks: list[Block], at: str) -> list[Turn]:
    """Return a message as turns: tool results apart from what the user says beside them, in their order."""
    runs = groupby(blocks, key=lambda block: isinstance(block, ToolResultBlock))
    return [Turn(role="tool" if answers else role, blocks=tuple(run), at=at) for answers, run in runs]
