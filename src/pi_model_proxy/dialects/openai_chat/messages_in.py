"""A caller's messages, as hub instructions and turns.

Source: OpenAI's chat completions request schema (openai-python 3.54.0), with the leniency that
recorded requests of coding agents need: unknown keys are ignored, parts of other dialects kept raw.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.openai_chat.fields import Fields
from pi_model_proxy.dialects.openai_chat.reasoning_details import read_reasoning
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    CacheMark,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    Opaque,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
)

__all__ = ["DIALECT", "Conversation", "cache_mark", "json_text", "read_messages"]

DIALECT: Final = "openai_chat"

_INSTRUCTION_ROLES: Final = frozenset({"system", "developer"})
_ROLES: Final = "system, developer, user, assistant, tool or function"
_DATA_URL: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,(.*)", re.DOTALL | re.IGNORECASE)
_URL_SAFE: Final = str.maketrans("-_", "+/")
_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text"})


class Conversation(msgspec.Struct, frozen=True):
    """What a request's messages say."""

    instructions: tuple[TextBlock, ...]
    turns: tuple[Turn, ...]
    dropped: tuple[str, ...]
    """JSON paths of what the hub has no words for."""


def read_messages(request: Fields) -> Conversation:
    """Return the conversation in `request`'s `messages`.

    Raises:
        BadRequest: names the JSON path.
    """
    if not request.items("messages"):
        request.refuse("messages", "must be an array with at least one message.")
    reader = _Reader()
    for message in request.objects("messages"):
        reader.read(message)
    return Conversation(tuple(reader.instructions), tuple(reader.turns), tuple(reader.dropped))


class _Reader:
    """Collects turns; remembers the legacy function calls, which have no ids of their own."""

    def __init__(self) -> None:
        self.instructions: list[TextBlock] = []
        self.turns: list[Turn] = []
        self.dropped: list[str] = []
        self._legacy_ids: dict[str, str] = {}

    def read(self, message: Fields) -> None:
        role = message.text("role")
        if role in _INSTRUCTION_ROLES:
            self._instruction(message)
        elif role == "user":
            self._add("user", message, _parts(message))
        elif role == "assistant":
            self._add("assistant", message, self._assistant(message))
        elif role == "tool":
            call_id = message.text("tool_call_id")
            if not call_id:
                message.refuse("tool_call_id", "must name the call that this message answers.")
            self._add("tool", message, [_result(message, call_id)])
        elif role == "function":
            name = message.text("name") or ""
            self._add("tool", message, [_result(message, self._legacy_ids.get(name, _legacy_id(message)))])
        else:
            message.refuse("role", f"must be {_ROLES}.")

    def _instruction(self, message: Fields) -> None:
        blocks = _parts(message)
        if self.turns:
            self._add("system", message, blocks)
            return
        for block in blocks:
            if isinstance(block, TextBlock):
                self.instructions.append(block)
            else:
                self.dropped.append(block.at)

    def _add(self, role: Any, message: Fields, blocks: list[Block]) -> None:  # noqa: ANN401 - a literal's value
        self.turns.append(Turn(role=role, blocks=tuple(blocks), name=message.text("name"), at=message.at))

    def _assistant(self, message: Fields) -> list[Block]:
        blocks: list[Block] = [*read_reasoning(message.values, at=message.at)]
        blocks += _parts(message)
        refusal = message.text("refusal")
        if refusal:
            blocks.append(RefusalBlock(text=refusal, at=message.path("refusal")))
        if message.values.get("audio") is not None:
            self.dropped.append(message.path("audio"))
        blocks += [_call(call) for call in message.objects("tool_calls")]
        legacy = message.object("function_call")
        if legacy is not None:
            name = _required(legacy, "name")
            self._legacy_ids[name] = _legacy_id(message)
            arguments = json_text(legacy.values.get("arguments"))
            blocks.append(
                ToolCallBlock(id=self._legacy_ids[name], name=name, arguments=arguments, at=legacy.at)
            )
        return blocks


def _legacy_id(message: Fields) -> str:
    return f"call_function_{_place(message)}"


def _place(fields: Fields) -> str:
    """Return the indexes in a JSON path, to make ids from: `messages[3].tool_calls[1]` gives `3_1`."""
    return "_".join(re.findall(r"\d+", fields.at))


