"""A caller's request, read into the hub.

Sources: dialects.md §1.1 GM, §1.2, §1.3; google-genai 3.4.0 `GenerationConfig`, `ThinkingConfig`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.base import Peek
from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.contents_in import read_contents, read_instructions
from pi_model_proxy.dialects.google_gemini.reading import (
    ProtoFields,
    camel,
    read_json,
    says_nothing,
    too_deep,
)
from pi_model_proxy.dialects.google_gemini.schemas import json_schema
from pi_model_proxy.dialects.google_gemini.tools_in import read_tool_choice, read_tools
from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import OutputFormat, ReasoningWish, Request, Sampling
from pi_model_proxy.wire import members_of

__all__ = ["peek", "read_request", "shows_reasoning"]

KNOWN_FIELDS: Final = frozenset({
    "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "cachedContent", "labels",
    "serviceTier", "model", "generateContentRequest",
})  # fmt: skip
_OF_CONFIG: Final = frozenset({
    "temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs",
    "maxOutputTokens", "stopSequences", "candidateCount", "thinkingConfig", "responseMimeType", "responseSchema",
    "responseJsonSchema", "responseModalities", "responseFormat",
})  # fmt: skip
_OF_THINKING: Final = frozenset({"includeThoughts", "thinkingLevel", "thinkingBudget"})
_OF_FORMAT: Final = frozenset({"text"})
_OF_TEXT_FORMAT: Final = frozenset({"mimeType", "schema"})
SERVICE_TIERS: Final = {"flex": "flex", "priority": "priority", "standard": "default"}
_UNSPECIFIED: Final = "unspecified"
JSON_TYPES: Final = frozenset({"application/json", "application_json"})
TEXT_TYPES: Final = frozenset({"", "text/plain", "text_plain"})
_TEXT_MODALITIES: Final = frozenset({"TEXT", "MODALITY_UNSPECIFIED"})

_IN_CONFIG: Final = {
    "sampling.temperature": "temperature",
    "sampling.top_p": "topP",
    "sampling.top_k": "topK",
    "sampling.seed": "seed",
    "sampling.presence_penalty": "presencePenalty",
    "sampling.frequency_penalty": "frequencyPenalty",
    "sampling.logprobs": "responseLogprobs",
    "sampling.top_logprobs": "logprobs",
    "max_output": "maxOutputTokens",
    "stop": "stopSequences",
    "n": "candidateCount",
    "reasoning": "thinkingConfig",
}
"""Hub field to the member of `generationConfig`."""


_text: Final = msgspec.json.Decoder(str | None).decode


def peek(body: bytes, *, streams: bool) -> Peek:
    """Return what the body tells of routing: hardly anything, model and method stand in the URL.

    Raises:
        BadRequest: not JSON, or not an object.
    """
    try:
        members = members_of(body)
        model = _text(members["model"]) if "model" in members else None
    except (ValueError, RecursionError):
        # Lone surrogates are mended, and a field of the wrong type is found out.
        return Peek(model=_bare(read_json(body).text("model")), stream=streams)
    return Peek(model=_bare(model), stream=streams, members=members)


def _bare(model: str | None) -> str | None:
    """Return the body's own `model`, which some clients repeat there, without `models/`."""
    return model.removeprefix("models/") if model else None


def shows_reasoning(request: Request) -> bool:
    """Tell whether the caller asked for thoughts (`includeThoughts`): only then are they shown, as Google does."""
    wish = request.reasoning
    return wish is not None and wish.mode != "off" and wish.visible not in {None, "none"}


def read_request(body: bytes, *, streams: bool) -> Request:
    """Return the whole request; also takes the body of a count.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: something no other dialect can give (spoken answers, cached content).
    """
    try:
        fields = read_json(body)
        inner = fields.object("generateContentRequest")
        signature = "thought_signature" if b'"thought_signature"' in body else "thoughtSignature"
        return _RequestReader(inner or fields, streams=streams, signature=signature).request()
    except RecursionError as error:
        raise too_deep() from error


