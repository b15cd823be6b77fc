"""What never became a request, and the answer to it. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

__all__ = ["MALFORMED", "Refusal", "refusal_answer"]

MALFORMED: Final = "The request is not valid HTTP/1.1."
_HEAD: Final = (
    b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-request-id: %s\r\nx-pi-model-proxy-error: http_request_error\r\nconnection: close\r\n\r\n"
)


class Refusal(Exception):
    """Bytes that are answered once, before any application sees them; then the connection closes.

    After anything ambiguous nothing more is read: it might be the body, or the next request.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def refusal_answer(refusal: Refusal, request_id: str) -> bytes:
    """Return the whole answer; no dialect is known yet, so it is OpenAI's envelope."""
    error = {"message": refusal.message, "type": "invalid_request_error", "param": None, "code": None}
    body = msgspec.json.encode({"error": error})
    reason = HTTPStatus(refusal.status).phrase.encode()
    return _HEAD % (refusal.status, reason, len(body), request_id.encode()) + body
