"""A hub request as the body of `POST {base}/v1/chat/completions` at Mistral.

pi calls the kind `mistral-conversations`; what it speaks is not Mistral's Conversations API but its
chat completions, which refuse fields they do not know (422 `extra_forbidden`).

Sources: Mistral's chat completions reference (mistralai 3.7.0); dialects.md §1.1 MI, §1.2, §1.3; pi
1.5.2 `dist/api/mistral-conversations.js` (`buildChatPayload`, `streamSimple`).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.mistral_conversations.messages import DIALECT, MessageWriter
from pi_model_proxy.dialects.mistral_conversations.quirks import quirks_of
from pi_model_proxy.dialects.mistral_conversations.tools import tool_fields
from pi_model_proxy.dialects.names import ToolNames, distinct_tools
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.dialects.reasoning import choose_level
from pi_model_proxy.dialects.sessions import session_of
from pi_model_proxy.dialects.surrogates import clean_json
from pi_model_proxy.dialects.wishes import list_unfulfilled
from pi_model_proxy.hub import Request, Target
from pi_model_proxy.wire import compact_json

__all__ = ["encode_request"]

CHAT_PATH: Final = "/v1/chat/completions"
MAX_TEMPERATURE: Final = 1.5
_DEFAULT_EFFORT: Final = "high"
"""For a level that the model's map has no word for; pi's choice."""

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
        self._losses = Losses(request, target)

    def outgoing(self) -> Outgoing:
        request, target, losses = self._request, self._target, self._losses
        if request.n > 1:
            losses.refuse(request.paths.get("n", "n"), why="one answer is written at a time")
        tools = distinct_tools(request.tools, losses)
        names = ToolNames(tools, casing=target.identity.tool_names)
        turns = repair_history(request.turns, self._rules(), losses)
        messages = MessageWriter(names, losses).write(request.instructions, turns)
        if not messages:
            losses.refuse_empty()
        session = session_of(request)
        fields = {
            **tool_fields(request, tools, names, losses),
            **self._limits(),
            **self._sampling(),
            **self._reasoning(),
            "response_format": self._response_format(),
            "prompt_cache_key": request.cache_key or (session if target.auto_cache else None) or None,
            "metadata": request.metadata or None,
        }
        body: Json = {
            "model": target.model,
            "messages": messages,
            "stream": True,
            **{name: value for name, value in fields.items() if value is not None},
        }
        self._list_the_rest()
        for name in target.identity.omitted_fields & body.keys():
            del body[name]
            losses.path(name, why="the login's backend refuses it")
        return Outgoing(
            path=CHAT_PATH,
            body=_encode(body),
            headers={"x-affinity": session} if session else {},
            dropped=losses.paths,
            names=names,
        )

    def _rules(self) -> HistoryRules:
        target = self._target
        return HistoryRules(
            dialect=DIALECT,
            provider=target.provider,
            model=target.model,
            plain_reasoning=target.reasoning,
            takes_images=target.takes_images,
            system_turns="keep" if quirks_of(target.compat).takes_mid_instructions else "fold",
        )

    def _limits(self) -> Json:
        request, cap = self._request, self._target.max_output
        limit = request.max_output
        if limit is not None and 0 < cap < limit:
            self._losses.field("max_output")
            limit = cap
        return {"max_tokens": limit, "stop": list(request.stop) or None}

    def _sampling(self) -> Json:
        asked = self._request.sampling
        temperature = asked.temperature
        if temperature is not None and temperature > MAX_TEMPERATURE:
            self._losses.field("sampling.temperature")
            temperature = MAX_TEMPERATURE
        return {
            "temperature": temperature,
            "top_p": asked.top_p,
            "top_k": asked.top_k,
            "random_seed": asked.seed,
            "presence_penalty": asked.presence_penalty,
            "frequency_penalty": asked.frequency_penalty,
        }

    def _reasoning(self) -> Json:
        """Return how the model is told to think: by effort if it has levels, else by a mode of its prompt."""
        target = self._target
        choice = choose_level(self._request.reasoning, target)
        is_coarse = choice is not None and not choice.word and choice.level not in {"off", _DEFAULT_EFFORT}
        list_unfulfilled(self._request, choice, self._losses, coarse=is_coarse)
        if choice is None:
            return {}
        if not target.thinking_levels:
            return {"prompt_mode": None if choice.level == "off" else "reasoning"}
        default = None if choice.level == "off" else _DEFAULT_EFFORT
        return {"reasoning_effort": choice.word or default}

    def _response_format(self) -> Json | None:
        output = self._request.output
        if output is None:
            return None
        if output.kind == "json":
            return {"type": "json_object"}
        written: Json = {"name": output.name or "answer", "schema": clean_json(output.schema or {})}
        if output.description:
            written["description"] = output.description
        written["strict"] = output.strict is not False
        return {"type": "json_schema", "json_schema": written}

    def _list_the_rest(self) -> None:
        """List every wish this format has no word for; values that change nothing are no wish."""
        request, losses = self._request, self._losses
        for name in ("min_p", "logit_bias", "logprobs", "top_logprobs"):
            if getattr(request.sampling, name):
                losses.field(f"sampling.{name}")
        for name in ("verbosity", "service_tier", "end_user"):
            if getattr(request, name):
                losses.field(name)
        for name in request.extra:
            losses.path(name)


def _encode(body: Json) -> bytes:
    try:
        return compact_json(body)
    except UnicodeEncodeError:  # a lone surrogate outside of the history: a stop sequence, a description
        return compact_json(clean_json(body))
