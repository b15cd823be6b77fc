"""A caller's parts, read into hub blocks.

Sources: dialects.md §1.1 GM (parts), §1.2; clients.md §4.3 (either alphabet of base64).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.reading import ProtoFields, camel, says_nothing
from pi_model_proxy.dialects.media import base64_of, readable
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RawBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    UrlSource,
)
from pi_model_proxy.wire import compact_json

__all__ = ["PartReader"]

KINDS: Final = (
    "functionCall", "functionResponse", "inlineData", "fileData", "executableCode", "codeExecutionResult",
    "toolCall", "toolResponse", "text",
)  # fmt: skip
"""What a part can be, in the order in which it is looked for (a call may carry an empty text)."""
_TOKEN_MEMBERS: Final = frozenset({"thought", "thoughtSignature"})
_OF_PART: Final = _TOKEN_MEMBERS | {"text", "inlineData", "fileData", "functionCall", "functionResponse"}
_OF_CALL: Final = frozenset({"id", "name", "args"})
_OF_RESULT: Final = frozenset({"id", "name", "response", "parts"})
_OF_BLOB: Final = frozenset({"mimeType", "data"})
_OF_FILE: Final = frozenset({"mimeType", "fileUri"})
_NAME: Final = frozenset({"displayName"})
_AUDIO_FORMATS: Final = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}
_OWN_FILES: Final = ("gs://", "https://generativelanguage.googleapis.com/", "files/")
"""Files that only Google can open."""
_VIDEOS: Final = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")
_RESULT_WORDS: Final = ("output", "result")
"""Google's own word for what a function gave back, and the one its SDKs write."""
_ERROR_WORD: Final = "error"
_NAMED_CONTENT: Final = frozenset({"name", "content"})
"""How @ai-sdk/google 3.0 writes a result: the function's name again, and what it gave back."""

ResultContent = TextBlock | ImageBlock | DocumentBlock | RawBlock


class PartReader:
    """Reads parts; collects in `dropped` the paths of what the hub has no place for."""

    def __init__(self, dropped: list[str]) -> None:
        self.dropped = dropped
        self._readers: dict[str, Callable[[ProtoFields], Block]] = {
            "text": self._text,
            "inlineData": self._inline_data,
            "fileData": self._file_data,
            "functionCall": self._call,
            "functionResponse": self._result,
        }

    def block(self, part: ProtoFields) -> Block:
        """Return what a part says, without its token; an empty text for one that is nothing but a token.

        Raises:
            BadRequest: names the JSON path.
        """
        kind = next((name for name in KINDS if part.values.get(name) is not None), None)
        if kind is None:
            # Nothing, a token alone, or something that does not exist yet.
            others = [name for name in part.names() if name not in _TOKEN_MEMBERS]
            return _raw(part, others[0]) if others else TextBlock(text="", at=part.at)
        if kind not in self._readers:
            return _raw(part, kind)
        block = self._readers[kind](part)
        if not isinstance(block, RawBlock):
            part.unread(_OF_PART, self.dropped)
        return block

    @staticmethod
    def _text(part: ProtoFields) -> Block:
        text = part.needed_text("text")
        if part.flag("thought"):
            return ReasoningBlock(text=text, summary=True, at=part.at)
        return TextBlock(text=text, at=part.at)

    def _call(self, part: ProtoFields) -> Block:
        call = _needed(part, "functionCall")
        call.unread(_OF_CALL, self.dropped)
        args = call.object("args")
        return ToolCallBlock(
            id=call.text("id") or "",
            name=call.filled_text("name"),
            arguments="" if args is None else compact_json(args.given).decode(),
            at=part.at,
        )

    def _result(self, part: ProtoFields) -> Block:
        result = _needed(part, "functionResponse")
        result.unread(_OF_RESULT, self.dropped)
        name = result.text("name")
        text, is_error = _said(result.values.get("response"), name)
        content: list[ResultContent] = []
        for each in result.objects("parts"):
            block = self.block(each)
            if isinstance(block, ImageBlock | DocumentBlock | TextBlock | RawBlock):
                content.append(block)
            else:
                self.dropped.append(each.at)
        if text or not content:
            content.insert(0, TextBlock(text=text, at=result.path("response")))
        return ToolResultBlock(
            call_id=result.text("id") or "",
            name=name,
            content=tuple(content),
            is_error=is_error,
            at=result.at,
        )

    def _inline_data(self, part: ProtoFields) -> Block:
        blob = _needed(part, "inlineData")
        media_type = blob.needed_text("mimeType").partition(";")[0].strip().lower()
        data = base64_of(blob, "data", blob.needed_text("data"))
        if media_type.startswith("image/"):
            blob.unread(_OF_BLOB, self.dropped)
            return ImageBlock(source=DataSource(media_type=media_type, data=data), at=part.at)
        if media_type in _AUDIO_FORMATS:
            blob.unread(_OF_BLOB, self.dropped)
            return AudioBlock(data=data, format=_AUDIO_FORMATS[media_type], at=part.at)
        if media_type.startswith(("audio/", "video/")):
            return _raw(part, "inlineData")
        blob.unread(_OF_BLOB | _NAME, self.dropped)
        source = DataSource(media_type=media_type, data=data)
        return DocumentBlock(source=readable(source), name=blob.text("displayName"), at=part.at)

    def _file_data(self, part: ProtoFields) -> Block:
        file = _needed(part, "fileData")
        uri = file.filled_text("fileUri")
        media_type = (file.text("mimeType") or "").lower()
        if media_type.startswith(("video/", "audio/")) or uri.startswith(_VIDEOS):
            return _raw(part, "fileData")
        is_web = uri.lower().startswith(("http://", "https://")) and not uri.startswith(_OWN_FILES)
        source = UrlSource(url=uri) if is_web else FileSource(file_id=uri)
        if media_type.startswith("image/"):
            file.unread(_OF_FILE, self.dropped)
            return ImageBlock(source=source, at=part.at)
        file.unread(_OF_FILE | _NAME, self.dropped)
        return DocumentBlock(source=source, name=file.text("displayName"), at=part.at)


def _needed(part: ProtoFields, name: str) -> ProtoFields:
    found = part.object(name)
    if found is None:  # pragma: no cover - looked for by its presence
        part.refuse(name, "must be an object")
    return found


def _raw(part: ProtoFields, kind: str) -> RawBlock:
    data = {camel(name): value for name, value in part.given.items()}
    return RawBlock(dialect=DIALECT, type_name=kind, data=compact_json(data).decode(), at=part.at)


def _said(response: Any, name: str | None) -> tuple[str, bool]:  # noqa: ANN401 - any JSON value
    """Return what a function gave back as text, and whether that is an error."""
    if says_nothing(response):
        return "", False
    if isinstance(response, dict) and response.keys() == _NAMED_CONTENT and response["name"] == name:
        return _as_text(response["content"]), False
    if isinstance(response, dict) and len(response) == 1:
        ((word, value),) = response.items()
        if word == _ERROR_WORD:
            return _as_text(value), True
        if word in _RESULT_WORDS:
            return _as_text(value), False
    return _as_text(response), False


def _as_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, str) else compact_json(value).decode()
