"""Pictures and documents as Bedrock takes them: bytes with a format word, never an address.

Source: Bedrock's Converse reference (`ImageBlock`, `DocumentBlock`): a document's name is of
letters, digits, single spaces, hyphens, parentheses and square brackets, at most 200 characters.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final, NoReturn

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import DataSource, DocumentBlock, ImageBlock, Source, TextSource, UrlSource

__all__ = ["MediaWriter"]

Json = dict[str, Any]

MAX_NAME_CHARS: Final = 200
_IMAGES: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "application/json": "txt",
}
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_SPACES: Final = re.compile(r"\s+")
_UNNAMED: Final = "document"


class MediaWriter:
    """Writes the media of one request; document names are distinct within it."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._names: set[str] = set()

    def image(self, block: ImageBlock) -> Json:
        """Return a picture.

        Raises:
            UnsupportedFeature: it is an address, a file of another provider, or of an unknown type.
        """
        if not isinstance(block.source, DataSource):
            self._refuse(block.source, block.at)
        media_type = block.source.media_type.lower()
        if media_type not in _IMAGES:
            self._losses.refuse(block.at, why=f"`{media_type}` is no picture the provider reads")
        if block.detail not in {None, "auto"}:
            self._losses.member(block.at, "image.detail")
        return {"image": {"format": _IMAGES[media_type], "source": {"bytes": block.source.data}}}

    def document(self, block: DocumentBlock) -> Json:
        """Return a document.

        Raises:
            UnsupportedFeature: it is an address, a file of another provider, or of an unknown type.
        """
        match block.source:
            case TextSource(text=text):
                form, data = "txt", base64.b64encode(text.encode("utf-8", "replace")).decode()
            case DataSource(media_type=media_type, data=data):
                form = self._form(media_type.lower(), block.at)
            case source:
                self._refuse(source, block.at)
        written: Json = {"format": form, "name": self._name(block.name), "source": {"bytes": data}}
        if block.context:
            written["context"] = clean_text(block.context)
        if block.citations:
            written["citations"] = {"enabled": True}
        return {"document": written}

    def _form(self, media_type: str, at: str) -> str:
        form = _DOCUMENTS.get(media_type) or ("txt" if media_type.startswith("text/") else None)
        if form is None:
            self._losses.refuse(at, why=f"the provider reads no documents of type `{media_type}`")
        return form

    def _refuse(self, source: Source, at: str) -> NoReturn:
        is_address = isinstance(source, UrlSource)
        why = "the provider fetches no addresses" if is_address else "the file is stored at another provider"
        self._losses.refuse(at, why=f"{why}; send its content")

    def _name(self, given: str | None) -> str:
        bare = _ILLEGAL.sub("-", given or "")
        plain = _SPACES.sub(" ", bare).strip(" -")[:MAX_NAME_CHARS].strip() or _UNNAMED
        name, number = plain, 1
        while name in self._names:
            number += 1
            ending = f" ({number})"
            name = plain[: MAX_NAME_CHARS - len(ending)] + ending
        self._names.add(name)
        return name
