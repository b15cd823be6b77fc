"""A hub request as the body of `POST {base}/model/{id}/converse-stream`.

Sources: Bedrock's Converse reference; dialects.md §1.1 BR, §1.2, §1.3; pi 1.5.2
`dist/api/bedrock-converse-stream.js`. As in Claude's own format, thinking and a demanded tool call
exclude each other: where any call is demanded, the demand becomes `auto`; where one certain tool
is, thinking is given up, and so it is while a tool loop is in progress whose calls came without it.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.bedrock_converse.cache_points import CachePoints, place_points
from pi_model_proxy.dialects.bedrock_converse.content import DIALECT, ContentWriter
from pi_model_proxy.dialects.bedrock_converse.models import traits_of
from pi_model_proxy.dialects.bedrock_converse.quirks import quirks_of
from pi_model_proxy.dialects.bedrock_converse.thinking import (
    ThinkingPlan,
    plan_thinking,
    tool_loop_lacks_thinking,
)
from pi_model_proxy.dialects.bedrock_converse.tools import NO_CALLS, ToolWriter
from pi_model_proxy.dialects.budgets import output_limit
from pi_model_proxy.dialects.claude_history import finished_turns
from pi_model_proxy.dialects.claude_schemas import enforceable_schema
from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, distinct_tools
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.dialects.reasoning import choose_level
from pi_model_proxy.dialects.surrogates import clean_json
from pi_model_proxy.dialects.wishes import list_unfulfilled
from pi_model_proxy.hub import Request, Target
from pi_model_proxy.wire import compact_json

__all__ = ["EVENT_STREAM", "encode_request"]

EVENT_STREAM: Final = "application/vnd.amazon.eventstream"
JSON_INSTRUCTION: Final = (
    "Answer with one valid JSON object and nothing else: no explanation, no Markdown fences."
)
_TIERS: Final = {"auto": None, "default": "default", "flex": "flex", "priority": "priority"}
_MAX_METADATA: Final = 16
_METADATA: Final = re.compile(r"[A-Za-z0-9\s:_@$#=/+,.-]{1,256}")
"""What Bedrock takes as names and values of `requestMetadata`."""

Json = dict[str, Any]


def encode_request(request: Request, target: Target) -> Outgoing:
    """Return the request for `target`, streamed.

    Raises:
        UnsupportedFeature: something cannot be said without which the answer would not be what was asked.
        BadRequest: nothing is left to send.
    """
    try:
        return _RequestWriter(request, target).outgoing()
    except RecursionError as error:
        raise too_deep() from error


class _RequestWriter:
    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._traits = traits_of(target.model, target.model_name, target.identity)
        self._losses = Losses(request, target)
        self._tools = distinct_tools(request.tools, self._losses)
        self._names = ToolNames(self._tools, casing=target.identity.tool_names)
        self._points = CachePoints(self._losses, taken=self._traits.takes_cache_points)
        self._content = ContentWriter(self._names, self._points, self._losses)

    def outgoing(self) -> Outgoing:
        request, target, losses = self._request, self._target, self._losses
        if request.n > 1:
            losses.refuse(request.paths.get("n", "n"), why="the provider writes one answer at a time")
        messages = self._messages()
        tool_writer = ToolWriter(
            request, self._names, takes_strict=quirks_of(target.compat).takes_strict_tools, losses=losses
        )
        tools, must_not_call = tool_writer.write(self._tools, messages, self._points)
        system = self._system(messages, must_not_call=must_not_call)
        if not messages:
            losses.refuse_empty()
        choice, additional = (None, {}) if must_not_call else tool_writer.choice(tools, self._traits)
        plan, choice = self._thinking(messages, choice)
        self._mark(tools, system, messages)
        fields = {
            "system": system,
            "inferenceConfig": self._inference(plan),
            "toolConfig": {"tools": tools, **({"toolChoice": choice} if choice else {})} if tools else None,
            "additionalModelRequestFields": {**plan.fields, **self._top_k(plan), **additional},
            "additionalModelResponseFieldPaths": self._response_fields(),
            "outputConfig": self._output_config(),
            "serviceTier": self._service_tier(),
            "requestMetadata": self._metadata(),
        }
        body: Json = {"messages": messages, **{name: value for name, value in fields.items() if value}}
        self._list_the_rest()
        return Outgoing(
            path=f"/model/{quote(target.model, safe='')}/converse-stream",
            body=_encode(body),
            headers={"accept": EVENT_STREAM},
            dropped=losses.paths,
            names=self._names,
        )

    # The conversation.

    def _messages(self) -> list[Json]:
        target, is_claude = self._target, self._traits.is_claude
        own_tokens = {"anthropic_signature", "anthropic_redacted"} if is_claude else {"openai_encrypted"}
        rules = HistoryRules(
            dialect=DIALECT,
            provider=target.provider,
            model=target.model,
            opaque_kinds=frozenset(own_tokens),
            plain_reasoning=target.reasoning and not is_claude,
            takes_images=target.takes_images,
            media_in_results="unless_error" if is_claude else "any",
            blank_text=False,
            system_turns="fold",
        )
        turns = repair_history(self._request.turns, rules, self._losses)
        return self._content.messages(finished_turns(turns, self._losses) if is_claude else turns)

    def _system(self, messages: list[Json], *, must_not_call: bool) -> list[Json]:
        """Return the system blocks; instructions without any conversation become what the user says."""
        system = self._content.system(self._request.instructions)
        if self._request.output is not None and self._request.output.kind == "json":
            self._losses.field("output")
            system.append({"text": JSON_INSTRUCTION})
        if must_not_call:
            system.append({"text": NO_CALLS})
        if system and not messages:
            messages.append({"role": "user", "content": system})
            return []
        return system

    def _mark(self, tools: list[Json], system: list[Json], messages: list[Json]) -> None:
        """Place pi's cache points where the caller's dialect has none, and keep within the rules."""
        if not self._traits.takes_cache_points:
            return
        lists = [tools, system, *(message["content"] for message in messages)]
        speaks_for_itself = self._request.dialect == "anthropic_messages" or self._points.are_set
        if self._target.auto_cache and not speaks_for_itself:
            place_points(system, messages)
        self._points.settle(lists)

    # Thinking.

    def _thinking(self, messages: list[Json], choice: Json | None) -> tuple[ThinkingPlan, Json | None]:
        """Return how to think and what call to demand, which may exclude each other."""
        limit = output_limit(self._request, self._target, self._losses)
        level = choose_level(self._request.reasoning, self._target)
        plan = plan_thinking(level, self._traits, limit)
        list_unfulfilled(self._request, level, self._losses, lost=plan.lost)
        if not plan.on:
            return plan, choice
        if choice is not None and "any" in choice:
            self._losses.field("tool_choice")
            choice = {"auto": {}}
        is_prefill = messages[-1]["role"] == "assistant"
        stuck = self._traits.thinking == "budget" and tool_loop_lacks_thinking(messages)
        if (choice is not None and "tool" in choice) or is_prefill or stuck:
            self._losses.wish()
            return ThinkingPlan(max_tokens=limit.tokens), choice
        return plan, choice

    # Single fields.

    def _inference(self, plan: ThinkingPlan) -> Json:
        request = self._request
        config: Json = {}
        if request.max_output is not None or self._traits.is_claude:
            config["maxTokens"] = plan.max_tokens
        config |= self._sampling(thinks=plan.on)
        stop = [text for text in request.stop if text.strip()]
        if len(stop) < len(request.stop):
            self._losses.field("stop")
        if stop:
            config["stopSequences"] = stop
        return config

    def _sampling(self, *, thinks: bool) -> Json:
        asked, traits = self._request.sampling, self._traits
        taken: Json = {}
        for name, field, value in (
            ("temperature", "temperature", asked.temperature),
            ("top_p", "topP", asked.top_p),
        ):
            if value is None:
                continue
            beside = traits.is_claude and "temperature" in taken
            if thinks or not traits.takes_sampling or beside:
                if value != 1:  # 1 asks for what happens anyway
                    self._losses.field(f"sampling.{name}")
                continue
            taken[field] = value
        if taken.get("temperature", 0) > 1:
            self._losses.field("sampling.temperature")
            taken["temperature"] = 1
        return taken

    def _top_k(self, plan: ThinkingPlan) -> Json:
        top_k = self._request.sampling.top_k
        if top_k is None:
            return {}
        if self._traits.is_claude and self._traits.takes_sampling and not plan.on:
            return {"top_k": top_k}
        self._losses.field("sampling.top_k")
        return {}

    def _response_fields(self) -> list[str]:
        """Ask for the stop sequence that was met; only Claude tells."""
        return ["/stop_sequence"] if self._traits.is_claude and any(self._request.stop) else []

    def _output_config(self) -> Json | None:
        wanted = self._request.output
        if wanted is None or wanted.kind != "schema":
            return None
        schema: Json = clean_json(wanted.schema or {})
        if self._traits.is_claude:
            schema, changed = enforceable_schema(schema)
            if changed:
                self._losses.field("output.schema")
        if wanted.strict is False:
            self._losses.field("output.strict")  # this format always enforces
        described = {"description": wanted.description} if wanted.description else {}
        written = {"schema": compact_json(schema).decode(), "name": wanted.name or "answer", **described}
        return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": written}}}

    def _service_tier(self) -> Json | None:
        tier = self._request.service_tier
        if tier is not None and tier not in _TIERS:
            self._losses.field("service_tier")
        known = _TIERS.get(tier or "auto")
        return {"type": known} if known else None

    def _metadata(self) -> dict[str, str]:
        metadata = self._request.metadata
        fits = len(metadata) <= _MAX_METADATA and all(
            _METADATA.fullmatch(text) for pair in metadata.items() for text in pair
        )
        if fits:
            return metadata
        self._losses.field("metadata")
        return {}

    def _list_the_rest(self) -> None:
        """List every wish this format has no word for; values that change nothing are no wish."""
        request, losses = self._request, self._losses
        for name in (
            "min_p",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "top_logprobs",
        ):
            if getattr(request.sampling, name):
                losses.field(f"sampling.{name}")
        for name in ("verbosity", "cache_key", "end_user"):
            if getattr(request, name):
                losses.field(name)
        for name in request.extra:
            losses.path(name)


def _encode(body: Json) -> bytes:
    try:
        return compact_json(body)
    except UnicodeEncodeError:  # a lone surrogate outside of the history: a stop sequence, a description
        return compact_json(clean_json(body))
