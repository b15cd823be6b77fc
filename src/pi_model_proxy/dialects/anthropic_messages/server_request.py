"""A caller's Messages request, read into the hub.

Sources: dialects.md §1.1 AM, §1.2, §1.3; clients.md §3 (Claude Code's first request).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT, ContentReader, cache_mark
from pi_model_proxy.dialects.anthropic_messages.server_tools import parallel_tools, read_tool, tool_choice
from pi_model_proxy.dialects.anthropic_messages.user_id import session_of_user
from pi_model_proxy.dialects.reading import Fields, read_json, says_nothing, too_deep
from pi_model_proxy.errors import BadRequest, ThreadNotFound
from pi_model_proxy.hub import (
    Block,
    DocumentBlock,
    ImageBlock,
    OutputFormat,
    RawBlock,
    ReasoningWish,
    Request,
    Role,
    Sampling,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

__all__ = ["decode_request", "shows_reasoning"]

PATHS: Final = {
    "max_output": "max_tokens",
    "stop": "stop_sequences",
    "sampling.temperature": "temperature",
    "sampling.top_p": "top_p",
    "sampling.top_k": "top_k",
    "reasoning": "thinking",
    "reasoning.visible": "thinking.display",
    "output": "output_config.format",
    "output.schema": "output_config.format.schema",
    "output.strict": "output_config.format",
    "tool_choice": "tool_choice",
    "parallel_tools": "tool_choice.disable_parallel_tool_use",
    "end_user": "metadata.user_id",
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
_MARKABLE: Final = (TextBlock, ImageBlock, DocumentBlock, ToolCallBlock, ToolResultBlock)
SERVICE_TIERS: Final = {"standard_only": "default"}
"""`auto` is what every dialect does unasked; others are Anthropic's own."""
_OF_MESSAGE: Final = frozenset({"role", "content"})
_OF_INSTRUCTION: Final = _OF_MESSAGE | {"output_config", "clear_at"}
_OF_ADDITION: Final = frozenset({"type", "tool"})
_OF_ADDED: Final = frozenset({"type", "definition"})
_OF_SYSTEM: Final = frozenset({"type", "text", "cache_control"})
_OF_METADATA: Final = frozenset({"user_id"})
_OF_THINKING: Final = frozenset({"type", "budget_tokens", "display"})
_OF_CONFIG: Final = frozenset({"effort", "format"})
_OF_FORMAT: Final = frozenset({"type", "schema"})
_EFFORT: Final = frozenset({"effort"})
_DISPLAYS: Final = frozenset({None, "summarized", "omitted"})


_block_decoder = msgspec.json.Decoder(dict[str, Any])


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
        raise too_deep() from error


