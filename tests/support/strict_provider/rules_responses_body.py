"""OpenAI Responses: top-level fields, text format, reasoning, tools; and the Codex backend's own contract.

Sources: dialects.md §1.1 RS and CX, §1.2, §1.3, §1.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.openai_common import (
    check_metadata,
    check_name,
    check_range,
    mentions_json,
)
from support.strict_provider.openai_words import (
    check_shape,
    invalid,
    missing,
    too_long,
    unknown,
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
from support.strict_provider.traits import ALL_EFFORTS, ResponsesTraits

__all__ = ["BODY", "ResponsesCase"]

ResponsesCase = Case[ResponsesTraits]
BODY: Final[Rulebook[ResponsesTraits]] = Rulebook()

MIN_OUTPUT: Final = 16
MAX_CACHE_KEY: Final = 64
MAX_IDENTITY: Final = 128
ENCRYPTED: Final = "reasoning.encrypted_content"

FIELDS: Final[dict[str, Kind]] = {
    "model": STRING,
    "input": either(STRING, ARRAY),
    "instructions": nullable(STRING),
    "access_programs": nullable(OBJECT),
    "background": nullable(BOOLEAN),
    "background_options": nullable(OBJECT),
    "context_management": nullable(ARRAY),
    "conversation": nullable(either(STRING, OBJECT)),
    "image": nullable(OBJECT),
    "include": nullable(ARRAY),
    "max_output_tokens": nullable(INTEGER),
    "max_tool_calls": nullable(INTEGER),
    "metadata": nullable(OBJECT),
    "moderation": nullable(OBJECT),
    "parallel_tool_calls": nullable(BOOLEAN),
    "previous_response_id": nullable(STRING),
    "prompt": nullable(OBJECT),
    "prompt_cache_key": nullable(STRING),
    "prompt_cache_options": nullable(OBJECT),
    "prompt_cache_retention": nullable(literal("in_memory", "24h")),
    "reasoning": nullable(OBJECT),
    "safety_identifier": nullable(STRING),
    "service_tier": nullable(literal("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")),
    "store": nullable(BOOLEAN),
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(OBJECT),
    "temperature": nullable(NUMBER),
    "text": OBJECT,
    "tool_choice": either(STRING, OBJECT),
    "tools": ARRAY,
    "top_logprobs": nullable(INTEGER),
    "top_p": nullable(NUMBER),
    "truncation": nullable(literal("auto", "disabled")),
    "user": nullable(STRING),
}
MOVED: Final = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
INCLUDES: Final = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    ENCRYPTED,
    "message.output_text.logprobs",
)
REASONING: Final = Shape(
    {},
    {
        "effort": nullable(literal(*ALL_EFFORTS)),
        "summary": nullable(literal("auto", "concise", "detailed")),
        "generate_summary": nullable(literal("auto", "concise", "detailed")),
        "context": nullable(literal("auto", "current_turn", "all_turns")),
        "mode": nullable(literal("standard", "pro")),
    },
)
FORMATS: Final[dict[str, Shape]] = {
    "text": Shape({"type": STRING}, {}),
    "json_object": Shape({"type": STRING}, {}),
    "json_schema": Shape(
        {"type": STRING, "name": STRING, "schema": OBJECT},
        {"strict": nullable(BOOLEAN), "description": STRING},
    ),
}
CODEX_REFUSES: Final = (
    "previous_response_id", "prompt_cache_retention", "safety_identifier", "stream_options", "user",
    "max_output_tokens", "temperature", "top_p", "context_management",
)  # fmt: skip


@BODY.rule("strings-have-no-lone-surrogates", "dialects.md §7 Unicode; vector 47")
def surrogates(case: ResponsesCase) -> Iterator[Objection]:
    """Such a string cannot be written as UTF-8."""
    if lone_surrogate(case.body) is not None:
        yield Objection(words="We could not parse the JSON body of your request.")


@BODY.rule("model-and-input-are-required", "dialects.md §1.1 RS")
def required_fields(case: ResponsesCase) -> Iterator[Objection]:
    """The vendor asks for the model first."""
    if not case.body.get("model"):
        yield missing("model")
    if "input" not in case.body:
        yield missing("input")


@BODY.rule("chat-fields-have-moved", "vendor words: In the Responses API, this parameter has moved to")
def moved(case: ResponsesCase) -> Iterator[Objection]:
    """The names of Chat Completions are refused with advice."""
    for name in case.body:
        if name in MOVED:
            yield Objection(
                where=name,
                words=f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{MOVED[name]}'. "
                "Try again with the new parameter. See the API documentation for more information: "
                "https://platform.openai.com/docs/api-reference/responses/create.",
                code="unsupported_parameter",
            )


@BODY.rule(
    "top-level-fields-are-known",
    "dialects.md §1.1 RS: no `stop`, no `seed`, no `n`, no penalties, no `logit_bias`",
)
def known_fields(case: ResponsesCase) -> Iterator[Objection]:
    """Real words: "Unknown parameter: 'seed'."."""
    yield from (unknown(name) for name in case.body if name not in FIELDS)


@BODY.rule("top-level-fields-have-the-right-type", "dialects.md §1.1 RS")
def typed_fields(case: ResponsesCase) -> Iterator[Objection]:
    """Closed sets of strings are refused with their members."""
    for name, kind in wrong_fields(case.body, FIELDS):
        found = case.body[name]
        if kind.values and isinstance(found, str):
            yield wrong_value(name, found, kind.values)
        else:
            yield wrong_type(name, kind, found)


@BODY.rule("some-endpoints-take-fewer-fields", "pi.md §5.4 Sign in with ChatGPT: fields that must be omitted")
def refused_fields(case: ResponsesCase) -> Iterator[Objection]:
    """A trait, or a property of the login."""
    names = set(case.traits.refused_fields)
    if case.login and not case.traits.codex:
        names |= {"max_output_tokens", "temperature", "prompt_cache_retention", "prompt_cache_options"}
    yield from (
        Objection(where=name, words=f"Unsupported parameter: {name}", code="unsupported_parameter")
        for name in case.body
        if name in names
    )


@BODY.rule(
    "codex-is-stateless-and-streamed",
    "dialects.md §1.1 CX: store:false, stream:true, non-empty instructions; vector 34",
)
def codex_required(case: ResponsesCase) -> Iterator[Objection]:
    """Words as that backend uses them."""
    if not case.traits.codex:
        return
    if case.body.get("store") is not False:
        yield Objection(words="Store must be set to false")
    if case.body.get("stream") is not True:
        yield Objection(words="Stream must be set to true")
    if not case.body.get("instructions"):
        yield Objection(words="Instructions are required")
    if ENCRYPTED not in (case.body.get("include") or []):
        yield Objection(words=f"include must contain {ENCRYPTED}")


@BODY.rule("codex-takes-fewer-fields", "dialects.md §1.1 CX: must remove …; vector 34")
def codex_refused(case: ResponsesCase) -> Iterator[Objection]:
    """Real words: "Unsupported parameter: max_output_tokens"."""
    if case.traits.codex:
        yield from (
            Objection(where=name, words=f"Unsupported parameter: {name}")
            for name in CODEX_REFUSES
            if name in case.body
        )


@BODY.rule("codex-names-account-and-originator", "dialects.md §1.1 CX headers; pi.md §5.3")
def codex_headers(case: ResponsesCase) -> Iterator[Objection]:
    """The account id of the token's claim, and who asks."""
    if case.traits.codex:
        for name in ("chatgpt-account-id", "originator", "openai-beta"):
            if not case.headers.get(name):
                yield Objection(
                    words=f"Missing required header: {name}", status=401, kind="authentication_error"
                )