def _required(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if not value:
        fields.refuse(name, "must be a string that is not empty.")
    return value


def _call(call: Fields) -> ToolCallBlock:
    custom = call.object("custom")
    body = custom or call.object("function")
    if body is None:
        call.refuse("function", "must be an object with `name` and `arguments`.")
    name = _required(body, "name")
    arguments = (custom.text("input") or "") if custom else json_text(body.values.get("arguments"))
    return ToolCallBlock(
        id=call.text("id") or f"call_{_place(call)}",
        name=name,
        arguments=arguments,
        custom=custom is not None,
        opaque=_signature(call),
        at=call.at,
    )


def _signature(call: Fields) -> Opaque | None:
    """Read Gemini's thought signature, where its OpenAI-compatible endpoint puts it."""
    extra = call.values.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return (
        Opaque(kind="gemini_signature", data=signature) if isinstance(signature, str) and signature else None
    )


def json_text(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return tool arguments as JSON text: some clients send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def _result(message: Fields, call_id: str) -> ToolResultBlock:
    content: list[TextBlock | ImageBlock | DocumentBlock | RawBlock] = []
    for block in _parts(message):
        match block:
            case TextBlock() | ImageBlock() | DocumentBlock() | RawBlock():
                content.append(block)
            case RefusalBlock(text=text, at=at):
                content.append(TextBlock(text=text, at=at))
            case _:
                # No dialect takes sound or thinking from a tool; raw, it is dropped and listed.
                content.append(RawBlock(dialect="", type_name="part", data="null", at=block.at))
    return ToolResultBlock(
        call_id=call_id,
        content=tuple(content),
        name=message.text("name"),
        cache=cache_mark(message.values),
        at=message.at,
    )


def _parts(message: Fields) -> list[Block]:
    """Return a message's content: a string, or parts."""
    content = message.values.get("content")
    at = message.path("content")
    if content is None:
        return []
    if isinstance(content, str):
        return [TextBlock(text=content, cache=cache_mark(message.values), at=at)] if content else []
    if not isinstance(content, list):
        message.refuse("content", "must be a string or an array of parts.")
    blocks: list[Block] = []
    for index, part in enumerate(content):
        place = f"{at}[{index}]"
        if isinstance(part, str):
            blocks.append(TextBlock(text=part, at=place))
        elif isinstance(part, dict):
            blocks.append(_part(Fields(part, place)))
        else:
            message.refuse(f"content[{index}]", "must be an object with a `type`.")
    return blocks


def _part(part: Fields) -> Block:
    kind = part.text("type") or ("text" if "text" in part.values else "")
    if kind in _TEXT_PARTS:
        return TextBlock(text=part.text("text") or "", cache=cache_mark(part.values), at=part.at)
    reader = _PARTS.get(kind)
    if reader is not None:
        return reader(part)
    if not kind:
        part.refuse("type", "must name the part's type, e.g. `text` or `image_url`.")
    data = msgspec.json.encode(part.values).decode()
    return RawBlock(dialect=DIALECT, type_name=kind, data=data, at=part.at)


def _refusal(part: Fields) -> Block:
    return RefusalBlock(text=part.text("refusal") or "", at=part.at)


def _thinking(part: Fields) -> Block:
    """Read Mistral's content part; its text is a list of text parts."""
    text = part.values.get("thinking")
    if isinstance(text, list):
        text = "".join(
            each["text"] for each in text if isinstance(each, dict) and isinstance(each.get("text"), str)
        )
    return ReasoningBlock(text=text if isinstance(text, str) else "", at=part.at)


def _image(part: Fields) -> Block:
    image = part.values.get("image_url")
    holder = (
        Fields({"url": image}, part.path("image_url")) if isinstance(image, str) else part.object("image_url")
    )
    url = (holder.text("url") if holder else None) or ""
    if not holder or not url:
        part.refuse("image_url", "must be an object with a `url`.")
    source: DataSource | UrlSource
    if url[:5].lower() == "data:":
        source = _data_source(holder, "url", url)
    elif url.split(":", 1)[0].lower() in {"http", "https"}:
        source = UrlSource(url)
    else:
        holder.refuse("url", "must be an http(s) address or a data URL with base64.")
    return ImageBlock(source=source, detail=holder.text("detail"), cache=cache_mark(part.values), at=part.at)


def _data_source(holder: Fields, name: str, url: str) -> DataSource:
    found = _DATA_URL.fullmatch(url)
    if found is None or not found[3]:
        holder.refuse(name, "must be a data URL with base64: data:image/png;base64,...")
    return DataSource(
        media_type=found[1].lower() or "application/octet-stream", data=_base64(holder, name, found[4])
    )


def _base64(holder: Fields, name: str, text: str) -> str:
    """Return standard base64 with its padding; some clients send the URL-safe alphabet (google-genai)."""
    plain = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    padded = plain + "=" * (-len(plain) % 4)
    try:
        binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error as error:
        holder.refuse(name, f"holds broken base64 ({error}).")
    return padded


def _audio(part: Fields) -> Block:
    audio = part.object("input_audio")
    if audio is None:
        part.refuse("input_audio", "must be an object with `data` and `format`.")
    data = _base64(audio, "data", _required(audio, "data"))
    return AudioBlock(data=data, format=_required(audio, "format"), at=part.at)


def _file(part: Fields) -> Block:
    file = part.object("file")
    if file is None:
        part.refuse("file", "must be an object with `file_data` or `file_id`.")
    name, cache = file.text("filename"), cache_mark(part.values)
    file_id = file.text("file_id")
    if file_id:
        return DocumentBlock(source=FileSource(file_id), name=name, cache=cache, at=part.at)
    data = _required(file, "file_data")
    if data[:5].lower() == "data:":
        source = _data_source(file, "file_data", data)
    else:
        source = DataSource(media_type="application/pdf", data=_base64(file, "file_data", data))
    if source.media_type.startswith("image/"):
        return ImageBlock(source=source, cache=cache, at=part.at)
    return DocumentBlock(source=_readable(source), name=name, cache=cache, at=part.at)


def _readable(source: DataSource) -> DataSource | TextSource:
    """Turn a text file into its text, which every dialect can say."""
    if not source.media_type.startswith("text/"):
        return source
    try:
        return TextSource(base64.b64decode(source.data).decode("utf-8"))
    except UnicodeDecodeError:
        return source


_PARTS: Final = {
    "refusal": _refusal,
    "thinking": _thinking,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def cache_mark(values: dict[str, Any]) -> CacheMark | None:
    """Read Anthropic's `cache_control` (as OpenRouter and LiteLLM clients send it) or `prompt_cache_breakpoint`."""
    mark = values.get("cache_control")
    if isinstance(mark, dict):
        return CacheMark("1h" if mark.get("ttl") == "1h" else "5m" if mark.get("ttl") == "5m" else None)
    mark = values.get("prompt_cache_breakpoint")
    if isinstance(mark, dict):
        return CacheMark("1h" if mark.get("ttl") == "12h" else None)
    return None
