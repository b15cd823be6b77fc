"""What the three formats' request bodies have in common, read without trusting any of it; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pi_model_proxy.demo.scenes import Offered, Result

__all__ = ["Conversation", "Refused", "integer", "objects", "offered", "strings", "text"]

_TEXTS = frozenset({"text", "input_text", "output_text"})
_IMAGES = frozenset({"image", "image_url", "input_image"})
_DOCUMENTS = frozenset({"document", "file", "input_file"})


class Refused(Exception):
    """The request is answered with an error in its format's words."""

    def __init__(
        self,
        status: int,
        type_: str,
        message: str,
        *,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.message = message
        self.code = code
        self.retry_after_s = retry_after_s


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in an array; of anything else none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return a string; of anything else an empty one."""
    return value if isinstance(value, str) else ""


def strings(value: object) -> tuple[str, ...]:
    """Return one string or an array's strings."""
    if isinstance(value, str):
        return (value,)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def integer(value: object) -> int | None:
    """Return a whole number, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def offered(name: object, schema: object, *, custom: bool = False) -> Offered:
    """Return a tool that may be called."""
    return Offered(name=text(name), schema=schema if isinstance(schema, dict) else {}, custom=custom)


class Conversation:
    """Collects what a request's messages say."""

    def __init__(self) -> None:
        self.user_text = ""
        self.chars = 0
        self.images = 0
        self.documents = 0
        self.results: list[Result] = []
        """Since the last answer."""
        self._tool_names: dict[str, str] = {}

    def add(self, role: str, content: object) -> None:
        """Take a message's content: a string, or parts."""
        if role == "assistant":
            self.results = []
        said = self.count(content)
        if role == "user" and said.strip():
            self.user_text = said

    def call(self, call_id: object, name: object, arguments: object) -> None:
        """Take an earlier call of the model's own."""
        self.results = []
        self._tool_names[text(call_id)] = text(name)
        self.chars += len(text(name)) + len(text(arguments) or _json(arguments))

    def result(self, call_id: object, content: object) -> None:
        """Take what a tool gave back."""
        name = self._tool_names.get(text(call_id), "an unknown tool")
        self.results.append(Result(name=name, text=self.count(content)))

    def weigh(self, value: object) -> None:
        """Take something else that costs input, tools for example."""
        self.chars += len(_json(value)) if value else 0

    def count(self, content: object) -> str:
        """Count what a content holds and return its text."""
        if isinstance(content, str):
            self.chars += len(content)
            return content
        said = [text(part.get("text")) for part in self._parts(content)]
        self.chars += sum(map(len, said))
        return "\n".join(each for each in said if each)

    def _parts(self, content: object) -> Iterator[dict[str, Any]]:
        """Yield the text parts of `content`, counting the others."""
        for part in objects(content):
            kind = part.get("type")
            if kind in _TEXTS:
                yield part
            self.images += kind in _IMAGES
            self.documents += kind in _DOCUMENTS


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
