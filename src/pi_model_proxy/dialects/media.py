"""Pictures and files as the OpenAI formats write them: web addresses, data URLs, base64.

Source: RFC 2397 (data URLs); OpenAI's `input_image` and `input_file` (openai-python 3.54.0).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import DataSource, TextSource, UrlSource

__all__ = ["base64_of", "readable", "source_of"]

_DATA_URL: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,(.*)", re.DOTALL | re.IGNORECASE)
_URL_SAFE: Final = str.maketrans("-_", "+/")
_WEB: Final = frozenset({"http", "https"})


def source_of(holder: Fields, name: str, url: str) -> DataSource | UrlSource:
    """Return what the address in a member stands for.

    Raises:
        BadRequest: neither a web address nor a data URL with base64.
    """
    if url[:5].lower() == "data:":
        found = _DATA_URL.fullmatch(url)
        if found is None or not found[3]:
            holder.refuse(name, "must be a data URL with base64: data:image/png;base64,..")
        media_type = found[1].lower() or "application/octet-stream"
        return DataSource(media_type=media_type, data=base64_of(holder, name, found[4]))
    if url.partition(":")[0].lower() not in _WEB:
        holder.refuse(name, "must be an http(s) address or a data URL with base64")
    return UrlSource(url)


def base64_of(holder: Fields, name: str, text: str) -> str:
    """Return standard base64 with its padding; some clients send the URL-safe alphabet (google-genai).

    Raises:
        BadRequest: it is none.
    """
    plain = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    padded = plain + "=" * (-len(plain) % 4)
    try:
        binascii.a2b_base64(padded, strict_mode=True)
    except ValueError as error:  # of `binascii`, or what is not ASCII at all
        holder.refuse(name, f"holds broken base64 ({error})")
    return padded


def readable(source: DataSource) -> DataSource | TextSource:
    """Return a text file as its text, which every dialect can say; any other file as it is."""
    if not source.media_type.startswith("text/"):
        return source
    try:
        return TextSource(base64.b64decode(source.data).decode("utf-8"))
    except UnicodeDecodeError:
        return source
