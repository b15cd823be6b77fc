"""How many input tokens a request will count, for providers that cannot tell beforehand.

The estimate leans high on purpose: a client that believes a low figure compacts too late and its
request is refused (router-for-me/CLIProxyAPI#679); 1.15 times OpenAI's tokenizer still counted
too few for Claude (caozhiyuan/copilot-api#134). So three bytes of UTF-8 are taken for one token
(English prose has about four, code about three, Chinese about three a character), a picture for
the most that Claude charges for one, a document by its size.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    ImageBlock,
    ReasoningBlock,
    RefusalBlock,
    Request,
    Source,
    TextBlock,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
)
from pi_model_proxy.wire import compact_json

__all__ = ["estimate_input_tokens"]

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
