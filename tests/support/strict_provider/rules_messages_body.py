"""Anthropic Messages: headers and top-level fields.

Sources: dialects.md §1.1 AM (field list), §1.2, §1.3 (thinking), §7; pi.md §5.2 (subscription logins).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.anthropic_words import check_shape, extra, no, required, should_be
from support.strict_provider.rulebook import Case, Objection, Rulebook
from support.strict_provider.schema_checks import malformed, unsupported_keywords
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
    unknown_fields,
    wrong_fields,
)
from support.strict_provider.traits import CLAUDE_EFFORTS, MessagesTraits

__all__ = ["BODY", "MessagesCase", "betas", "thinking_on"]

MessagesCase = Case[MessagesTraits]
BODY: Final[Rulebook[MessagesTraits]] = Rulebook()

IDENTITY: Final = "You are Claude Code, Anthropic's official CLI for Claude."
MIN_BUDGET: Final = 1024
VERSIONS: Final = ("2023-06-01", "2026-10-21")
"""The second is what anthropic-python 2.12.0 sends (read in its `_constants.py`)."""
MAX_USER_ID: Final = 256

FIELDS: Final[dict[str, Kind]] = {
    "model": STRING,
    "messages": ARRAY,
    "max_tokens": INTEGER,
    "cache_control": nullable(OBJECT),
    "container": nullable(either(STRING, OBJECT)),
    "diagnostics": nullable(OBJECT),
    "inference_geo": nullable(STRING),
    "metadata": OBJECT,
    "output_config": OBJECT,
    "service_tier": literal("auto", "standard_only"),
    "speed": nullable(literal("standard", "fast")),
    "stop_sequences": ARRAY,
    "stream": BOOLEAN,
    "system": either(STRING, ARRAY),
    "thinking": OBJECT,
    "tool_choice": OBJECT,
    "tools": ARRAY,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "top_k": INTEGER,
}
COUNTED_FIELDS: Final = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed",
})  # fmt: skip

BETA_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "mcp_servers": ("mcp-client",),
    "context_management": ("context-management", "compact"),
    "compaction": ("compact",),
    "fallbacks": ("server-side-fallback",),
    "fallback_credit_token": ("fallback-credit", "server-side-fallback"),
    "thread": ("message-threads",),
    "billing_policy": ("server-side-fallback",),
    "output_format": ("structured-outputs",),
}
"""Top-level fields that need one of these betas in `anthropic-beta`."""

BETA_NAMES: Final = frozenset({
    "advanced-tool-use", "advisor-tool", "agent-memory", "cache-diagnosis", "claude-code",
    "code-execution", "compact", "computer-use", "context-1m", "context-management", "dev-full-thinking",
    "effort", "extended-cache-ttl", "fallback-credit", "fast-mode", "files-api",
    "fine-grained-tool-streaming", "inline-tools", "interleaved-thinking", "mcp-client", "mcp-tunnels",
    "message-batches", "message-threads", "mid-conversation-output-config",
    "mid-conversation-system-clear-at", "mid-conversation-tool-changes", "model-context-window-exceeded",
    "oauth", "output-128k", "output-300k", "pdfs", "prompt-caching", "prompt-caching-scope",
    "redact-thinking", "server-side-fallback", "skills", "structured-outputs", "task-budgets",
    "thinking-binding-controls", "thinking-display-updates", "thinking-token-count", "token-counting",
    "token-efficient-tools", "tool-search-tool", "user-profiles", "web-fetch",
})  # fmt: skip
"""Without their dates: those of anthropic-python 2.12.0 that concern messages, and those that pi and Claude Code send."""

BETA: Final = re.compile(r"^([a-z0-9-]+?)-(\d{4}-\d{2}-\d{2}|\d{8})$")

THINKING: Final = Shape({"type": literal("enabled", "adaptive", "between_tools", "disabled")}, {})
THINKING_FIELDS: Final[dict[str, Shape]] = {
    "enabled": Shape(
        {"type": STRING, "budget_tokens": INTEGER}, {"display": literal("summarized", "omitted")}
    ),
    "adaptive": Shape(
        {"type": STRING}, {"display": literal("summarized", "omitted", "updates"), "block_binding": OBJECT}
    ),
    "between_tools": Shape({"type": STRING}, {}),
    "disabled": Shape({"type": STRING}, {}),
}
OUTPUT_CONFIG: Final = Shape(
    {}, {"effort": literal(*CLAUDE_EFFORTS), "format": nullable(OBJECT), "task_budget": OBJECT}
)
OUTPUT_FORMAT: Final = Shape({"type": literal("json_schema"), "schema": OBJECT}, {})


def betas(case: MessagesCase) -> list[str]:
    """Return the betas asked for, in order."""
    return [name.strip() for name in case.headers.get("anthropic-beta", "").split(",") if name.strip()]


def has_beta(case: MessagesCase, *names: str) -> bool:
    """Tell whether one of these betas, of any date, was asked for."""
    return any(beta.startswith(f"{name}-") for beta in betas(case) for name in names)


def thinking_on(case: MessagesCase) -> bool:
    """Tell whether the request asks the model to think."""
    return bool(case.body.get("thinking", {}).get("type", "disabled") != "disabled")


@BODY.rule("the-version-header-is-required", "dialects.md §1.1 AM: `anthropic-version: 2023-06-01` header")
def version_header(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "anthropic-version: header is required"."""
    version = case.headers.get("anthropic-version")
    if version is None:
        yield no("anthropic-version", "header is required")
    elif version not in VERSIONS:
        yield no("anthropic-version", f'"{version}" is not a valid version')


