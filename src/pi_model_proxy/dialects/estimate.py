"""How many tokens a request and its answer are, for providers that do not tell.

The estimate leans high on purpose: a client that believes a low figure compacts too late and its
request is refused (router-for-me/CLIProxyAPI#679); 1.15 times OpenAI's tokenizer still counted
too few for Claude (caozhiyuan/copilot-api#134). So three bytes of UTF-8 are taken for one token
(English prose has about four, code about three, Chinese about three a character), a picture for
the most that Claude charges for one, a document by its size. Answers are taken by the same measure:
for prose a third too much, for code about right, never a zero that would pass for a free answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pi_model_proxy.hub import (
    ArgumentsDelta,
    AudioBlock,
    Block,
    BlockStart,
    DataSource,
    DocumentBlock,
    Event,
    Finish,
    ImageBlock,
    Message,
    OpaqueDelta,
    ReasoningBlock,
    RefusalBlock,
    Request,
    Source,
    Start,
    TextBlock,
    TextDelta,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Usage,
    UsageUpdate,
)
from pi_model_proxy.wire import compact_json

__all__ = ["UsageFiller", "estimate_input_tokens", "estimate_usage"]

BYTES_PER_TOKEN: Final = 3
OPAQUE_BYTES_PER_TOKEN: Final = 4
"""Encrypted thinking is base64 of something compressed."""
IMAGE_TOKENS: Final = 1600
"""(width x height) / 750 of the largest picture that is not scaled down (1568 pixels)."""
MIN_DOCUMENT_TOKENS: Final = 3000
"""A page as text and as picture."""
DOCUMENT_BYTES_PER_TOKEN: Final = 25
"""A page of PDF has some 60 KB or more."""
AUDIO_BYTES_PER_TOKEN: Final = 100
TURN_TOKENS: Final = 8
BLOCK_TOKENS: Final = 4
CALL_TOKENS: Final = 16
TOOL_TOKENS: Final = 24
TOOLS_TOKENS: Final = 500
"""What Anthropic's own instructions about tool use add (346 in its documentation), rounded up."""
REQUEST_TOKENS: Final = 16


def estimate_input_tokens(request: Request) -> int:
    """Return an estimate, leaning high, of all input: system, turns, tools, pictures, thinking."""
    total = REQUEST_TOKENS
    total += sum(_block_tokens(block) for block in request.instructions)
    for turn in request.turns:
        total += TURN_TOKENS + sum(_block_tokens(block) for block in turn.blocks)
    if request.tools:
        total += TOOLS_TOKENS + sum(_tool_tokens(tool) for tool in request.tools)
    if request.output is not None and request.output.schema is not None:
        total += _bytes_tokens(len(compact_json(request.output.schema)))
    return total


def estimate_usage(request: Request, message: Message) -> Usage:
    """Return what an answer used, as far as can be guessed from both sides; leans high as described above."""
    said = thought = 0
    for block in message.blocks:
        if isinstance(block, ReasoningBlock):
            thought += _thought_tokens(block)
        else:
            said += _answer_tokens(block)
    return Usage(
        input=estimate_input_tokens(request), output=said + thought, reasoning=thought, estimated=True
    )


def _answer_tokens(block: Block) -> int:
    """Return the tokens of what the model itself wrote; a block that only its provider knows is not among it."""
    match block:
        case TextBlock(text=text) | RefusalBlock(text=text):
            return _text_tokens(text)
        case ToolCallBlock(name=name, arguments=arguments):
            return CALL_TOKENS + _text_tokens(name) + _text_tokens(arguments)
        case _:
            return 0


def _thought_tokens(block: ReasoningBlock) -> int:
    """Return the tokens of thinking; where it is hidden, its sealed form tells how long it was."""
    sealed = _bytes_tokens(len(block.opaque.data), OPAQUE_BYTES_PER_TOKEN) if block.opaque is not None else 0
    return _text_tokens(block.text) if block.text else sealed


