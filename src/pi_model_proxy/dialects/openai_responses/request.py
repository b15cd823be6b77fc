"""A hub request as the body of `POST {base}/responses`, or what a variant of the kind has in its place.

Sources: OpenAI's Responses reference; dialects.md §1.2 and §1.3; pi 1.5.2
`dist/api/openai-responses.js` (`buildParams`).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, distinct_tools
from pi_model_proxy.dialects.openai_responses.items import ItemWriter
from pi_model_proxy.dialects.openai_responses.quirks import quirks_of
from pi_model_proxy.dialects.openai_responses.schemas import is_strict_schema
from pi_model_proxy.dialects.openai_responses.tools import DIALECT, ToolWriter
from pi_model_proxy.dialects.openai_responses.variants import session_headers, variant_of
from pi_model_proxy.dialects.reasoning import LevelChoice, choose_level, is_wish_lost
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.dialects.surrogates import clean_json
from pi_model_proxy.hub import Request, Target, Turn
from pi_model_proxy.wire import compact_json

__all__ = ["encode_request"]

MIN_OUTPUT_TOKENS: Final = 16
"""Less is refused (earendil-works/pi#6265)."""
MAX_CACHE_KEY: Final = 64
"""Characters, OpenAI's limit; pi cuts there too."""
MAX_END_USER: Final = 64
_SERVICE_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"


def encode_request(request: Request, target: Target) -> Outgoing:
    """Return the request for `target`.

    Raises:
        UnsupportedFeature: the target cannot say something without which the answer would not be
            what was asked (or, with `target.strict`, anything).
    """
    losses = Losses(request, target)
    return _RequestWriter(request, target, losses).write()


class _RequestWriter:
    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self._request = request
        self._target = target
        self._losses = losses
        self._quirks = quirks_of(target.compat)
        self._variant = variant_of(target)
        self._omitted = self._variant.omitted_fields | target.identity.omitted_fields
        self._level = choose_level(request.reasoning, target)
        self._body: dict[str, Any] = {}

    def write(self) -> Outgoing:
        request, target, losses = self._request, self._target, self._losses
        if request.n != 1:
            losses.refuse(request.paths.get("n", "n"), why="it gives one answer to a request")
        tools = distinct_tools(request.tools, losses)
        names = ToolNames(
            tools, casing=target.identity.tool_names, wraps_custom=not self._quirks.takes_custom_tools
        )
        items = ItemWriter(request, target, names=names, quirks=self._quirks, losses=losses)
        turns = repair_history(request.turns, self._history_rules(), losses)
        variant = self._variant
        self._body = {
            **variant.constants,
            "model": target.identity.deployment or target.model,
            **self._instructed(items, turns),
            "stream": True,
            "store": False,
            **ToolWriter(request, tools, names, self._quirks, variant).fields(losses),
        }
        if not self._body["input"]:
            losses.refuse_empty()
        self._add_limits()
        self._add_reasoning()
        self._add_form()
        self._add_hints()
        self._drop_the_rest()
        if variant.takes_sampling_params:
            level = self._level.level if self._level else "off"
            self._body |= {**target.sampling_params, **target.sampling_params_by_level.get(level, {})}
        return Outgoing(
            path=variant.path_for(target),
            body=_encode(self._body),
            headers=session_headers(self._variant, self._quirks, session_of(request)),
            dropped=losses.paths,
            names=names,
            stop_here=request.stop,
        )

    def _instructed(self, items: ItemWriter, turns: tuple[Turn, ...]) -> dict[str, Any]:
        """Return the conversation, with the leading instructions where the variant has them."""
        default, blocks = self._variant.default_instructions, self._request.instructions
        if not default:
            return {"input": items.write(blocks, turns)}
        for block in blocks:
            self._losses.mark(block.cache, block.at)
        text = "\n\n".join(block.text for block in blocks if block.text)
        return {"instructions": text or default, "input": items.write((), turns)}

    def _history_rules(self) -> HistoryRules:
        target = self._target
        keeps_place = self._quirks.takes_mid_instructions or target.hosted_by_vendor
        return HistoryRules(
            dialect=DIALECT,
            provider=target.provider,
            model=target.model,
            opaque_kinds=frozenset({"openai_encrypted"}),
            takes_images=target.takes_images,
            system_turns="keep" if keeps_place else "fold",
        )

    def _put(self, field: str, value: object, hub_field: str) -> None:
        """Add a field, unless the kind's or the login's backend refuses it."""
        if field in self._omitted:
            self._losses.field(hub_field)
        else:
            self._body[field] = value

    def _add_limits(self) -> None:
        wanted = self._request.max_output
        if wanted is None:
            return
        if not self._quirks.takes_max_output:
            self._losses.field("max_output")
            return
        limit = max(wanted, MIN_OUTPUT_TOKENS)
        if 0 < self._target.max_output < limit:
            limit = self._target.max_output
        if limit != wanted:
            self._losses.field("max_output")
        self._put("max_output_tokens", limit, "max_output")

    def _add_reasoning(self) -> None:
        wish, choice = self._request.reasoning, self._level
        if is_wish_lost(wish, choice):
            self._losses.wish()
        elif choice is not None and choice.clamped:
            self._losses.level()
        if choice is not None:
            self._body["reasoning"] = self._reasoning(choice)
        if self._target.reasoning and not self._is_reasoning_off():
            # Also when nobody asked: most models think anyway, and without this what they thought is lost.
            self._body["include"] = [_ENCRYPTED_REASONING]

    def _reasoning(self, choice: LevelChoice) -> dict[str, str]:
        if choice.level == "off":
            return {"effort": choice.word or "none"}
        effort = {} if choice.auto else {"effort": choice.word or choice.level}
        wish = self._request.reasoning
        hidden = wish is not None and wish.visible == "none"
        return effort if hidden else {**effort, "summary": "auto"}

    def _is_reasoning_off(self) -> bool:
        return self._level is not None and self._level.level == "off"

    def _add_form(self) -> None:
        """Add what the answer's text must be like."""
        request = self._request
        text: dict[str, Any] = {}
        output = request.output
        if output is not None and output.kind == "json":
            text["format"] = {"type": "json_object"}
        elif output is not None:
            fits = is_strict_schema(output.schema)
            if output.strict and not fits:
                self._losses.field("output.strict")
            described = {"description": output.description} if output.description else {}
            text["format"] = {
                "type": "json_schema",
                "name": output.name or "answer",
                "schema": output.schema or {},
                "strict": fits and output.strict is not False,
                **described,
            }
        verbosity = request.verbosity or self._variant.default_verbosity
        if verbosity is not None:
            text["verbosity"] = verbosity
        if text:
            self._body["text"] = text

    def _add_hints(self) -> None:
        """Add what only nudges the answer or its price."""
        request, losses = self._request, self._losses
        if request.cache_key is not None:
            if self._quirks.cache_key_mode == "disabled":
                losses.field("cache_key")
            else:
                self._put("prompt_cache_key", request.cache_key[:MAX_CACHE_KEY], "cache_key")
        elif request.session and self._target.auto_cache and self._quirks.cache_key_mode != "disabled":
            self._body["prompt_cache_key"] = request.session[:MAX_CACHE_KEY]
        if request.service_tier is not None:
            if request.service_tier in _SERVICE_TIERS and request.dialect.startswith("openai_"):
                self._put("service_tier", request.service_tier, "service_tier")
            else:
                losses.field("service_tier")
        if request.end_user is not None:
            if self._target.hosted_by_vendor:
                self._put("safety_identifier", _short(request.end_user), "end_user")
            else:
                losses.field("end_user")
        self._add_sampling()

    def _add_sampling(self) -> None:
        sampling = self._request.sampling
        # OpenAI's models refuse both while they think; which ones think unasked, the catalogue cannot say.
        free = not self._target.reasoning or self._is_reasoning_off()
        for name, value in (("temperature", sampling.temperature), ("top_p", sampling.top_p)):
            if value is not None and free:
                self._put(name, value, f"sampling.{name}")
            elif value is not None:
                self._losses.field(f"sampling.{name}")
        # This format has none of these; zero and false ask for nothing.
        for name in ("top_k", "min_p", "seed"):
            if getattr(sampling, name) is not None:
                self._losses.field(f"sampling.{name}")
        for name in ("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"):
            if getattr(sampling, name):
                self._losses.field(f"sampling.{name}")

    def _drop_the_rest(self) -> None:
        request, losses = self._request, self._losses
        if request.metadata:
            losses.field("metadata")
        for name, value in request.extra.items():
            if name == "modalities" and isinstance(value, list) and "audio" in value:
                losses.refuse(name, why="it answers in text")
            if self._takes_as_it_is(name):
                self._body[name] = value
            elif value is not None and not _says_nothing(name, value):
                losses.path(name)

    def _takes_as_it_is(self, name: str) -> bool:
        """Tell whether a field of chat means the same here: OpenAI's own words about its cache."""
        if not self._target.hosted_by_vendor or name in self._omitted:
            return False
        return name == "prompt_cache_retention" or (
            name == "prompt_cache_options" and self._quirks.takes_cache_marks
        )


def _says_nothing(name: str, value: object) -> bool:
    """Tell whether an unknown field asks for what happens anyway."""
    return (name == "store" and value is False) or (name == "modalities" and value == ["text"])


def _short(end_user: str) -> str:
    """Return the identifier, or a hash of one that is too long (Claude Code sends a JSON text)."""
    if len(end_user) <= MAX_END_USER:
        return end_user
    return hashlib.sha256(end_user.encode("utf-8", "surrogatepass")).hexdigest()


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return compact_json(body)
    except UnicodeEncodeError:  # a lone surrogate outside of the history: a tool's schema, an instruction
        return compact_json(clean_json(body))
