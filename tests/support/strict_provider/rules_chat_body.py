"""OpenAI Chat Completions: top-level fields.

Sources: dialects.md §1.1 CC (field list), §1.2, §1.3; vendor words as OpenAI's API returns them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.openai_common import check_metadata, check_name, check_range, mentions_json
from support.strict_provider.openai_words import (
    check_shape,
    invalid,
    missing,
    too_long,
    unsupported,
    wrong_type,
    wrong_value,
)
from support.strict_provider.rulebook import Case, Objection, Rulebook
from support.strict_provider.schema_checks import malformed, strict_complaints
from support.strict_provider.shapes import (
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    Kind,
    Shape,
    either,
    estimate_tokens,
    literal,
    lone_surrogate,
    nullable,
    wrong_fields,
)
from support.strict_provider.traits import ALL_EFFORTS, ChatTraits

__all__ = ["BODY", "ChatCase"]

ChatCase = Case[ChatTraits]
BODY: Final[Rulebook[ChatTraits]] = Rulebook()

MAX_STOPS: Final = 4
MAX_CHOICES: Final = 128
MAX_IDENTITY: Final = 128
MAX_CACHE_KEY: Final = 64

FIELDS: Final[dict[str, Kind]] = {
    "model": STRING,
    "messages": ARRAY,
    "audio": nullable(OBJECT),
    "frequency_penalty": nullable(NUMBER),
    "function_call": either(STRING, OBJECT),
    "functions": ARRAY,
    "logit_bias": nullable(OBJECT),
    "logprobs": nullable(BOOLEAN),
    "max_completion_tokens": nullable(INTEGER),
    "max_tokens": nullable(INTEGER),
    "metadata": nullable(OBJECT),
    "modalities": nullable(ARRAY),
    "moderation": nullable(OBJECT),
    "n": nullable(INTEGER),
    "parallel_tool_calls": BOOLEAN,
    "prediction": nullable(OBJECT),
    "presence_penalty": nullable(NUMBER),
    "prompt_cache_key": nullable(STRING),
    "prompt_cache_options": nullable(OBJECT),
    "prompt_cache_retention": nullable(literal("in_memory", "24h")),
    "reasoning_effort": nullable(literal(*ALL_EFFORTS)),
    "response_format": OBJECT,
    "safety_identifier": nullable(STRING),
    "seed": nullable(INTEGER),
    "service_tier": nullable(literal("auto", "default", "flex", "scale", "priority", "fast")),
    "stop": nullable(either(STRING, ARRAY)),
    "store": nullable(BOOLEAN),
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(OBJECT),
    "temperature": nullable(NUMBER),
    "tool_choice": either(STRING, OBJECT),
    "tools": ARRAY,
    "top_logprobs": nullable(INTEGER),
    "top_p": nullable(NUMBER),
    "user": nullable(STRING),
    "verbosity": nullable(literal("low", "medium", "high")),
    "web_search_options": OBJECT,
}

FIXED_ON_REASONING: Final[dict[str, float]] = {
    "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0,
}  # fmt: skip
"""The only value that a reasoning model takes."""

FORMATS: Final[dict[str, Shape]] = {
    "text": Shape({"type": STRING}, {}),
    "json_object": Shape({"type": STRING}, {}),
    "json_schema": Shape({"type": STRING, "json_schema": OBJECT}, {}),
}
JSON_SCHEMA: Final = Shape(
    {"name": STRING}, {"schema": OBJECT, "description": STRING, "strict": nullable(BOOLEAN)}
)


@BODY.rule("strings-have-no-lone-surrogates", "dialects.md §7 Unicode; vector 47")
def surrogates(case: ChatCase) -> Iterator[Objection]:
    """Such a string cannot be written as UTF-8."""
    if lone_surrogate(case.body) is not None:
        yield Objection(
            words="We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
            "HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
        )


@BODY.rule("model-and-messages-are-required", "dialects.md §1.1 CC: `messages`*, `model`*")
def required_fields(case: ChatCase) -> Iterator[Objection]:
    """Real words: "you must provide a model parameter"."""
    if not case.body.get("model"):
        yield Objection(words="you must provide a model parameter")
    if "messages" not in case.body:
        yield missing("messages")


@BODY.rule(
    "top-level-fields-are-known", "dialects.md §1.1 CC; vendor words: Unrecognized request argument supplied"
)
def known_fields(case: ChatCase) -> Iterator[Objection]:
    """A compatible server may know fewer (`stream_options`, `store`) or others (`thinking`)."""
    known = (set(FIELDS) - case.traits.refused_fields) | case.traits.extra_fields
    for name in case.body:
        if name not in known:
            yield Objection(where="", words=f"Unrecognized request argument supplied: {name}")


@BODY.rule("top-level-fields-have-the-right-type", "dialects.md §1.1 CC")
def typed_fields(case: ChatCase) -> Iterator[Objection]:
    """Closed sets of strings are refused with their members."""
    for name, kind in wrong_fields(case.body, FIELDS):
        found = case.body[name]
        if kind.values and isinstance(found, str):
            yield wrong_value(name, found, kind.values)
        else:
            yield wrong_type(name, kind, found)


@BODY.rule(
    "the-limit-goes-by-the-models-name-for-it",
    "dialects.md §1.1 `max_tokens` rejected by reasoning models; vector 16",
)
def limit_field(case: ChatCase) -> Iterator[Objection]:
    """`max_completion_tokens` for OpenAI's reasoning models, `max_tokens` for many compatible servers."""
    limits = {"max_tokens", "max_completion_tokens"}
    given = {name for name in limits if case.body.get(name) is not None}
    for name in sorted(given - case.traits.limit_fields):
        yield unsupported(name, f"Use '{min(limits - {name})}' instead.")
    if given == limits:
        yield Objection(
            where="max_tokens",
            words="Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )


@BODY.rule("the-limit-is-within-the-model", "dialects.md §1.2 Max output: clamp to the model cap")
def limit_value(case: ChatCase) -> Iterator[Objection]:
    """At least 1, at most the model's output."""
    for name in ("max_tokens", "max_completion_tokens"):
        asked, most = case.body.get(name), case.traits.max_output
        if asked is not None and asked < 1:
            yield from check_range(case.body, name, 1, most)
        if asked is not None and asked > most:
            yield invalid(
                name,
                f"{name} is too large: {asked}. This model supports at most {most} completion tokens, whereas you "
                f"provided {asked}.",
            )


@BODY.rule(
    "reasoning-models-take-no-sampling", "dialects.md §1.2 temperature, Stop sequences (o3/o4-mini class)"
)
def reasoning_sampling(case: ChatCase) -> Iterator[Objection]:
    """The default value is taken, any other is not."""
    if not case.traits.reasoning:
        return
    for name, only in FIXED_ON_REASONING.items():
        value = case.body.get(name)
        if value is not None and value != only:
            yield Objection(
                where=name,
                words=f"Unsupported value: '{name}' does not support {value} with this model. Only the default "
                f"({only}) value is supported.",
                code="unsupported_value",
            )
    for name in ("logprobs", "top_logprobs", "logit_bias"):
        if case.body.get(name):
            yield unsupported(name)


@BODY.rule("some-reasoning-models-take-no-stop", "dialects.md §1.2: `stop` unsupported on o3/o4-mini class")
def stop_supported(case: ChatCase) -> Iterator[Objection]:
    """A trait of those models."""
    if not case.traits.takes_stop and case.body.get("stop") is not None:
        yield unsupported("stop")


@BODY.rule("effort-is-for-models-that-reason", "dialects.md §1.3: `none` … `max`, by model")
def effort(case: ChatCase) -> Iterator[Objection]:
    """Others have never heard of the field."""
    asked = case.body.get("reasoning_effort")
    if asked is None:
        return
    if not case.traits.efforts:
        yield Objection(words="Unrecognized request argument supplied: reasoning_effort")
    elif asked not in case.traits.efforts:
        options = ", ".join(f"'{name}'" for name in case.traits.efforts)
        yield Objection(
            where="reasoning_effort",
            words=f"Unsupported value: 'reasoning_effort' does not support '{asked}' with this model. Supported "
            f"values are: {options}.",
            code="unsupported_value",
        )


@BODY.rule(
    "numbers-are-in-range", "dialects.md §1.1 CC: temperature 0..2, penalties -2..2, top_logprobs 0..20"
)
def ranges(case: ChatCase) -> Iterator[Objection]:
    """Each with its own bounds."""
    yield from check_range(case.body, "temperature", 0, 2)
    yield from check_range(case.body, "top_p", 0, 1)
    yield from check_range(case.body, "presence_penalty", -2, 2)
    yield from check_range(case.body, "frequency_penalty", -2, 2)
    yield from check_range(case.body, "top_logprobs", 0, 20)
    yield from check_range(case.body, "n", 1, MAX_CHOICES)


@BODY.rule("top-logprobs-comes-with-logprobs", "vendor words: only allowed when 'logprobs' is enabled")
def top_logprobs(case: ChatCase) -> Iterator[Objection]:
    """`logprobs` must be true."""
    if case.body.get("top_logprobs") is not None and not case.body.get("logprobs"):
        yield invalid(
            "top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        )


@BODY.rule("there-are-at-most-four-stops", "dialects.md §1.1 CC: `stop` string or ≤4 strings")
def stops(case: ChatCase) -> Iterator[Objection]:
    """Each of them a string."""
    stop = case.body.get("stop")
    for index, text in enumerate(stop if isinstance(stop, list) else []):
        if not isinstance(text, str):
            yield wrong_type(f"stop[{index}]", STRING, text)
    if isinstance(stop, list) and len(stop) > MAX_STOPS:
        yield too_long("stop", limit=MAX_STOPS, length=len(stop), what="array")


@BODY.rule(
    "stream-options-come-with-stream",
    "dialects.md §1.1 `stream_options`; vendor words: only allowed when 'stream'",
)
def stream_options(case: ChatCase) -> Iterator[Objection]:
    """Two known keys."""
    options = case.body.get("stream_options")
    if options is None:
        return
    if not case.body.get("stream"):
        yield invalid(
            "stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        )
    shape = Shape({}, {"include_usage": BOOLEAN, "include_obfuscation": BOOLEAN})
    yield from check_shape(options, shape, "stream_options")


@BODY.rule("response-format-is-well-formed", "dialects.md §1.2 Plain JSON, JSON schema")
def response_format(case: ChatCase) -> Iterator[Objection]:
    """The schema sits in a `json_schema` wrapper with a name."""
    form: dict[str, Any] | None = case.body.get("response_format")
    if form is None:
        return
    kind = form.get("type")
    if not isinstance(kind, str) or kind not in FORMATS:
        yield wrong_value("response_format.type", kind, tuple(FORMATS))
        return
    yield from check_shape(form, FORMATS[kind], "response_format")
    if kind == "json_schema":
        yield from check_shape(form["json_schema"], JSON_SCHEMA, "response_format.json_schema")
        yield from check_name(form["json_schema"]["name"], "response_format.json_schema.name")


@BODY.rule("a-response-schema-is-json-schema", "vendor words: Invalid schema for response_format 'answer'")
def response_json_schema(case: ChatCase) -> Iterator[Objection]:
    """Strict or not."""
    form = case.body.get("response_format", {}).get("json_schema", {})
    for words in malformed(form.get("schema", {})):
        yield invalid("response_format", f"Invalid schema for response_format '{form['name']}': {words}.")


@BODY.rule("a-strict-response-schema-is-strict", "dialects.md §1.4 CC/RS strict")
def response_schema(case: ChatCase) -> Iterator[Objection]:
    """Only when `strict` is true."""
    form = case.body.get("response_format", {}).get("json_schema", {})
    if form.get("strict"):
        for words in strict_complaints(form.get("schema", {})):
            yield invalid("response_format", f"Invalid schema for response_format '{form['name']}': {words}")


@BODY.rule(
    "json-mode-needs-the-word-json", "vendor words: 'messages' must contain the word 'json' in some form"
)
def json_word(case: ChatCase) -> Iterator[Objection]:
    """Only `json_object`, not `json_schema`."""
    if case.body.get("response_format", {}).get("type") == "json_object" and not mentions_json(
        case.body["messages"]
    ):
        yield invalid(
            "messages",
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        )


@BODY.rule(
    "metadata-is-small-and-stored",
    "dialects.md §1.1 CC: `metadata`(16 pairs); vendor words: when 'store' is enabled",
)
def metadata(case: ChatCase) -> Iterator[Objection]:
    """It describes a stored completion."""
    yield from check_metadata(case.body)
    if case.body.get("metadata") and not case.body.get("store"):
        yield invalid("metadata", "The 'metadata' parameter is only allowed when 'store' is enabled.")


@BODY.rule(
    "identities-are-short",
    "dialects.md §1.1 `safety_identifier`(≤128); §1.2 prompt_cache_key: 64, User/metadata",
)
def identities(case: ChatCase) -> Iterator[Objection]:
    """Three strings with limits."""
    limits = {"user": MAX_IDENTITY, "safety_identifier": MAX_IDENTITY, "prompt_cache_key": MAX_CACHE_KEY}
    for name, limit in limits.items():
        length = len(case.body.get(name) or "")
        if length > limit:
            yield too_long(name, limit=limit, length=length)


@BODY.rule(
    "modalities-are-known",
    'dialects.md §1.1 CC: `modalities["text"|"audio"]`; audio needs `audio{format,voice}`',
)
def modalities(case: ChatCase) -> Iterator[Objection]:
    """None of our models speaks."""
    for index, name in enumerate(case.body.get("modalities") or []):
        if name not in ("text", "audio"):
            yield wrong_value(f"modalities[{index}]", name, ("text", "audio"))
        elif name == "audio":
            yield invalid("modalities", "This model does not support audio output.")


@BODY.rule("old-and-new-tools-do-not-mix", "dialects.md §1.1 CC: `functions`, `function_call` deprecated")
def old_functions(case: ChatCase) -> Iterator[Objection]:
    """The deprecated pair excludes `tools`."""
    if "functions" in case.body and "tools" in case.body:
        yield invalid("functions", "Only one of 'functions' and 'tools' may be specified.")
    if "function_call" in case.body and "functions" not in case.body:
        yield invalid("function_call", "'function_call' is only allowed when 'functions' are specified.")


@BODY.rule("prompt-cache-options-are-known", 'dialects.md §1.1 CC: `prompt_cache_options{mode, ttl:"30m"}`')
def cache_options(case: ChatCase) -> Iterator[Objection]:
    """No Anthropic marks in disguise."""
    options = case.body.get("prompt_cache_options") or {}
    shape = Shape({}, {"mode": literal("implicit", "explicit"), "ttl": literal("30m")})
    yield from check_shape(options, shape, "prompt_cache_options")


@BODY.rule("the-prompt-fits-the-context", "dialects.md §6.2 context too long")
def context(case: ChatCase) -> Iterator[Objection]:
    """Clients compact on this code and sentence."""
    count, limit = estimate_tokens(case.body), case.traits.context_tokens
    if count > limit:
        yield Objection(
            where="messages",
            words=f"This model's maximum context length is {limit} tokens. However, your messages resulted in {count} "
            "tokens. Please reduce the length of the messages.",
            code="context_length_exceeded",
        )