class UsageFiller:
    """Watches one answer go by and knows what must be said of its usage before it ends.

    An upstream that tells nothing, or zeros, is filled in with an estimate; one that told only its
    input (a stream of Messages that was cut short by its server) gets its output estimated.
    """

    __slots__ = ("_input_tokens", "_reasoning", "_said", "_thinks", "_told")

    def __init__(self, input_tokens: Callable[[], int]) -> None:
        """Take what estimates the input (`estimate_input_tokens` of the request); called only when it is needed."""
        self._input_tokens = input_tokens
        self._told: Usage | None = None
        self._said = 0
        """Bytes."""
        self._reasoning = 0
        """Bytes, apart from what was said."""
        self._thinks = False

    def filled(self, events: list[Event]) -> list[Event]:
        """Return the next events with what must be told before one of them; mostly the very same list."""
        for place, event in enumerate(events):
            missing = self.before(event)
            if missing is not None:
                return [*events[:place], missing, *events[place:]]
        return events

    def before(self, event: Event) -> UsageUpdate | None:
        """Take the next event and return what must be told before it; None for all but a `Finish`."""
        if type(event) is TextDelta or type(event) is ArgumentsDelta:  # nearly every event: the quick way
            text = event.text
            size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
            if self._thinks:
                self._reasoning += size
            else:
                self._said += size
            return None
        match event:
            case BlockStart(block=block):
                self._begin(block)
            case OpaqueDelta(opaque=opaque) if self._thinks and not self._reasoning:
                self._reasoning += len(opaque.data) * BYTES_PER_TOKEN // OPAQUE_BYTES_PER_TOKEN
            case UsageUpdate(usage=usage):
                self._told = usage
            case Start(usage=usage):
                self._told = usage
            case Finish():
                return self._missing()
        return None

    def _begin(self, block: Block) -> None:
        self._thinks = isinstance(block, ReasoningBlock)
        if isinstance(block, ToolCallBlock):
            self._said += CALL_TOKENS * BYTES_PER_TOKEN + len(block.name)

    def _missing(self) -> UsageUpdate | None:
        told = self._told
        said, thought = _bytes_tokens(self._said), _bytes_tokens(self._reasoning)
        if told is None or not told.total:
            total = said + thought
            return UsageUpdate(
                Usage(input=self._input_tokens(), output=total, reasoning=thought, estimated=True)
            )
        if told.output or not said + thought:
            return None
        return UsageUpdate(
            msgspec.structs.replace(told, output=said + thought, reasoning=thought, estimated=True)
        )


def _bytes_tokens(size: int, per_token: int = BYTES_PER_TOKEN) -> int:
    return -(-size // per_token)


def _text_tokens(text: str) -> int:
    return _bytes_tokens(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")))


def _tool_tokens(tool: Tool) -> int:
    described = _text_tokens(tool.name) + _text_tokens(tool.description or "")
    defined = tool.raw if tool.kind == "server" else ""
    schema = _bytes_tokens(len(compact_json(tool.schema))) if tool.schema is not None else 0
    return TOOL_TOKENS + described + schema + _text_tokens(defined)


def _block_tokens(block: Block) -> int:
    match block:
        case TextBlock(text=text) | RefusalBlock(text=text):
            tokens = _text_tokens(text)
        case ReasoningBlock(text=text, opaque=opaque):
            token = _bytes_tokens(len(opaque.data), OPAQUE_BYTES_PER_TOKEN) if opaque is not None else 0
            tokens = _text_tokens(text) + token
        case ToolCallBlock(name=name, arguments=arguments):
            tokens = CALL_TOKENS + _text_tokens(name) + _text_tokens(arguments)
        case ToolResultBlock(content=content):
            tokens = CALL_TOKENS + sum(_block_tokens(part) for part in content)
        case ImageBlock():
            tokens = IMAGE_TOKENS
        case DocumentBlock(source=source):
            tokens = _text_tokens(f"{block.name or ''}{block.context or ''}") + _document_tokens(source)
        case AudioBlock(data=data):
            tokens = _bytes_tokens(len(data), AUDIO_BYTES_PER_TOKEN)
        case _:
            tokens = _text_tokens(block.data)
    return BLOCK_TOKENS + tokens


def _document_tokens(source: Source) -> int:
    match source:
        case TextSource(text=text):
            return _text_tokens(text)
        case DataSource(data=data):
            return max(MIN_DOCUMENT_TOKENS, _bytes_tokens(len(data), DOCUMENT_BYTES_PER_TOKEN))
        case _:
            return MIN_DOCUMENT_TOKENS
