"""A hub request as the body for an upstream of chat completions.

Source: pi-ai 1.5.2 `dist/api/openai-completions.js` (`buildParams`); dialects.md §1.2.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_chat.cache_marks import CacheMarks, place_marks
from pi_model_proxy.dialects.openai_chat.messages_out import MessageWriter
from pi_model_proxy.dialects.openai_chat.quirks import Quirks, quirks_of
from pi_model_proxy.dialects.openai_chat.thinking import is_unsaid, thinking_fields
from pi_model_proxy.dialects.openai_chat.tools_out import ToolWriter, runnable_tools
from pi_model_proxy.dialects.reasoning import LevelChoice, choose_level, is_wish_lost
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.dialects.surrogates import clean_json
from pi_model_proxy.hub import OutputFormat, Request, Target, ToolCallBlock, ToolResultBlock
from pi_model_proxy.wire import compact_json

__all__ = ["PATH", "affinity_headers", "routing_fields", "sampling_overrides", "write_request"]

PATH: Final = "/chat/completions"
MAX_STOPS: Final = 4
"""OpenAI's limit; others take more."""
MAX_USER_CHARS: Final = 64
"""Longer user ids are hashed (Claude Code puts a JSON document there)."""
MAX_CACHE_KEY_CHARS: Final = 64
SERVICE_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})

_UNREADABLE: Final = ("top_k", "min_p", "logprobs", "top_logprobs")
"""Sampling wishes that chat has no word for, or whose answer the hub has none for."""
_OURS: Final = frozenset({"store", "stream_options", "stream", "prompt_cache_key"})
"""Body fields of our own making: leaving them out loses the caller nothing."""
_HUB_FIELDS: Final = {
    "max_tokens": "max_output",
    "max_completion_tokens": "max_output",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "reasoning_effort": "reasoning",
}

_Json = dict[str, Any]


def write_request(request: Request, target: Target) -> Outgoing:
    """Return the request for `target`: streamed, with usage.

    Raises:
        UnsupportedFeature: the target cannot say something that matters, or anything when strict.
    """
    losses = Losses(request, target)
    quirks = quirks_of(target.compat)
    if request.n > 1:
        losses.refuse(request.paths.get("n", "n"), why="several answers at once")
    for name in request.extra:
        losses.path(name)
    speaks_custom = quirks.supports_open_ai_grammar_tools or target.hosted_by_vendor
    tools = runnable_tools(request, losses)
    names = ToolNames(tools, casing=target.identity.tool_names, wraps_custom=not speaks_custom)
    marks = CacheMarks(quirks, losses)
    body: _Json = {
        "model": target.identity.deployment or target.model,
        "messages": MessageWriter(target, quirks, names=names, losses=losses, marks=marks).write(request),
        "stream": True,
    }
    if not body["messages"]:
        losses.refuse_empty()
    if quirks.supports_usage_in_streaming:
        body["stream_options"] = {"include_usage": True}
    if quirks.supports_store:
        body["store"] = False
    body |= _limits(request, target, quirks, losses)
    body |= ToolWriter(target, quirks, names=names, losses=losses, marks=marks).write(
        tools, request.tool_choice
    )
    body |= _tool_manners(request, quirks, has_tools="tools" in body)
    if quirks.cache_control_format == "anthropic" and target.auto_cache and not marks.seen:
        place_marks(body["messages"], body.get("tools", []))
    choice = choose_level(request.reasoning, target)
    body |= _thinking(request, target, quirks, choice, losses)
    body |= _sampling(request, target, choice, losses)
    body |= _about_the_caller(request, target, quirks, losses)
    if request.output is not None:
        body["response_format"] = _response_format(request.output)
    body |= routing_fields(quirks)
    body |= sampling_overrides(target, choice.level if choice else None)
    for name in sorted(target.identity.omitted_fields & body.keys()):
        del body[name]
        if name not in _OURS:
            losses.field(_HUB_FIELDS.get(name, name))
    return Outgoing(
        path=PATH,
        body=compact_json(body),
        headers=affinity_headers(quirks, session_of(request)),
        dropped=losses.paths,
        names=names,
        stop_here=() if (most := _most_stops(target)) is None else request.stop[most:],
    )


def _limits(request: Request, target: Target, quirks: Quirks, losses: Losses) -> _Json:
    fields: _Json = {}
    if request.max_output is not None:
        limit = request.max_output
        if 0 < target.max_output < limit:
            losses.field("max_output")
            limit = target.max_output
        fields[quirks.max_tokens_field] = max(1, limit)
    stops = request.stop[: _most_stops(target)]
    if stops:
        fields["stop"] = list(stops)
    return fields


def _most_stops(target: Target) -> int | None:
    """Return how many stop sequences the upstream takes; the gateway watches for the others itself."""
    if not target.hosted_by_vendor:
        return None
    # "Unsupported parameter: 'stop' is not supported with this model": OpenAI's models that reason.
    return 0 if target.reasoning else MAX_STOPS


def _tool_manners(request: Request, quirks: Quirks, *, has_tools: bool) -> _Json:
    fields: _Json = {}
    if has_tools and request.parallel_tools is False:
        fields["parallel_tool_calls"] = False
    if has_tools and quirks.zai_tool_stream:
        fields["tool_stream"] = True
    if not has_tools and quirks.requires_tools_with_tool_history and _has_tool_history(request):
        fields["tools"] = []
    return fields


