"""A caller's conversation, read into turns.

Calls have no ids in Ollama's older versions, and results name a tool instead of a call: both get
ids here, from their places, which stay the same while the conversation grows.

Sources: dialects.md §1.1 OL, §2.6; ollama-python 0.6.3 `Message`; Ollama's `api/types.go` (`tool_call_id`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pi_model_proxy.dialects.media import base64_of, source_of
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import (
    Block,
    DataSource,
    ImageBlock,
    ReasoningBlock,
    Role,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)
from pi_model_proxy.wire import compact_json

__all__ = ["Conversation", "read_messages", "read_prompt"]

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_OF_CALL: Final = frozenset({"id", "type", "function"})
_OF_FUNCTION: Final = frozenset({"index", "name", "arguments"})
_OF_ROLE: Final[dict[Role, frozenset[str]]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content", "images"}),
    "assistant": frozenset({"role", "content", "thinking", "tool_calls"}),
    "tool": frozenset({"role", "content", "images", "tool_name", "tool_call_id"}),
}
"""Members that mean something in a message of this role."""
_MAGIC: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
"""How the base64 of each kind of picture begins: this format does not name the kind."""


class Conversation(NamedTuple):
    """What was said, the instructions before it apart."""

    instructions: tuple[TextBlock, ...]
    turns: tuple[Turn, ...]


def read_prompt(request: Fields) -> Conversation:
    """Return what `/api/generate` is asked: `prompt` with its pictures, under `system`.

    Raises:
        BadRequest: names the JSON path.
    """
    system, prompt = request.text("system"), request.text("prompt")
    blocks: list[Block] = [TextBlock(text=prompt, at="prompt")] if prompt else []
    blocks += _pictures(request)
    if not blocks:
        request.refuse("prompt", "must be a string that is not empty")
    instructions = (TextBlock(text=system, at="system"),) if system else ()
    return Conversation(instructions, (Turn(role="user", blocks=tuple(blocks), at="prompt"),))


def read_messages(request: Fields, dropped: list[str]) -> Conversation:
    """Return the conversation; what the hub has no place for is added to `dropped`.

    Raises:
        BadRequest: names the JSON path; there is no message, or a role that does not exist.
    """
    messages = request.objects("messages")
    if not messages:
        request.refuse("messages", "must be an array with at least one message")
    instructions: list[TextBlock] = []
    turns: list[Turn] = []
    pairing = _Pairing()
    for message in messages:
        role = _ROLES.get((message.text("role") or "").lower())
        if role is None:
            message.refuse("role", "must be one of system, user, assistant, tool")
        message.unread(_OF_ROLE[role], dropped)
        turn = Turn(role=role, blocks=_blocks(message, role, pairing, dropped), at=message.at)
        if role == "system" and not turns:
            instructions += [block for block in turn.blocks if isinstance(block, TextBlock)]
        elif turn.blocks:
            turns.append(turn)
    return Conversation(tuple(instructions), tuple(turns))


def _blocks(message: Fields, role: Role, pairing: _Pairing, dropped: list[str]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if role == "assistant":
        thinking = message.text("thinking")
        if thinking:
            blocks.append(ReasoningBlock(text=thinking, at=message.path("thinking")))
    content = message.text("content")
    spoken = [TextBlock(text=content, at=message.path("content"))] if content else []
    if role == "tool":
        return (pairing.result(message, (*spoken, *_pictures(message))),)
    blocks += spoken
    if role == "user":
        blocks += _pictures(message)
    if role == "assistant":
        pairing.begin()
        blocks += [_call(call, pairing, dropped) for call in message.objects("tool_calls")]
    return tuple(blocks)


def _call(call: Fields, pairing: _Pairing, dropped: list[str]) -> ToolCallBlock:
    function = call.object("function")
    if function is None:
        call.refuse("function", "must be an object with a `name`")
    call.unread(_OF_CALL, dropped)
    function.unread(_OF_FUNCTION, dropped)
    arguments = function.values.get("arguments")
    block = ToolCallBlock(
        id=call.text("id") or pairing.made_id(),
        name=function.filled_text("name"),
        arguments=arguments if isinstance(arguments, str) else compact_json(arguments or {}).decode(),
        at=call.at,
    )
    pairing.open.append(block)
    return block


class _Pairing:
    """Gives ids to calls without one, and to results those of the calls they answer."""

    def __init__(self) -> None:
        self.open: list[ToolCallBlock] = []
        """Calls of the latest answer that wait for their results, in order."""
        self._made = 0

    def begin(self) -> None:
        self.open = []

    def made_id(self) -> str:
        self._made += 1
        return f"call_{self._made}"

    def result(self, message: Fields, content: tuple[TextBlock | ImageBlock, ...]) -> ToolResultBlock:
        """Return a result under its call's id: by id, else by the tool's name, else by order."""
        given, name = message.text("tool_call_id"), message.text("tool_name")
        fits = (
            [call for call in self.open if call.id == given]
            if given
            else [call for call in self.open if call.name == name] or self.open
        )
        call = fits[0] if fits else None
        if call is not None:
            self.open.remove(call)
        return ToolResultBlock(
            call_id=call.id if call is not None else given or self.made_id(),
            name=name or (call.name if call is not None else None),
            content=content,
            at=message.at,
        )


def _pictures(holder: Fields) -> list[ImageBlock]:
    """Return the pictures in `images`: bare base64, or (as some clients send it) data URLs.

    Raises:
        BadRequest: one is not base64, or no picture that models read.
    """
    pictures: list[ImageBlock] = []
    for index, given in enumerate(holder.array("images")):
        name = f"images[{index}]"
        if not isinstance(given, str):
            holder.refuse(name, "must be a picture as base64")
        pictures.append(ImageBlock(source=_picture(holder, name, given), at=holder.path(name)))
    return pictures


def _picture(holder: Fields, name: str, given: str) -> DataSource:
    if given[:5].lower() == "data:":
        source = source_of(holder, name, given)
        if isinstance(source, DataSource):
            return source
    data = base64_of(holder, name, given)
    media_type = next((kind for head, kind in _MAGIC if data.startswith(head)), None)
    if media_type is None:
        holder.refuse(name, "must be a PNG, JPEG, GIF or WebP picture as base64")
    return DataSource(media_type=media_type, data=data)