@BODY.rule("every-beta-is-known", "dialects.md §1.2: unknown beta tokens at third-party AM endpoints 400")
def known_betas(case: MessagesCase) -> Iterator[Objection]:
    """Refuse made-up beta names."""
    for beta in betas(case):
        match = BETA.match(beta)
        if match is None or match.group(1) not in BETA_NAMES:
            yield Objection(
                where="anthropic-beta",
                words=f"Unexpected value(s) `{beta}` for the `anthropic-beta` header. Please consult our "
                "documentation at docs.anthropic.com or try again without the header.",
            )


@BODY.rule("strings-have-no-lone-surrogates", "dialects.md §7 Unicode; anthropics/claude-code#60394")
def surrogates(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "no low surrogate in string"."""
    if lone_surrogate(case.body) is not None:
        yield Objection(
            words="The request body is not valid JSON: no low surrogate in string: line 1 column 1 (char 0)"
        )


@BODY.rule(
    "model-messages-and-max-tokens-are-required", "dialects.md §1.1 AM: `model`*, `messages`*, `max_tokens`*"
)
def required_fields(case: MessagesCase) -> Iterator[Objection]:
    """`count_tokens` takes no `max_tokens`."""
    needed = ("model", "messages") if case.counting else ("model", "messages", "max_tokens")
    yield from (required(name) for name in needed if name not in case.body)


@BODY.rule(
    "top-level-fields-are-known",
    "dialects.md §1.1 AM field list; vendor words: Extra inputs are not permitted",
)
def known_fields(case: MessagesCase) -> Iterator[Objection]:
    """Beta fields need their beta; count_tokens takes fewer."""
    allowed: set[str] = set(COUNTED_FIELDS if case.counting else FIELDS)
    allowed |= {name for name, needed in BETA_FIELDS.items() if has_beta(case, *needed)}
    yield from (extra(name) for name in unknown_fields(case.body, allowed))


@BODY.rule("top-level-fields-have-the-right-type", "dialects.md §1.1 AM field list")
def typed_fields(case: MessagesCase) -> Iterator[Objection]:
    """Null is a value of the wrong type for all but a few."""
    yield from (should_be(name, kind) for name, kind in wrong_fields(case.body, FIELDS))


@BODY.rule("max-tokens-is-within-the-model", "dialects.md §1.2 Max output: clamp to the model cap")
def max_tokens(case: MessagesCase) -> Iterator[Objection]:
    """0 is allowed: it only warms the cache (dialects.md §1.1)."""
    asked, most = case.body.get("max_tokens", 0), case.traits.max_output
    if asked < 0:
        yield no("max_tokens", "Input should be greater than or equal to 0")
    if asked > most:
        yield no(
            "max_tokens",
            f"{asked} > {most}, which is the maximum allowed number of output tokens for {case.traits.model}",
        )


@BODY.rule("temperature-is-between-0-and-1", "dialects.md §1.2 temperature: 0..1")
def sampling_ranges(case: MessagesCase) -> Iterator[Objection]:
    """The same holds for `top_p`."""
    for name in ("temperature", "top_p"):
        value = case.body.get(name, 0)
        if value < 0:
            yield no(name, "Input should be greater than or equal to 0")
        if value > 1:
            yield no(name, "Input should be less than or equal to 1")


@BODY.rule(
    "sampling-is-gone-from-newer-models", "dialects.md §0.5: `temperature` is deprecated for this model"
)
def sampling_gone(case: MessagesCase) -> Iterator[Objection]:
    """Opus 4.7 and later."""
    if not case.traits.sampling:
        for name in ("temperature", "top_p", "top_k"):
            if name in case.body:
                yield Objection(where=name, words=f"`{name}` is deprecated for this model.")


@BODY.rule("temperature-and-top-p-exclude-each-other", "dialects.md §1.2 top_p; aws-samples/bedrock-chat#979")
def one_sampler(case: MessagesCase) -> Iterator[Objection]:
    """Opus 4.1 and later."""
    if case.traits.one_sampler and {"temperature", "top_p"} <= set(case.body):
        yield Objection(
            where="top_p",
            words="`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        )


@BODY.rule(
    "stop-sequences-are-not-blank", "dialects.md §1.2 Stop sequences: drop whitespace-only strings for AM"
)
def stop_sequences(case: MessagesCase) -> Iterator[Objection]:
    """Each must be a string with something in it."""
    for index, text in enumerate(case.body.get("stop_sequences", [])):
        if not isinstance(text, str):
            yield should_be(f"stop_sequences.{index}", STRING)
        elif not text.strip():
            yield no("stop_sequences", "each stop sequence must contain non-whitespace")


@BODY.rule(
    "metadata-holds-only-a-user-id", "dialects.md §1.2 User/metadata: AM rejects unknown metadata keys"
)
def metadata(case: MessagesCase) -> Iterator[Objection]:
    """And the user id is a string of bounded length."""
    shape = Shape({}, {"user_id": nullable(STRING)})
    yield from check_shape(case.body.get("metadata", {}), shape, "metadata")
    if len(case.body.get("metadata", {}).get("user_id") or "") > MAX_USER_ID:
        yield no("metadata.user_id", f"String should have at most {MAX_USER_ID} characters")


@BODY.rule("system-is-text", "dialects.md §1.1 AM: `system` is a string or text blocks")
def system_blocks(case: MessagesCase) -> Iterator[Objection]:
    """An empty string is taken, an empty block is not."""
    system = case.body.get("system", "")
    shape = Shape(
        {"type": literal("text"), "text": STRING},
        {"cache_control": nullable(OBJECT), "citations": nullable(ARRAY)},
    )
    for index, block in enumerate(system if isinstance(system, list) else []):
        if not isinstance(block, dict):
            yield should_be(f"system.{index}", OBJECT)
            continue
        yield from check_shape(block, shape, f"system.{index}")


@BODY.rule("system-blocks-are-not-empty", "dialects.md §7 Empty text")
def system_text(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "system: text content blocks must be non-empty"."""
    system = case.body.get("system", "")
    for block in system if isinstance(system, list) else []:
        if not block["text"]:
            yield no("system", "text content blocks must be non-empty")
        elif not block["text"].strip():
            yield no("system", "text content blocks must contain non-whitespace text")


@BODY.rule("thinking-is-well-formed", "dialects.md §1.1 AM thinking")
def thinking_shape(case: MessagesCase) -> Iterator[Objection]:
    """Each type has its own fields."""
    if "thinking" not in case.body:
        return
    thinking: dict[str, Any] = case.body["thinking"]
    if "type" not in thinking:
        yield required("thinking.type")
    elif not THINKING.required["type"].accepts(thinking["type"]):
        yield no(
            "thinking",
            f"Input tag '{thinking['type']}' found using 'type' does not match any of the expected tags: "
            "'adaptive', 'between_tools', 'disabled', 'enabled'",
        )
    else:
        kind = thinking["type"]
        yield from check_shape(thinking, THINKING_FIELDS[kind], f"thinking.{kind}")


@BODY.rule(
    "the-model-can-think-as-asked",
    "dialects.md §1.3: budget models, adaptive models, models that cannot disable",
)
def thinking_supported(case: MessagesCase) -> Iterator[Objection]:
    """A budget model knows no `adaptive`, an adaptive-only model no `enabled`."""
    kind = case.body.get("thinking", {}).get("type")
    if kind == "disabled" and not case.traits.can_disable:
        yield Objection(where="thinking", words='"thinking.type.disabled" is not supported for this model.')
    if kind in {"enabled", "adaptive", "between_tools"} and kind not in case.traits.thinking:
        yield Objection(where="thinking", words=f'"thinking.type.{kind}" is not supported for this model.')


@BODY.rule("the-thinking-budget-is-at-least-1024", "dialects.md §1.3: `budget_tokens ≥ 1024`")
def budget_minimum(case: MessagesCase) -> Iterator[Objection]:
    """Only `enabled` has a budget."""
    if case.body.get("thinking", {}).get("budget_tokens", MIN_BUDGET) < MIN_BUDGET:
        yield no("thinking.enabled.budget_tokens", f"Input should be greater than or equal to {MIN_BUDGET}")


@BODY.rule(
    "the-thinking-budget-is-below-max-tokens",
    'dialects.md §1.3: `budget_tokens < max_tokens`; Anthropic\'s "Extended thinking", Interleaved thinking: with tools it is '
    "the budget of the whole turn and may exceed it",
)
def budget_maximum(case: MessagesCase) -> Iterator[Objection]:
    """`count_tokens` has no limit to compare with."""
    budget = case.body.get("thinking", {}).get("budget_tokens", 0)
    if case.body.get("tools") and has_beta(case, "interleaved-thinking"):
        return
    if not case.counting and budget and budget >= case.body["max_tokens"]:
        yield Objection(
            where="max_tokens",
            words="`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size",
        )


@BODY.rule(
    "thinking-excludes-sampling",
    "dialects.md §1.3: thinking + temperature/top_p/top_k → 400; clients.md §3: wants 1",
)
def thinking_sampling(case: MessagesCase) -> Iterator[Objection]:
    """A temperature of exactly 1 is what thinking uses anyway, and is taken."""
    if not thinking_on(case):
        return
    if case.body.get("temperature", 1) != 1:
        yield Objection(
            where="temperature", words="`temperature` may only be set to 1 when thinking is enabled."
        )
    for name in ("top_p", "top_k"):
        if name in case.body:
            yield Objection(where=name, words=f"`{name}` must be unset when thinking is enabled.")


@BODY.rule("thinking-excludes-forced-tools", "dialects.md §1.3: thinking + forced `tool_choice` → 400")
def thinking_forced(case: MessagesCase) -> Iterator[Objection]:
    """`auto` and `none` are fine."""
    if thinking_on(case) and case.body.get("tool_choice", {}).get("type") in {"any", "tool"}:
        yield Objection(
            where="tool_choice", words="Thinking may not be enabled when tool_choice forces tool use."
        )


@BODY.rule("output-config-is-well-formed", "dialects.md §1.1 AM `output_config{effort,format}`; vector 17")
def output_config(case: MessagesCase) -> Iterator[Objection]:
    """The schema stands directly in `format`, without a `json_schema` wrapper."""
    config: dict[str, Any] = case.body.get("output_config", {})
    yield from check_shape(config, OUTPUT_CONFIG, "output_config")
    if isinstance(config.get("format"), dict):
        yield from check_shape(config["format"], OUTPUT_FORMAT, "output_config.format")


@BODY.rule(
    "beta-fields-inside-others-need-their-beta",
    "dialects.md §1.1 AM: beta adds block_binding, task_budget, display updates",
)
def inner_betas(case: MessagesCase) -> Iterator[Objection]:
    """Without the beta the field is unknown."""
    thinking = case.body.get("thinking", {})
    if "block_binding" in thinking and not has_beta(case, "thinking-binding-controls"):
        yield extra(f"thinking.{thinking['type']}.block_binding")
    if thinking.get("display") == "updates" and not has_beta(case, "thinking-display-updates"):
        yield should_be(f"thinking.{thinking['type']}.display", literal("summarized", "omitted"))
    if "task_budget" in case.body.get("output_config", {}) and not has_beta(case, "task-budgets"):
        yield extra("output_config.task_budget")


@BODY.rule("the-model-takes-this-effort", "dialects.md §1.3: AM adaptive models; `xhigh` if supported")
def effort(case: MessagesCase) -> Iterator[Objection]:
    """Budget models know no effort at all."""
    asked = case.body.get("output_config", {}).get("effort")
    if asked is None:
        return
    if not case.traits.efforts:
        yield Objection(
            where="output_config.effort", words="This model does not support the effort parameter."
        )
    elif asked not in case.traits.efforts:
        options = ", ".join(case.traits.efforts)
        yield Objection(
            where="output_config.effort",
            words=f"This model does not support effort level '{asked}'. Supported levels: {options}.",
        )


@BODY.rule(
    "the-output-schema-is-json-schema", "vendor words: output_config.format.schema: JSON schema is invalid"
)
def output_json_schema(case: MessagesCase) -> Iterator[Objection]:
    """Before anything is asked of its content."""
    schema = (case.body.get("output_config", {}).get("format") or {}).get("schema", {})
    yield from (
        no("output_config.format.schema", f"JSON schema is invalid: {why}") for why in malformed(schema)
    )


@BODY.rule("the-output-schema-is-within-the-strict-subset", "dialects.md §1.4 AM strict")
def output_schema(case: MessagesCase) -> Iterator[Objection]:
    """Structured output is always strict."""
    schema = (case.body.get("output_config", {}).get("format") or {}).get("schema")
    if schema is None:
        return
    if not case.traits.strict_output:
        yield no("output_config.format", "structured outputs are not supported for this model")
    yield from (no("output_config.format.schema", words) for words in unsupported_keywords(schema))


@BODY.rule(
    "a-subscription-login-names-its-beta",
    "pi.md §5.2: `anthropic-beta` starts with claude-code-…, oauth-2025-04-20",
)
def login_beta(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "OAuth authentication is currently not supported."."""
    if case.login and not has_beta(case, "oauth"):
        yield Objection(
            words="OAuth authentication is currently not supported.", status=401, kind="authentication_error"
        )


@BODY.rule(
    "a-subscription-login-introduces-itself",
    "pi.md §5.2: first system block must be exactly the identity text",
)
def login_identity(case: MessagesCase) -> Iterator[Objection]:
    """Only for completions; counting is free."""
    if not case.login or case.counting:
        return
    system = case.body.get("system", "")
    first = system[0]["text"] if isinstance(system, list) and system else system
    if first != IDENTITY:
        yield Objection(
            where="system",
            words="This credential is only authorized for use with Claude Code and cannot be used for other API requests.",
        )


@BODY.rule("the-prompt-fits-the-context", "dialects.md §6.2 context too long")
def context(case: MessagesCase) -> Iterator[Objection]:
    """Clients compact on exactly this sentence."""
    count, limit = estimate_tokens(case.body), case.traits.context_tokens
    if count > limit:
        yield Objection(words=f"prompt is too long: {count} tokens > {limit} maximum")