@BODY.rule(
    "the-limit-is-at-least-16", "pi.md §4.2 `max_output_tokens` ≥ 16; dialects.md §1.2 clamp to the model cap"
)
def limit(case: ResponsesCase) -> Iterator[Objection]:
    """And at most the model's output."""
    yield from check_range(case.body, "max_output_tokens", MIN_OUTPUT, case.traits.max_output)


@BODY.rule(
    "reasoning-models-take-no-sampling", "dialects.md §1.2 temperature; vendor words: Unsupported parameter"
)
def reasoning_sampling(case: ResponsesCase) -> Iterator[Objection]:
    """Unlike chat, not even the default."""
    if case.traits.reasoning:
        yield from (
            unsupported(name)
            for name in ("temperature", "top_p", "top_logprobs")
            if case.body.get(name) is not None
        )


@BODY.rule("numbers-are-in-range", "dialects.md §1.2 temperature 0..2; §1.1 top_logprobs")
def ranges(case: ResponsesCase) -> Iterator[Objection]:
    """Each with its own bounds."""
    yield from check_range(case.body, "temperature", 0, 2)
    yield from check_range(case.body, "top_p", 0, 1)
    yield from check_range(case.body, "top_logprobs", 0, 20)
    yield from check_range(case.body, "max_tool_calls", 1, 1_000)