class _RequestReader:
    def __init__(self, body: ProtoFields, *, streams: bool, signature: str) -> None:
        self._body = body
        self._signature = signature
        """How the caller spells the member of a part that holds its token."""
        self._streams = streams
        self._config = body.object("generationConfig") or ProtoFields({}, body.path("generationConfig"))
        self._dropped: list[str] = []

    def request(self) -> Request:
        body, config, dropped = self._body, self._config, self._dropped
        self._refuse_the_impossible()
        config.unread(_OF_CONFIG, dropped)
        dropped += [name for name in body.given if name in STEERING_FIELDS]
        choice, choice_path = read_tool_choice(body, dropped)
        output, output_path = self._output()
        return Request(
            dialect=DIALECT,
            model=_bare(body.text("model")),
            stream=self._streams,
            instructions=read_instructions(body, dropped),
            turns=tuple(turn for turn in read_contents(body, dropped) if turn.blocks),
            tools=read_tools(body, dropped),
            tool_choice=choice,
            max_output=config.whole("maxOutputTokens"),
            stop=tuple(text for text in config.texts("stopSequences") if text),
            n=max(1, config.whole("candidateCount") or 1),
            sampling=self._sampling(),
            reasoning=self._reasoning(),
            output=output,
            metadata=self._labels(),
            service_tier=self._service_tier(),
            extra=self._extra(),
            paths={
                **{field: config.path(name) for field, name in _IN_CONFIG.items()},
                "call.opaque": self._signature,
                "output": output_path,
                "output.schema": output_path,
                "tool_choice": choice_path,
                "metadata": body.path("labels"),
                "service_tier": body.path("serviceTier"),
            },
            dropped=tuple(dict.fromkeys(dropped)),
        )

    def _refuse_the_impossible(self) -> None:
        """Refuse what would change the shape of the answer, or what the model is shown.

        Raises:
            UnsupportedFeature: names the JSON path.
        """
        if self._body.text("cachedContent"):
            path = self._body.path("cachedContent")
            raise UnsupportedFeature(
                f"{path}: the cached part of this conversation is kept by Google and cannot be sent to another "
                "provider; send the whole conversation.",
                param=path,
            )
        modalities = self._config.texts("responseModalities")
        if any(each.upper() not in _TEXT_MODALITIES for each in modalities):
            path = self._config.path("responseModalities")
            raise UnsupportedFeature(
                f"{path}: this model's API answers in text only; remove the field or choose another model.",
                param=path,
            )

    def _labels(self) -> dict[str, str]:
        labels = self._body.object("labels")
        if labels is None:
            return {}
        return {name: value for name, value in labels.given.items() if isinstance(value, str)}

    def _service_tier(self) -> str | None:
        tier = (self._body.text("serviceTier") or _UNSPECIFIED).lower()
        if tier not in SERVICE_TIERS and tier != _UNSPECIFIED:
            self._dropped.append(self._body.path("serviceTier"))
        return SERVICE_TIERS.get(tier)

    def _extra(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self._body.given.items()
            if camel(name) not in KNOWN_FIELDS
            and name not in STEERING_FIELDS
            and not says_nothing(value)
            and not (name == "store" and value is False)
        }

    def _sampling(self) -> Sampling:
        config = self._config
        return Sampling(
            temperature=config.number("temperature"),
            top_p=config.number("topP"),
            top_k=config.whole("topK"),
            seed=config.whole("seed"),
            presence_penalty=config.number("presencePenalty") or None,
            frequency_penalty=config.number("frequencyPenalty") or None,
            logprobs=config.flag("responseLogprobs") or None,
            top_logprobs=config.whole("logprobs") or None,
        )

    def _reasoning(self) -> ReasoningWish | None:
        thinking = self._config.object("thinkingConfig")
        if thinking is None or not thinking.names():
            return None
        thinking.unread(_OF_THINKING, self._dropped)
        visible: Literal["summary", "none"] = "summary" if thinking.flag("includeThoughts") else "none"
        budget = thinking.whole("thinkingBudget")
        level = thinking.word("thinkingLevel").lower()
        if level and not level.endswith(_UNSPECIFIED):
            if budget is not None:
                self._dropped.append(thinking.path("thinkingBudget"))
            return ReasoningWish(mode="level", level=level, visible=visible)
        if budget == 0:
            return ReasoningWish(mode="off")
        if budget is None or budget < 0:
            return ReasoningWish(mode="auto", visible=visible)
        return ReasoningWish(mode="budget", budget=budget, visible=visible)

    def _output(self) -> tuple[OutputFormat | None, str]:
        """Return the form of the answer, and the JSON path that asks for it.

        Raises:
            UnsupportedFeature: a form that no other dialect has.
        """
        config = self._config
        kind, path = (config.text("responseMimeType") or "").lower(), config.path("responseMimeType")
        schema, schema_path = self._output_schema()
        for each in config.objects("responseFormat"):
            each.unread(_OF_FORMAT, self._dropped)
            text = each.object("text")
            if text is None:
                raise _no_form(each.at)
            text.unread(_OF_TEXT_FORMAT, self._dropped)
            kind, path = (text.text("mimeType") or "").lower(), text.at
            given = text.object("schema")
            if given is not None:
                schema, schema_path = given.given, given.at
        if kind not in JSON_TYPES | TEXT_TYPES:
            raise _no_form(path)
        if schema is not None and (kind in JSON_TYPES or not kind):
            return OutputFormat(kind="schema", schema=schema), schema_path
        if schema is not None:
            self._dropped.append(schema_path)
        return (OutputFormat(kind="json") if kind in JSON_TYPES else None), path

    def _output_schema(self) -> tuple[dict[str, Any] | None, str]:
        whole, part = self._config.object("responseJsonSchema"), self._config.object("responseSchema")
        if whole is not None:
            if part is not None:
                self._dropped.append(part.at)
            return whole.given, whole.at
        return (None, "") if part is None else (json_schema(part.given), part.at)


def _no_form(path: str) -> UnsupportedFeature:
    return UnsupportedFeature(
        f"{path}: this form of answer cannot be had from this model's API; ask for text or JSON.",
        param=path,
    )
