"""The door: who asks, what the body is, and the refusals that come before any rule."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from support.strict_provider.glimpse import Dialect
from support.strict_provider.http1 import HttpRequest
from support.strict_provider.rulebook import Objection, Verdict
from support.strict_provider.vendor_errors import VendorError, for_objection, for_status

__all__ = ["Refused", "credential", "model_item", "model_list", "parsed", "unknown_model"]

MAX_BODY_BYTES: Final = 32 * 1024 * 1024


class Refused(Exception):
    """A request that gets an error instead of an answer."""

    def __init__(self, error: VendorError, verdict: Verdict | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.verdict = verdict


def credential(request: HttpRequest) -> str:
    """Return the key or token, whichever header carries it; empty when none does."""
    scheme, _, token = request.header("authorization").partition(" ")
    bearer = token if scheme.lower() == "bearer" else ""
    return bearer or request.header("x-api-key") or request.header("api-key")


def parsed(request: HttpRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the body as an object.

    Raises:
        Refused: it is too large, of another type, compressed, or no JSON object.
    """
    if len(request.body) > MAX_BODY_BYTES:
        raise Refused(for_status(dialect, 413))
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _refusal(
            dialect,
            f"Unsupported content type: '{kind}'. This API method only accepts 'application/json'.",
            415,
        )
    if request.header("content-encoding") not in {"", "identity"}:
        raise _refusal(dialect, "Unsupported content encoding.", 415)
    try:
        body = json.loads(request.body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _refusal(dialect, f"The request body is not valid JSON: {error}", 400) from error
    if not isinstance(body, dict):
        raise _refusal(dialect, "The request body must be a JSON object.", 400)
    return body


def _refusal(dialect: Dialect, words: str, status: int) -> Refused:
    kind = "invalid_request_error"
    objection = Objection(words=words, status=status, kind=kind)
    return Refused(for_objection(objection), Verdict(f"{dialect}-bodies-are-json", "RFC 8259", objection))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def unknown_model(dialect: Dialect, name: str) -> VendorError:
    """Return the vendor's 404 for a model."""
    if dialect == "messages":
        return VendorError(status=404, kind="not_found_error", message=f"model: {name}")
    message = f"The model `{name}` does not exist or you do not have access to it."
    return VendorError(status=404, kind="invalid_request_error", message=message, code="model_not_found")


def model_item(name: str, *, anthropic: bool) -> dict[str, Any]:
    """Return one entry of the models list (dialects.md §8)."""
    if anthropic:
        return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "strict-provider"}


def model_list(ids: list[str], *, anthropic: bool) -> dict[str, Any]:
    """Return the models list (dialects.md §8)."""
    data = [model_item(name, anthropic=anthropic) for name in ids]
    if anthropic:
        return {"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}
    return {"object": "list", "data": data}