@BODY.rule("reasoning-is-well-formed", "dialects.md §1.1 RS `reasoning{effort,summary,…}`")
def reasoning_shape(case: ResponsesCase) -> Iterator[Objection]:
    """An object of known keys."""
    yield from check_shape(case.body.get("reasoning") or {}, REASONING, "reasoning")


@BODY.rule(
    "reasoning-is-for-models-that-reason",
    "dialects.md §1.3; vendor words: 'reasoning.effort' is not supported",
)
def reasoning_supported(case: ResponsesCase) -> Iterator[Objection]:
    """Nor do other models have anything to encrypt."""
    reasoning = {
        name: value for name, value in (case.body.get("reasoning") or {}).items() if value is not None
    }
    if not case.traits.reasoning:
        yield from (unsupported(f"reasoning.{name}") for name in reasoning)
        if ENCRYPTED in (case.body.get("include") or []):
            yield Objection(where="include", words="Encrypted content is not supported with this model.")
    elif reasoning.get("effort", "none") not in case.traits.efforts:
        options = ", ".join(f"'{name}'" for name in case.traits.efforts)
        yield Objection(
            where="reasoning.effort",
            words=f"Unsupported value: '{reasoning['effort']}' is not supported with the '{case.traits.model}' model. "
            f"Supported values are: {options}.",
            code="unsupported_value",
        )


@BODY.rule("includes-are-known", "dialects.md §1.1 RS `include` values")
def includes(case: ResponsesCase) -> Iterator[Objection]:
    """Eight of them."""
    for index, name in enumerate(case.body.get("include") or []):
        if name not in INCLUDES:
            yield wrong_value(f"include[{index}]", name, INCLUDES)


@BODY.rule(
    "text-is-well-formed",
    "dialects.md §1.2 JSON schema: `text.format{type:json_schema,name,schema,strict}` flattened",
)
def text_format(case: ResponsesCase) -> Iterator[Objection]:
    """No `json_schema` wrapper here."""
    text: dict[str, Any] = case.body.get("text", {})
    yield from check_shape(
        text, Shape({}, {"format": OBJECT, "verbosity": nullable(literal("low", "medium", "high"))}), "text"
    )
    form = text.get("format")
    if form is None:
        return
    kind = form.get("type")
    if not isinstance(kind, str) or kind not in FORMATS:
        yield wrong_value("text.format.type", kind, tuple(FORMATS))
        return
    yield from check_shape(form, FORMATS[kind], "text.format")
    if kind == "json_schema":
        yield from check_name(form["name"], "text.format.name")