def _has_tool_history(request: Request) -> bool:
    blocks = (block for turn in request.turns for block in turn.blocks)
    return any(isinstance(block, ToolCallBlock | ToolResultBlock) for block in blocks)


def _thinking(
    request: Request, target: Target, quirks: Quirks, choice: LevelChoice | None, losses: Losses
) -> _Json:
    fields = thinking_fields(choice, quirks, target, max_output=request.max_output)
    unsaid = choice is not None and not fields and is_unsaid(choice, quirks)
    if is_wish_lost(request.reasoning, choice) or unsaid:
        losses.wish()
    elif choice is not None and choice.clamped:
        losses.level()
    elif _is_to_be_hidden(request):
        losses.field("reasoning.visible")
    return fields


def _is_to_be_hidden(request: Request) -> bool:
    """Tell whether thinking is unwelcome, which chat upstreams show; who hides it in the answer names no path for this."""
    wish = request.reasoning
    return wish is not None and wish.visible == "none" and "reasoning.visible" in request.paths


def _sampling(request: Request, target: Target, choice: LevelChoice | None, losses: Losses) -> _Json:
    fields: _Json = {}
    # OpenAI's reasoning models refuse both while they reason ("Unsupported parameter: 'temperature'").
    thinks = (
        target.hosted_by_vendor and target.reasoning and not (choice is not None and choice.level == "off")
    )
    for name in request.sampling.__struct_fields__:
        value = getattr(request.sampling, name)
        if value is None:
            continue
        if name in _UNREADABLE or (thinks and name in {"temperature", "top_p"}):
            losses.field(f"sampling.{name}")
        else:
            fields[name] = value
    return fields


def _about_the_caller(request: Request, target: Target, quirks: Quirks, losses: Losses) -> _Json:
    """Say who asks and how to serve it, where the vendor itself listens; elsewhere it is listed as dropped."""
    tier = request.service_tier
    wishes: dict[str, tuple[str, str | None, bool]] = {
        "end_user": ("safety_identifier", _short_user(request.end_user), target.hosted_by_vendor),
        "service_tier": ("service_tier", tier, target.hosted_by_vendor and tier in SERVICE_TIERS),
        "verbosity": ("verbosity", request.verbosity, target.hosted_by_vendor),
        "cache_key": ("prompt_cache_key", _short_key(request.cache_key), _takes_cache_key(target, quirks)),
    }
    fields: _Json = {}
    for hub_field, (name, value, taken) in wishes.items():
        if value is not None and taken:
            fields[name] = value
        elif value is not None:
            losses.field(hub_field)
    if (
        request.cache_key is None
        and request.session
        and target.auto_cache
        and _takes_cache_key(target, quirks)
    ):
        fields["prompt_cache_key"] = request.session
    if request.metadata:
        losses.field("metadata")  # OpenAI takes it only with `store`
    return fields


def _takes_cache_key(target: Target, quirks: Quirks) -> bool:
    mode = quirks.prompt_cache_key_mode
    return mode == "enabled" or (mode == "auto" and target.hosted_by_vendor)


def _short_key(key: str | None) -> str | None:
    return None if key is None else key[:MAX_CACHE_KEY_CHARS]


def _short_user(user: str | None) -> str | None:
    if user is None or len(user) <= MAX_USER_CHARS:
        return user
    return hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()


def _response_format(output: OutputFormat) -> _Json:
    if output.kind == "json":
        return {"type": "json_object"}
    about: _Json = {"name": output.name or "response", "schema": clean_json(output.schema or {})}
    if output.description is not None:
        about["description"] = output.description
    if output.strict is not None:
        about["strict"] = output.strict
    return {"type": "json_schema", "json_schema": about}


def routing_fields(quirks: Quirks) -> _Json:
    """Return what pi's settings add for gateways behind this upstream and for vLLM's queue."""
    fields: _Json = {}
    if quirks.open_router_routing:
        fields["provider"] = quirks.open_router_routing
    gateway = {
        name: quirks.vercel_gateway_routing[name]
        for name in ("only", "order")
        if quirks.vercel_gateway_routing.get(name)
    }
    if gateway:
        fields["providerOptions"] = {"gateway": gateway}
    if quirks.vllm_priority is not None:
        fields["priority"] = quirks.vllm_priority
    return fields


def sampling_overrides(target: Target, level: str | None) -> _Json:
    """Return the model's own parameters, which win over the request's, as in pi."""
    return {**target.sampling_params, **target.sampling_params_by_level.get(level or "off", {})}


def affinity_headers(quirks: Quirks, session: str | None) -> dict[str, str]:
    """Return the headers that keep a conversation at one machine, made from the caller's cache key."""
    if (
        not session
        or not quirks.send_session_affinity_headers
        or not session.isascii()
        or not session.isprintable()
    ):
        return {}
    if quirks.session_affinity_format == "openrouter":
        return {"x-session-id": session}
    headers = {"x-client-request-id": session, "x-session-affinity": session}
    return headers | ({"session_id": session} if quirks.session_affinity_format == "openai" else {})