class _RequestReader:
    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._dropped: list[str] = []
        self._content = ContentReader(self._dropped)
        self._tools = [read_tool(each, self._dropped) for each in fields.objects("tools")]
        self._effort: str | None = None
        self._effort_path = "output_config.effort"
        """Where the effort stands that counts: the last one named."""

    def request(self) -> Request:
        fields, dropped = self._fields, self._dropped
        end_user = self._end_user()
        self._refuse_threads()
        choice = fields.object("tool_choice")
        config = fields.object("output_config") or Fields({}, "output_config")
        config.unread(_OF_CONFIG, dropped)
        self._effort = config.text("effort")
        turns = self._turns()
        return Request(
            dialect=DIALECT,
            model=fields.text("model"),
            stream=bool(fields.flag("stream")),
            instructions=self._instructions(),
            turns=self._with_top_level_mark(turns),
            tools=tuple(self._tools),
            tool_choice=tool_choice(choice, dropped),
            parallel_tools=parallel_tools(choice),
            max_output=self._max_output(),
            stop=self._stop(),
            sampling=self._sampling(),
            reasoning=self._reasoning(),
            output=self._output(config),
            session=session_of_user(end_user),
            end_user=end_user,
            service_tier=self._service_tier(),
            extra={
                name: value
                for name, value in fields.values.items()
                if name not in KNOWN_FIELDS and not says_nothing(value)
            },
            paths=self._paths(config),
            dropped=tuple(dropped),
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
        self._dropped.append("thread")

    def _instructions(self) -> tuple[TextBlock, ...]:
        """Return `system`, a string or text blocks."""
        system = self._fields.values.get("system")
        if isinstance(system, str):
            return (TextBlock(text=system, at="system"),)
        if system is not None and not isinstance(system, list):
            self._fields.refuse("system", "must be a string or an array of text blocks")
        blocks: list[TextBlock] = []
        for block in self._fields.objects("system"):
            block.unread(_OF_SYSTEM, self._dropped)
            mark = cache_mark(block, self._dropped)
            blocks.append(TextBlock(text=block.needed_text("text"), cache=mark, at=block.at))
        return tuple(blocks)

    def _turns(self) -> list[Turn]:
        if not self._fields.array("messages"):
            self._fields.refuse("messages", "must be an array with at least one message")
        turns: list[Turn] = []
        for message in self._fields.objects("messages"):
            role = ROLES.get(message.needed_text("role"))
            if role is None:
                message.refuse("role", "must be one of user, assistant, system")
            message.unread(_OF_INSTRUCTION if role == "system" else _OF_MESSAGE, self._dropped)
            blocks = self._content.blocks(message)
            if role == "system":
                blocks = self._instruction_blocks(message, blocks)
            turns.extend(_split(role, blocks, message.at))
        return turns

    def _instruction_blocks(self, message: Fields, blocks: list[Block]) -> list[Block]:
        """Take from a system message what is no text: an effort, and tools that join or leave."""
        config = message.object("output_config")
        if config is not None:
            config.unread(_EFFORT, self._dropped)
            if effort := config.text("effort"):
                self._effort, self._effort_path = effort, config.path("effort")
        if message.values.get("clear_at") is not None:
            self._dropped.append(message.path("clear_at"))
        kept: list[Block] = []
        for block in blocks:
            if not isinstance(block, RawBlock):
                kept.append(block)
            elif not self._adds_tool(block):
                self._dropped.append(block.at)
        return kept

    def _adds_tool(self, block: RawBlock) -> bool:
        whole = Fields(_block_decoder.decode(block.data), block.at)
        tool = whole.object("tool")
        added = tool is not None and block.type_name == "tool_addition"
        definition = tool.object("definition") if added and tool is not None else None
        if tool is None or definition is None:
            return False
        whole.unread(_OF_ADDITION, self._dropped)
        tool.unread(_OF_ADDED, self._dropped)
        self._tools.append(read_tool(definition, self._dropped))
        return True

    def _with_top_level_mark(self, turns: list[Turn]) -> tuple[Turn, ...]:
        """Put the body's own cache mark where Anthropic would: on the last block that can carry one."""
        mark = cache_mark(self._fields, self._dropped)
        if mark is None:
            return tuple(turns)
        for index in range(len(turns) - 1, -1, -1):
            blocks = turns[index].blocks
            for place in range(len(blocks) - 1, -1, -1):
                block = blocks[place]
                if not isinstance(block, _MARKABLE):
                    continue
                if block.cache is not None and (block.cache.ttl or "5m") != (mark.ttl or "5m"):
                    self._dropped.append(mark.at)
                marked = msgspec.structs.replace(block, cache=block.cache or mark)
                turns[index] = msgspec.structs.replace(
                    turns[index], blocks=(*blocks[:place], marked, *blocks[place + 1 :])
                )
                return tuple(turns)
        self._dropped.append(mark.at)
        return tuple(turns)

    def _max_output(self) -> int | None:
        limit = self._fields.whole("max_tokens")
        if limit is None or limit > 0:
            return limit
        # 0 only warms Anthropic's cache; nobody else can answer nothing.
        self._dropped.append("max_tokens")
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
            fields.whole("top_k"),
        )
        thinking = fields.object("thinking")
        if thinking is None or thinking.text("type") == "disabled":
            return Sampling(temperature=temperature, top_p=top_p, top_k=top_k)
        says = {
            "temperature": temperature not in {None, 1},
            "top_p": top_p not in {None, 1},
            "top_k": top_k is not None,
        }
        self._dropped += [name for name, matters in says.items() if matters]
        return Sampling()

    def _reasoning(self) -> ReasoningWish | None:
        thinking, effort = self._fields.object("thinking"), self._effort
        if thinking is None:
            return None if effort is None else ReasoningWish(mode="level", level=effort)
        thinking.unread(_OF_THINKING, self._dropped)
        display, budget = thinking.text("display"), thinking.whole("budget_tokens")
        mode = thinking.needed_text("type")
        if display not in _DISPLAYS:
            self._dropped.append(thinking.path("display"))
        if mode != "enabled" and budget is not None:
            self._dropped.append(thinking.path("budget_tokens"))
        if mode in {"enabled", "disabled"} and effort is not None:
            # A budget says it more exactly, and there is no effort in not thinking.
            self._dropped.append(self._effort_path)
        if mode == "disabled":
            return ReasoningWish(mode="off")
        visible: Literal["none", "summary"] = "none" if display == "omitted" else "summary"
        if mode == "enabled":
            if budget is None:
                thinking.refuse("budget_tokens", "must be a whole number; it is missing")
            return ReasoningWish(mode="budget", budget=budget, visible=visible)
        if mode != "adaptive":
            # `between_tools` and whatever comes next: the amount is left to the model, the rest is Anthropic's.
            self._dropped.append(thinking.path("type"))
        return ReasoningWish(mode="auto", level=effort, visible=visible)

    def _output(self, config: Fields) -> OutputFormat | None:
        wanted, older = config.object("format"), self._fields.object("output_format")
        if wanted is not None and older is not None:
            self._dropped.append(older.at)
        wanted = wanted or older
        if wanted is None:
            return None
        wanted.unread(_OF_FORMAT, self._dropped)
        schema = wanted.object("schema")
        if schema is None:
            self._dropped.append(wanted.at)
            return None
        return OutputFormat(kind="schema", schema=schema.values, strict=True)

    def _end_user(self) -> str | None:
        metadata = self._fields.object("metadata")
        if metadata is None:
            return None
        metadata.unread(_OF_METADATA, self._dropped)
        return metadata.text("user_id")

    def _service_tier(self) -> str | None:
        tier = self._fields.text("service_tier")
        if tier not in {None, "auto", *SERVICE_TIERS}:
            self._dropped.append("service_tier")
        return SERVICE_TIERS.get(tier or "")

    def _paths(self, config: Fields) -> dict[str, str]:
        paths = {**PATHS, "reasoning.level": self._effort_path}
        if self._fields.values.get("thinking") is None:
            paths["reasoning"] = self._effort_path
        if config.values.get("format") is None and "output_format" in self._fields.values:
            paths |= {
                "output": "output_format",
                "output.schema": "output_format.schema",
                "output.strict": "output_format",
            }
        return paths


def _split(role: Role, blocks: list[Block], at: str) -> list[Turn]:
    """Return a message as turns: tool results apart from what the user says beside them, in their order."""
    runs = groupby(blocks, key=lambda block: isinstance(block, ToolResultBlock))
    return [Turn(role="tool" if answers else role, blocks=tuple(run), at=at) for answers, run in runs]