@BODY.rule("a-text-schema-is-json-schema", "vendor words: Invalid schema for response_format 'answer'")
def text_json_schema(case: ResponsesCase) -> Iterator[Objection]:
    """Strict or not."""
    form = case.body.get("text", {}).get("format", {})
    for why in malformed(form.get("schema", {})):
        words = f"Invalid schema for response_format '{form['name']}': {why}."
        yield invalid("text.format.schema", words, "invalid_json_schema")


@BODY.rule("a-strict-text-schema-is-strict", "dialects.md §1.4 CC/RS strict")
def text_schema(case: ResponsesCase) -> Iterator[Objection]:
    """Only when `strict` is true."""
    form = case.body.get("text", {}).get("format", {})
    if form.get("strict"):
        for words in strict_complaints(form["schema"]):
            yield invalid(
                "text.format.schema",
                f"Invalid schema for response_format '{form['name']}': {words}",
                "invalid_json_schema",
            )


@BODY.rule(
    "json-mode-needs-the-word-json", "vendor words: Response input messages must contain the word 'json'"
)
def json_word(case: ResponsesCase) -> Iterator[Objection]:
    """Instructions do not count."""
    if case.body.get("text", {}).get("format", {}).get("type") == "json_object" and not mentions_json(
        case.body["input"]
    ):
        yield invalid(
            "input",
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
        )


@BODY.rule("stream-options-come-with-stream", "dialects.md §1.1 RS `stream_options{include_obfuscation}`")
def stream_options(case: ResponsesCase) -> Iterator[Objection]:
    """`include_usage` is chat's."""
    options = case.body.get("stream_options")
    if options is None:
        return
    if not case.body.get("stream"):
        yield invalid(
            "stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        )
    yield from check_shape(options, Shape({}, {"include_obfuscation": BOOLEAN}), "stream_options")


@BODY.rule("a-previous-response-is-known", "dialects.md §1.2 previous_response_id; vector 40")
def previous_response(case: ResponsesCase) -> Iterator[Objection]:
    """Only what was stored can be continued; a conversation excludes it."""
    previous = case.body.get("previous_response_id")
    if previous is None:
        return
    if case.body.get("conversation") is not None:
        yield invalid(
            "previous_response_id",
            "Only one of 'previous_response_id' and 'conversation' may be given.",
            "mutually_exclusive_parameters",
        )
    if case.vault.stored_items(previous) is None:
        yield invalid(
            "previous_response_id",
            f"Previous response with id '{previous}' not found.",
            "previous_response_not_found",
        )


@BODY.rule(
    "background-work-is-stored", "dialects.md §1.2 background; vendor words: background requires store"
)
def background(case: ResponsesCase) -> Iterator[Objection]:
    """This provider answers at once or not at all."""
    if case.body.get("background"):
        yield unsupported("background")


@BODY.rule(
    "identities-and-metadata-are-small",
    "dialects.md §1.1 `metadata`(16 pairs), `safety_identifier`(≤128); §1.2: key 64",
)
def identities(case: ResponsesCase) -> Iterator[Objection]:
    """The same limits as in chat."""
    yield from check_metadata(case.body)
    limits = {"user": MAX_IDENTITY, "safety_identifier": MAX_IDENTITY, "prompt_cache_key": MAX_CACHE_KEY}
    for name, most in limits.items():
        length = len(case.body.get(name) or "")
        if length > most:
            yield too_long(name, limit=most, length=length)


@BODY.rule("the-prompt-fits-the-context", "dialects.md §6.2 context too long")
def context(case: ResponsesCase) -> Iterator[Objection]:
    """Clients compact on this code and sentence."""
    if estimate_tokens(case.body) > case.traits.context_tokens:
        yield Objection(
            where="input",
            words="Your input exceeds the context window of this model. Please adjust your input and try again.",
            code="context_length_exceeded",
        )
