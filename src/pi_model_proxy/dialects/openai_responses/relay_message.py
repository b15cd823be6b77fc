"""A plain answer on its way to a caller of the same format: under its model name, and whole."""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.openai_responses.decoder import FAMILY
from pi_model_proxy.dialects.openai_responses.payloads import Item, Response, read
from pi_model_proxy.dialects.openai_responses.relay_response import Renamer, finish_of, item_types
from pi_model_proxy.dialects.openai_responses.state import read_state
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BadRequest, BrokenStream, UpstreamError
from pi_model_proxy.wire import escape_separators

__all__ = ["relay_message"]

_FAILED = frozenset({"failed", "cancelled"})
_UNFINISHED = frozenset({"queued", "in_progress"})


def relay_message(body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return the answer under the caller's model name, and what it says."""
    facts = Facts()
    try:
        renamed = _relayed(mend_body(body), context, facts)
    except UpstreamError as error:
        facts.failure = error
        return b"", facts
    facts.began = facts.done = True
    return renamed, facts


def _relayed(body: bytes, context: AnswerContext, facts: Facts) -> bytes:
    response = read(body, Response)
    if response is None or response.object != "response" or response.output is None:
        payload = read(body, dict[str, Any])
        if payload and (payload.get("error") or payload.get("detail")):
            raise error_from_payload(payload, family=FAMILY)
        raise BrokenStream("The provider's answer is not a Responses object; check the model's API kind.")
    facts.upstream_id, facts.upstream_model = response.id or "", response.model or ""
    facts.usage = response.counts
    word = response.status or "completed"
    error = read(response.error, object)
    if word in _FAILED or (error and not response.output):
        said = error or {"message": f"The provider's answer ended as `{word}` without saying why; try again."}
        raise error_from_payload(said, family=FAMILY)
    if word not in _UNFINISHED:
        refused = b'"refusal"' in body and any(_declines(item) for item in response.output)
        facts.finish = finish_of(response, word, item_types(response.output), refused=refused)
    elif not _runs_in_background(context.body):
        raise BrokenStream(f"The provider answered with an unfinished response (`{word}`).")
    renamer = Renamer(context)
    try:
        in_place = renamer.in_place(body, body, response.model or "")
        return escape_separators(renamer.edited(body) if in_place is None else in_place)
    except (msgspec.DecodeError, ValueError, RecursionError) as broken:
        raise BrokenStream("The provider's answer is nested too deeply to be read.") from broken


def _declines(raw: msgspec.Raw) -> bool:
    item = read(raw, Item)
    return item is not None and any(part.refusal is not None for part in item.content or ())


def _runs_in_background(body: bytes) -> bool:
    """Tell whether the caller asked for an answer that comes later."""
    try:
        return bool(body) and read_state(body).background
    except BadRequest:
        return False
