"""A hub request, as an upstream of this format takes it.

Sources: dialects.md §1.1 AM, §1.2, §1.3, §7; pi 1.5.2 `dist/api/anthropic-messages.js`
(`buildParams`, `getBetaFeatures`); pi.md §5.2 (subscription logins).

Two choices the format leaves open. Thinking and a demanded tool call exclude each other: where any
call is demanded, the demand becomes `auto`; where one certain tool is, thinking is given up, since
the caller waits for that very call. And thinking is given up while a tool loop is in progress whose
calls came without signed thinking, as chat clients send them.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

from pi_model_proxy.dialects.anthropic_messages.client_cache import Marks, place_marks
from pi_model_proxy.dialects.anthropic_messages.client_content import ContentWriter
from pi_model_proxy.dialects.anthropic_messages.client_thinking import (
    ThinkingPlan,
    no_thinking,
    plan_thinking,
    tool_loop_lacks_thinking,
)
from pi_model_proxy.dialects.anthropic_messages.client_tools import (
    MAX_STRICT_TOOLS,
    choose_tools,
    chosen_tool,
    write_tool,
)
from pi_model_proxy.dialects.anthropic_messages.headers import MESSAGES_PATH, request_headers, session_header
from pi_model_proxy.dialects.anthropic_messages.quirks import quirks_of
from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.budgets import output_limit
from pi_model_proxy.dialects.claude_history import finished_turns
from pi_model_proxy.dialects.claude_schemas import enforceable_schema
from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, distinct_tools
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.dialects.reasoning import choose_level, is_wish_lost
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.hub import OutputFormat, Request, Target, Tool
from pi_model_proxy.wire import compact_json

__all__ = ["MAX_NAME_LENGTH", "encode_request"]

MAX_NAME_LENGTH: Final = 128
MAX_USER_ID: Final = 256
JSON_INSTRUCTION: Final = (
    "Answer with one valid JSON object and nothing else: no explanation, no Markdown fences."
)

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
        self._quirks = quirks_of(target.compat)
        self._losses = Losses(request, target)
        self._marks = Marks(self._quirks, self._losses)
        self._tools = distinct_tools(request.tools, self._losses)
        self._names = ToolNames(self._tools, max_length=MAX_NAME_LENGTH, casing=target.identity.tool_names)
        self._content = ContentWriter(self._names, self._losses, self._marks)

    def outgoing(self) -> Outgoing:
        request, target = self._request, self._target
        if request.n > 1:
            self._losses.refuse(request.paths.get("n", "n"), why="the provider writes one answer at a time")
        messages = self._messages()
        system = self._system(messages)
        if not messages:
            self._losses.refuse_empty()
        chosen = choose_tools(request, self._tools, self._losses)
        tools = self._write_tools(chosen)
        choice = chosen_tool(request, self._names, self._losses, offered=bool(tools))
        plan, choice = self._thinking(messages, choice)
        self._mark(tools, system, messages, chosen=chosen)
        body: Json = {
            "model": target.model,
            "messages": messages,
            "max_tokens": plan.max_tokens,
            "stream": True,
        }
        fields = {
            "system": system,
            "tools": tools,
            "tool_choice": choice,
            "thinking": plan.thinking,
            "output_config": self._output_config(plan),
            "stop_sequences": self._stop(),
            "metadata": self._metadata(),
            "service_tier": self._service_tier(),
            "fallbacks": [{"model": each.model} for each in self._quirks.fallback_models],
            **self._sampling(thinks=plan.on),
        }
        body |= {name: value for name, value in fields.items() if value not in (None, [], {}, ())}
        self._list_the_rest()
        for name in target.identity.omitted_fields & body.keys():
            del body[name]
            if self._is_asked(hub_field := _HUB_FIELDS.get(name, name)):
                self._losses.field(hub_field)
        headers = request_headers(
            self._quirks, has_tools=bool(tools), has_budget="budget_tokens" in (plan.thinking or {})
        )
        return Outgoing(
            path=MESSAGES_PATH,
            body=compact_json(body),
            headers={**headers, **self._session_header()},
            dropped=self._losses.paths,
            names=self._names,
        )

    # The conversation.

    def _messages(self) -> list[Json]:
        target, quirks = self._target, self._quirks
        rules = HistoryRules(
            dialect=DIALECT,
            provider=target.provider,
            model=target.model,
            opaque_kinds=frozenset({"anthropic_signature", "anthropic_redacted"}),
            plain_reasoning=quirks.takes_empty_signatures,
            takes_images=target.takes_images,
            media_in_results="unless_error",
            blank_text=False,
            system_turns="keep" if quirks.takes_mid_instructions else "fold",
        )
        turns = repair_history(self._request.turns, rules, self._losses)
        return self._content.messages(finished_turns(turns, self._losses))

    def _system(self, messages: list[Json]) -> list[Json]:
        """Return the system blocks; instructions without any conversation become what the user says."""
        system = self._content.system(self._request.instructions)
        if self._request.output is not None and self._request.output.kind == "json":
            self._losses.field("output")
            system.append({"type": "text", "text": JSON_INSTRUCTION})
        if system and not messages:
            messages.append({"role": "user", "content": system})
            system = []
        introduction = self._target.identity.system_text
        return [{"type": "text", "text": introduction}, *system] if introduction else system

    def _mark(
        self, tools: list[Json], system: list[Json], messages: list[Json], *, chosen: list[Tool]
    ) -> None:
        """Write the caller's marks on tools, or place pi's where the caller's dialect has none."""
        for place, tool in enumerate(chosen):
            tools[place] = self._marks.write(tools[place], tool.cache, tool.at)
        speaks_for_itself = self._request.dialect == DIALECT or _has_marks([*tools, *system, *messages])
        if self._target.auto_cache and not speaks_for_itself:
            place_marks(tools, system, messages, self._quirks)
        self._marks.settle(tools, system, messages)

    def _write_tools(self, chosen: list[Tool]) -> list[Json]:
        written: list[Json] = []
        strict = 0
        for tool in chosen:
            left = MAX_STRICT_TOOLS - strict
            written.append(write_tool(tool, self._names, self._quirks, self._losses, strict_left=left))
            strict += written[-1].get("strict", False)
        return written

    # Thinking.

    def _thinking(self, messages: list[Json], choice: Json | None) -> tuple[ThinkingPlan, Json | None]:
        """Return how to think and what call to demand, which may exclude each other."""
        wish, limit = self._request.reasoning, output_limit(self._request, self._target, self._losses)
        level = choose_level(wish, self._target)
        hidden = wish is not None and wish.visible == "none"
        display: Literal["summarized", "omitted"] = "omitted" if hidden else "summarized"
        plan = plan_thinking(level, self._target, self._quirks, limit=limit, display=display)
        if is_wish_lost(wish, level) or plan.lost:
            self._losses.wish()
        elif level is not None and level.clamped:
            self._losses.level()
        if not plan.on:
            return plan, choice
        demanded = choice["type"] if choice is not None else "auto"
        if demanded == "any" and choice is not None:
            self._losses.field("tool_choice")
            choice = {**choice, "type": "auto"}
        is_prefill = messages[-1]["role"] == "assistant"
        stuck = not self._quirks.thinks_adaptively and tool_loop_lacks_thinking(messages)
        if demanded == "tool" or is_prefill or stuck:
            self._losses.wish()
            return no_thinking(self._target, limit), choice
        return plan, choice

    # Single fields.

    def _is_asked(self, hub_field: str) -> bool:
        """Tell whether the caller said anything about a field of the hub request, `sampling.top_k` and the like."""
        value: Any = self._request
        for name in hub_field.split("."):
            value = getattr(value, name, None)
        return value not in (None, False, (), {})

    def _output_config(self, plan: ThinkingPlan) -> Json:
        config: Json = {} if plan.effort is None else {"effort": plan.effort}
        wanted = self._request.output
        if wanted is not None and wanted.kind == "schema":
            schema, changed = enforceable_schema(wanted.schema or {})
            if changed:
                self._losses.field("output.schema")
            if wanted.strict is False:
                self._losses.field("output.strict")  # this format always enforces
            config["format"] = {"type": "json_schema", "schema": self._named(schema, wanted)}
        return config

    def _named(self, schema: Json, wanted: OutputFormat) -> Json:
        """Return the schema with what its format was called: here it has no other place to say it."""
        for field, keyword in (("description", "description"), ("name", "title")):
            said = getattr(wanted, field)
            if said and schema.setdefault(keyword, said) != said:
                self._losses.field(f"output.{field}")
        return schema

    def _stop(self) -> list[str]:
        stop = [text for text in self._request.stop if text.strip()]
        if len(stop) < len(self._request.stop):
            self._losses.field("stop")
        return stop

    def _metadata(self) -> Json:
        if self._request.metadata:
            self._losses.field("metadata")
        user = self._request.end_user
        if not user:
            return {}
        is_short = len(user) <= MAX_USER_ID
        return {"user_id": user if is_short else hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()}

    def _service_tier(self) -> str | None:
        tier = self._request.service_tier
        if tier is not None and tier not in _TIERS:
            self._losses.field("service_tier")
        return _TIERS.get(tier or "")

    def _sampling(self, *, thinks: bool) -> Json:
        asked = self._request.sampling
        taken: Json = {}
        for name, value in (
            ("temperature", asked.temperature),
            ("top_p", asked.top_p),
            ("top_k", asked.top_k),
        ):
            if value is None:
                continue
            if thinks or not self._quirks.takes_sampling or (name == "top_p" and "temperature" in taken):
                if value != _NEUTRAL.get(name):
                    self._losses.field(f"sampling.{name}")
                continue
            taken[name] = value
        if taken.get("temperature", 0) > 1:
            self._losses.field("sampling.temperature")
            taken["temperature"] = 1
        return taken

    def _session_header(self) -> dict[str, str]:
        return session_header(self._quirks, session_of(self._request))

    def _list_the_rest(self) -> None:
        """List every wish this format has no word for; values that change nothing are no wish."""
        asked = self._request.sampling
        for name in (
            "min_p",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "top_logprobs",
        ):
            if getattr(asked, name):
                self._losses.field(f"sampling.{name}")
        if self._request.verbosity is not None:
            self._losses.field("verbosity")
        if self._request.cache_key and not self._session_header():
            self._losses.field("cache_key")
        for name in self._request.extra:
            self._losses.path(name)


_HUB_FIELDS: Final = {
    "max_tokens": "max_output",
    "stop_sequences": "stop",
    "output_config": "output",
    "thinking": "reasoning",
    "metadata": "end_user",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "top_k": "sampling.top_k",
}
_TIERS: Final = {"auto": "auto", "default": "standard_only"}
_NEUTRAL: Final = {"temperature": 1, "top_p": 1}
"""Values that ask for what happens anyway."""


def _has_marks(holders: list[Json]) -> bool:
    return any("cache_control" in block for holder in holders for block in (holder, *_content_of(holder)))


def _content_of(holder: Json) -> list[Json]:
    content = holder.get("content")
    return content if isinstance(content, list) else []
