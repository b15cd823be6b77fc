"""What a caller says about thinking and sampling, brought in line with the one model it goes to.

A caller of this format speaks for itself; changed is only what pi's flags say the model refuses,
what the model's name asks for (`...:high`), and sampling beside thinking (Qwen Code sends both).

Sources: dialects.md §1.3; clients.md §3; pi.md §6.2, §6.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.client_thinking import (
    ThinkingPlan,
    no_thinking,
    plan_thinking,
    tool_loop_lacks_thinking,
)
from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.dialects.anthropic_messages.relay_messages import loop_in_progress
from pi_model_proxy.dialects.budgets import Limit
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.reading import decode
from pi_model_proxy.dialects.reasoning import LevelChoice, choose_level
from pi_model_proxy.hub import ReasoningWish, Target
from pi_model_proxy.wire import compact_json, edit_object, object_of, raw_object

__all__ = ["SAMPLING_FIELDS", "leaves_thinking", "settle_sampling", "settle_thinking"]

FALLBACK_LIMIT: Final = 16_384
SAMPLING_FIELDS: Final = ("temperature", "top_p", "top_k")
_NEUTRAL: Final = frozenset({b"1", b"1.0"})


class _Thinking(msgspec.Struct):
    type: str = ""
    budget_tokens: int | None = None


class _OutputConfig(msgspec.Struct):
    effort: str | None = None


class _Choice(msgspec.Struct):
    type: str = ""


class _Asked(msgspec.Struct):
    """The members that matter here."""

    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    tool_choice: _Choice | None = None
    max_tokens: int | float | None = None


_asked_decoder = msgspec.json.Decoder(_Asked)
_read_asked: Final = _asked_decoder.decode
_FIELDS: Final = frozenset(_Asked.__struct_fields__)


def settle_thinking(members: dict[str, bytes], target: Target, quirks: Quirks, losses: Losses) -> bool:
    """Edit `members` in place; return whether the model will think.

    Raises:
        BadRequest: a field is of the wrong type; names the JSON path.
    """
    if target.level is None and members.get("thinking", b"null") == b"null":
        return False
    return _Settling(members, target, quirks, losses).settle()


def leaves_thinking(members: Mapping[str, msgspec.Raw], target: Target, quirks: Quirks) -> bool:
    """Tell whether the model takes `thinking` and what stands beside it as they are; no level is in its name.

    Raises:
        msgspec.DecodeError: a field is of the wrong type.
    """
    asked = _read_asked(object_of({name: raw for name, raw in members.items() if name in _FIELDS}))
    kind = asked.thinking.type if asked.thinking is not None else ""
    if kind in {"", "disabled"}:
        return True
    if not target.reasoning or any(name in members for name in SAMPLING_FIELDS):
        return False
    if kind == "enabled":
        by_effort = quirks.thinks_adaptively and not quirks.takes_sampling
        return not by_effort and (quirks.takes_empty_signatures or not _loop_lacks_thinking(members))
    return quirks.thinks_adaptively or kind not in {"adaptive", "between_tools"}


class _Settling:
    def __init__(self, members: dict[str, bytes], target: Target, quirks: Quirks, losses: Losses) -> None:
        self._members = members
        self._target = target
        self._quirks = quirks
        self._losses = losses
        mine = {name: value for name, value in members.items() if name in _FIELDS}
        self._asked = decode(edit_object(mine, put={}), _asked_decoder)

    def settle(self) -> bool:
        members, losses = self._members, self._losses
        kind = self._asked.thinking.type if self._asked.thinking is not None else ""
        choice = self._choice(kind)
        if choice is not None:
            kind = self._apply(choice)
        elif kind not in {"", "disabled"} and not self._target.reasoning:
            losses.path("thinking", why="the model does not think")
            del members["thinking"]
            self._put_effort(None)
            kind = ""
        lenient = self._quirks.takes_empty_signatures
        if kind == "enabled" and not lenient and _loop_lacks_thinking(members):
            losses.path("thinking", why="the tool calls in progress came without signed thinking")
            members["thinking"] = compact_json({"type": "disabled"})
            self._drop_clearing()
            kind = "disabled"
        return kind not in {"", "disabled"}

    def _choice(self, kind: str) -> LevelChoice | None:
        """Return how the model is asked where the caller's own words will not do; None leaves them."""
        asked, target, quirks = self._asked, self._target, self._quirks
        if target.level is not None:
            return choose_level(None, target)
        if asked.thinking is None or not target.reasoning:
            return None
        effort = asked.output_config.effort if asked.output_config is not None else None
        wish: ReasoningWish | None = None
        if kind in {"adaptive", "between_tools"} and not quirks.thinks_adaptively:
            wish = ReasoningWish(mode="auto", level=effort)
        elif kind == "enabled" and quirks.thinks_adaptively and not quirks.takes_sampling:
            # The models that take no sampling any more are those that take no budget either.
            self._losses.path("thinking.budget_tokens", why="the model is asked by effort")
            wish = ReasoningWish(mode="budget", budget=asked.thinking.budget_tokens or 0)
            if effort is not None:
                wish = ReasoningWish(mode="level", level=effort)
        return choose_level(wish, target)

    def _apply(self, choice: LevelChoice) -> str:
        """Write how the model is asked; return the type of thinking."""
        members, asked = self._members, self._asked
        cap = self._target.max_output or FALLBACK_LIMIT
        named = asked.max_tokens is not None
        limit = Limit(tokens=int(asked.max_tokens or 0) if named else cap, named=named, cap=cap)
        plan = plan_thinking(choice, self._target, self._quirks, limit=limit)
        if plan.lost:
            self._losses.path("thinking", why="`max_tokens` leaves no room for it")
        if plan.on:
            plan = self._beside_choice(plan, no_thinking(self._target, limit))
        members.pop("thinking", None)
        if plan.thinking is not None:
            members["thinking"] = compact_json(plan.thinking)
        self._put_effort(plan.effort)
        if named and plan.max_tokens != limit.tokens:
            members["max_tokens"] = compact_json(plan.max_tokens)
        return str(plan.thinking["type"]) if plan.thinking is not None else ""

    def _beside_choice(self, plan: ThinkingPlan, without: ThinkingPlan) -> ThinkingPlan:
        """Return the plan beside a demanded call: where any call will do, the demand goes; else the thinking."""
        demanded = self._asked.tool_choice.type if self._asked.tool_choice is not None else ""
        if demanded == "tool":
            self._losses.path("thinking", why="a demanded tool call excludes it")
            return without
        if demanded == "any":
            self._losses.path("tool_choice", why="thinking excludes a demanded call")
            choice = raw_object(self._members["tool_choice"])
            self._members["tool_choice"] = edit_object(choice, put={"type": b'"auto"'})
        return plan

    def _put_effort(self, effort: str | None) -> None:
        config = raw_object(self._members["output_config"]) if self._asked.output_config is not None else {}
        config.pop("effort", None)
        if effort is not None:
            config["effort"] = compact_json(effort)
        self._members.pop("output_config", None)
        if config:
            self._members["output_config"] = edit_object(config, put={})

    def _drop_clearing(self) -> None:
        """Drop an edit of the context that clears thinking: without thinking it is refused."""
        if b"clear_thinking" in self._members.get("context_management", b""):
            self._losses.path("context_management", why="it clears thinking, of which there is none")
            del self._members["context_management"]


def _loop_lacks_thinking(members: Mapping[str, bytes | msgspec.Raw]) -> bool:
    return "messages" in members and tool_loop_lacks_thinking(loop_in_progress(members["messages"]))


def settle_sampling(members: dict[str, bytes], quirks: Quirks, losses: Losses, *, thinks: bool) -> None:
    """Take out sampling that the model refuses: all of it on newer models, all but a temperature of 1 while thinking."""
    if quirks.takes_sampling and not thinks:
        return
    for name in SAMPLING_FIELDS:
        value = members.get(name)
        neutral = value in _NEUTRAL and name != "top_k"
        if value is None or (neutral and name == "temperature" and quirks.takes_sampling):
            continue
        if not neutral:
            losses.path(name, why="the model draws its tokens its own way")
        del members[name]
