"""A hub request, as an upstream of Google's takes it: `:streamGenerateContent?alt=sse`.

Sources: dialects.md §1.1 GM, §1.2, §1.3; pi 1.5.2 `dist/api/google-generative-ai.js`
(`buildParams`); @google/genai 3.1 (which field goes where in the body).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.google_gemini.address import STREAM, request_path
from pi_model_proxy.dialects.google_gemini.contents_out import ContentWriter
from pi_model_proxy.dialects.google_gemini.families import family_of
from pi_model_proxy.dialects.google_gemini.schemas import with_enums
from pi_model_proxy.dialects.google_gemini.thinking_out import thinking_plan
from pi_model_proxy.dialects.google_gemini.tools_out import choose_tools, tool_config, write_tools
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, distinct_tools
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.hub import Request, Target
from pi_model_proxy.wire import compact_json

__all__ = ["encode_request"]

MAX_STOPS: Final = 5
"""More stop sequences are refused; the gateway watches for the others itself."""
MAX_TEMPERATURE: Final = 2.0
JSON_TYPE: Final = "application/json"
JSON_INSTRUCTION: Final = (
    "Answer with one valid JSON object and nothing else: no explanation, no Markdown fences."
)
SERVICE_TIERS: Final = {"flex": "flex", "priority": "priority", "default": "standard"}
_SAYABLE: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_UNSAYABLE: Final = ("min_p", "logit_bias", "logprobs", "top_logprobs")
"""Sampling wishes that this format has no word for, or whose answer the hub has none for."""

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
        self._family = family_of(target.model)
        self._losses = Losses(request, target)
        self._tools = distinct_tools(request.tools, self._losses)
        self._names = ToolNames(self._tools, casing=target.identity.tool_names)
        self._content = ContentWriter(target, self._family, names=self._names, losses=self._losses)

    def outgoing(self) -> Outgoing:
        request, losses = self._request, self._losses
        if request.n > 1:
            losses.refuse(request.paths.get("n", "n"), why="several answers at once")
        contents = self._content.contents(request)
        system = self._content.system(request.instructions)
        tools = choose_tools(request, self._tools, self._family, losses)
        config = self._generation_config(has_functions=any(tool.kind != "server" for tool in tools))
        if self._needs_json_instruction(config):
            system = system or {"parts": [], "role": "user"}
            system["parts"].append({"text": JSON_INSTRUCTION})
        if system and not contents:
            # Instructions without any conversation become what the user says.
            contents, system = [{"role": "user", "parts": system["parts"]}], None
        if not contents:
            losses.refuse_empty()
        fields: Json = {
            "contents": contents,
            "generationConfig": config,
            "systemInstruction": system,
            "tools": write_tools(tools, self._names, losses),
            "toolConfig": tool_config(request, tools, self._names, self._family, losses),
            "serviceTier": self._service_tier(),
        }
        self._list_the_rest()
        return Outgoing(
            path=request_path(self._target, STREAM),
            body=compact_json({name: value for name, value in fields.items() if value}),
            dropped=losses.paths,
            names=self._names,
            stop_here=request.stop[MAX_STOPS:],
        )

    def _generation_config(self, *, has_functions: bool) -> Json:
        request = self._request
        config = self._sampling()
        if request.max_output is not None:
            config["maxOutputTokens"] = self._max_output(request.max_output)
        if request.stop:
            config["stopSequences"] = list(request.stop[:MAX_STOPS])
        thinking = thinking_plan(request.reasoning, self._target, self._family)
        if thinking.lost:
            self._losses.wish()
        elif thinking.clamped:
            self._losses.level()
        if thinking.config:
            config["thinkingConfig"] = thinking.config
        return config | self._format(has_functions=has_functions)

    def _max_output(self, asked: int) -> int:
        cap = self._target.max_output
        if 0 < cap < asked:
            self._losses.field("max_output")
            return cap
        return max(1, asked)

    def _sampling(self) -> Json:
        asked = self._request.sampling
        config: Json = {
            word: value for name, word in _SAYABLE.items() if (value := getattr(asked, name)) is not None
        }
        if config.get("temperature", 0) > MAX_TEMPERATURE:
            self._losses.field("sampling.temperature")
            config["temperature"] = MAX_TEMPERATURE
        return config

    def _format(self, *, has_functions: bool) -> Json:
        """Return the fields for an answer in JSON.

        Raises:
            UnsupportedFeature: a schema beside functions, which models before Gemini 3 refuse.
        """
        wanted = self._request.output
        if wanted is None:
            return {}
        if wanted.strict is False:
            self._losses.field("output.strict")  # this format always enforces
        if has_functions and not self._family.takes_tools_with_format:
            if wanted.kind == "schema":
                self._losses.refuse(
                    self._request.paths.get("output", "output"), why="it takes no schema beside functions"
                )
            self._losses.field("output")
            return {}
        if wanted.kind == "json":
            return {"responseMimeType": JSON_TYPE}
        schema = with_enums(wanted.schema or {})
        for field, keyword in (("description", "description"), ("name", "title")):
            # What the form was called has no other place here.
            said = getattr(wanted, field)
            if said and schema.setdefault(keyword, said) != said:
                self._losses.field(f"output.{field}")
        return {"responseMimeType": JSON_TYPE, "responseJsonSchema": schema}

    def _needs_json_instruction(self, config: Json) -> bool:
        return self._request.output is not None and "responseMimeType" not in config

    def _service_tier(self) -> str | None:
        tier = self._request.service_tier
        if tier in {None, "auto"}:
            return None
        written = SERVICE_TIERS.get(tier or "") if self._target.hosted_by_vendor else None
        if written is None:
            self._losses.field("service_tier")
        return written

    def _list_the_rest(self) -> None:
        """List every wish this format has no word for; values that change nothing are no wish."""
        request, losses = self._request, self._losses
        for name in _UNSAYABLE:
            if getattr(request.sampling, name):
                losses.field(f"sampling.{name}")
        for name in ("verbosity", "cache_key", "end_user", "metadata"):
            if getattr(request, name):
                losses.field(name)
        for name in request.extra:
            losses.path(name)
