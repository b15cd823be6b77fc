"""A caller's own body on its way to an upstream of the same format: kept, but for what must change.

The model stands in the URL, so that in most requests no byte changes. What does: fields that would
steer our transport, a thinking level in the model's name, and tokens of other models that we packed
into `thoughtSignature` (see `signatures`), which Google would refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.google_gemini.address import (
    COUNT,
    GENERATE,
    STREAM,
    VERTEX_KIND,
    request_path,
)
from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.families import Family, family_of
from pi_model_proxy.dialects.google_gemini.reading import ProtoFields, decode, raw_members, snake, too_deep
from pi_model_proxy.dialects.google_gemini.signatures import OUR_MARK, STAND_IN
from pi_model_proxy.dialects.google_gemini.thinking_out import thinking_plan
from pi_model_proxy.dialects.losses import STEERING_FIELDS, Losses
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import ReasoningWish, Request, Target
from pi_model_proxy.wire import compact_json, edit_object, join_array, raw_array, raw_object

__all__ = ["encode_count", "encode_request"]

_MARK: Final = OUR_MARK.encode()
_SIGNATURE_KEYS: Final = ("thoughtSignature", "thought_signature")
_CALL_KEYS: Final = frozenset({"functionCall", "function_call"})
_COUNTED: Final = ("contents", "systemInstruction", "tools", "generationConfig")
"""What Vertex AI counts; it refuses the rest."""
_TAKEN_OUT: Final = STEERING_FIELDS | {"model"}
"""The model stands in the URL; Google refuses another one in the body."""
_any_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_names_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode_request(
    body: bytes, members: Mapping[str, msgspec.Raw] | None, target: Target, *, streams: bool
) -> Outgoing:
    """Return the caller's body for `target`; `members` are its own, where they have been read already.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something must go, and the caller asked for strictness.
    """
    losses = _losses(target)
    if members is None:
        read = decode(body, _names_decoder)
        members = read
    if _needs_change(body, members, target):
        body = edit_object(_settled(raw_members(body), target, losses), put={})
    return Outgoing(
        path=request_path(target, STREAM if streams else GENERATE),
        body=body,
        dropped=losses.paths,
        stream=streams,
    )


def _losses(target: Target) -> Losses:
    return Losses(Request(dialect=DIALECT, model=None), target)


def _needs_change(body: bytes, names: Iterable[str], target: Target) -> bool:
    return target.level is not None or _MARK in body or not _TAKEN_OUT.isdisjoint(names)


def encode_count(body: bytes, target: Target) -> Outgoing:
    """Return the caller's body for the target's `:countTokens`.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: as `encode_request`.
    """
    losses = _losses(target)
    members = raw_members(body)
    key = next((name for name in _spellings("generateContentRequest") if name in members), None)
    if key is not None:
        members = _object(members[key], key)
    members = _settled(members, target, losses)
    if target.kind == VERTEX_KIND:
        members = {key: members[key] for name in _COUNTED for key in _spellings(name) if key in members}
    elif members.keys() != {"contents"}:
        model = compact_json(f"models/{target.model.removeprefix('models/')}")
        members = {"generateContentRequest": edit_object({"model": model, **members}, put={})}
    return Outgoing(
        path=request_path(target, COUNT),
        body=edit_object(members, put={}),
        dropped=losses.paths,
        stream=False,
    )


def _spellings(name: str) -> tuple[str, ...]:
    return (name,) if name.islower() else (name, snake(name))


def _settled(members: dict[str, bytes], target: Target, losses: Losses) -> dict[str, bytes]:
    """Return the members as the upstream takes them.

    Raises:
        BadRequest: they are not what the format allows.
    """
    settled = {name: value for name, value in members.items() if name not in _TAKEN_OUT}
    for name in members:
        if name in STEERING_FIELDS:
            losses.path(name)
    try:
        _settle_thinking(settled, target, losses)
        contents = settled.get("contents", b"")
        if _MARK in contents:
            settled["contents"] = _without_foreign_tokens(contents, family_of(target.model), losses)
    except RecursionError as error:
        raise too_deep() from error
    except (msgspec.DecodeError, ValueError) as error:
        raise BadRequest(f"The request is not what the Gemini format allows ({error}).") from error
    return settled


def _object(raw: bytes, path: str) -> dict[str, bytes]:
    try:
        return raw_object(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRequest(f"{path}: must be an object.", param=path) from error


def _settle_thinking(members: dict[str, bytes], target: Target, losses: Losses) -> None:
    """Put the thinking level of the model's name in place of the body's."""
    if target.level is None:
        return
    name = "generation_config" if "generation_config" in members else "generationConfig"
    given = members.get(name, b"null")
    raw = raw_object(given) if given != b"null" else {}
    config = ProtoFields(_any_decoder.decode(edit_object(raw, put={})), name)
    said = config.object("thinkingConfig")
    visible: Literal["summary", "none"] = "summary"
    if said is not None and said.flag("includeThoughts") is False:
        visible = "none"
    wish = ReasoningWish(mode="level", level=target.level, visible=visible)
    thinking = thinking_plan(wish, target, family_of(target.model))
    if thinking.lost or thinking.clamped:
        losses.path(config.path("thinkingConfig"), why="the model cannot think so")
    key = config.path("thinkingConfig").rpartition(".")[2]
    put = {key: compact_json(thinking.config)} if thinking.config else {}
    members[name] = edit_object(raw, put=put)


# Tokens of other models.


def _without_foreign_tokens(raw: bytes, family: Family, losses: Losses) -> bytes:
    contents = raw_array(raw) if raw.startswith(b"[") else [raw]
    kept: list[bytes] = []
    for index, content in enumerate(contents):
        if _MARK not in content:
            kept.append(content)
            continue
        members = raw_object(content)
        held = members.get("parts", b"[]")
        parts = raw_array(held) if held.startswith(b"[") else [held]
        left = _cleaned(parts, f"contents[{index}].parts", family, losses)
        if left:
            kept.append(edit_object(members, put={"parts": join_array(left)}))
    return join_array(kept)


def _cleaned(parts: list[bytes], at: str, family: Family, losses: Losses) -> list[bytes]:
    """Return parts without packed tokens; thinking of another model goes with its token, and is listed."""
    left: list[bytes] = []
    for index, part in enumerate(parts):
        if _MARK not in part:
            left.append(part)
            continue
        members = raw_object(part)
        plain = {name: value for name, value in members.items() if name not in _SIGNATURE_KEYS}
        if plain.get("thought") == b"true":
            losses.path(f"{at}[{index}]", why="the thinking of another model")
        elif plain.keys() - {"text"} or plain.get("text", b'""') != b'""':
            is_first_call = not _CALL_KEYS.isdisjoint(plain) and not any(map(_has_call, left))
            if is_first_call and family.demands_signatures:
                plain["thoughtSignature"] = compact_json(STAND_IN)
            left.append(edit_object(plain, put={}))
    return left


def _has_call(part: bytes) -> bool:
    return not _CALL_KEYS.isdisjoint(raw_object(part))
