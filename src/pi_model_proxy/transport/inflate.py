"""Undoing compression that we did not ask for, without falling for a bomb.

Source of the threat: CVE-2025-66471 (decompression bombs in streaming reads).
"""

from __future__ import annotations

import zlib
from typing import Final

from pi_model_proxy.errors import BrokenStream

__all__ = ["MAX_INFLATED_BYTES", "Inflater"]

MAX_INFLATED_BYTES: Final = 32 * 1024 * 1024
"""All the bytes one compressed answer may become."""

_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 47}


class Inflater:
    """Inflates gzip or deflate, split anywhere."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        bits = _WINDOW_BITS.get(encoding)
        self._inflate = None if bits is None else zlib.decompressobj(bits)
        self._total = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return what `chunk` inflates to.

        Raises:
            BrokenStream: not compressed as announced or in a way we know, or more than `MAX_INFLATED_BYTES` in all.
        """
        if self._inflate is None:
            raise BrokenStream(
                f"The provider compressed its answer with {self._encoding[:20]!r} although none was asked for; it cannot be read.",
                proxy_error="http_response_content_coding",
            )
        try:
            data = self._inflate.decompress(chunk, MAX_INFLATED_BYTES - self._total + 1)
        except zlib.error as error:
            raise BrokenStream(
                "The provider's answer is not compressed the way its header says.",
                proxy_error="http_response_content_coding",
            ) from error
        self._total += len(data)
        if self._total > MAX_INFLATED_BYTES:
            raise BrokenStream(
                f"The provider's compressed answer grew past {MAX_INFLATED_BYTES // 1024 // 1024} MiB; it was given up.",
                proxy_error="http_response_body_size",
            )
        return data
