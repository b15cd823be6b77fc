"""What a caller asks for, in no dialect's words."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pi_model_proxy.hub.block import Block, CacheMark, TextBlock

__all__ = ["OutputFormat", "ReasoningWish", "Request", "Role", "Sampling", "Tool", "ToolChoice", "Turn"]

Role = Literal["user", "assistant", "tool", "system"]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One side's contribution.

    A `tool` turn holds only tool results, of the assistant turn before it. A `system` turn is an
    instruction in mid-conversation (the leading ones are `Request.instructions`). Consecutive turns of one role may occur.
    """

    role: Role
    blocks: tuple[Block, ...]
    name: str | None = None
    at: str = ""
    """JSON path in the caller's request."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the model may call.

    `kind` is `function` (JSON arguments), `custom` (free-form input, perhaps with a grammar) or
    `server` (runs at the provider; `raw` says how in its dialect's words).
    """

    kind: Literal["function", "custom", "server"] = "function"
    name: str
    description: str | None = None
    schema: dict[str, Any] | None = None
    """JSON Schema of the arguments; None when the caller gave none."""
    strict: bool | None = None
    namespace: str | None = None
    grammar: dict[str, Any] | None = None
    cache: CacheMark | None = None
    dialect: str = ""
    raw: str = ""
    """The tool as written (JSON text), for server tools and fields only its dialect knows."""
    words: dict[str, str] = {}
    """Member of this struct to the caller's own, relative to `at`, where they differ: `strict` to `function.strict`."""
    at: str = ""


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether tools may, must or must not be called."""

    mode: Literal["auto", "none", "required", "named", "subset"]
    names: tuple[str, ...] = ()
    """For `named` exactly one; for `subset` those allowed."""
    required: bool = False
    """For `subset`: one of them must be called."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are drawn; None means: not asked for."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class ReasoningWish(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model should think, and whether its thinking is shown."""

    mode: Literal["off", "auto", "level", "budget"]
    level: str | None = None
    """`minimal`, `low`, `medium`, `high`, `xhigh` or `max`, for mode `level` (and beside `auto`)."""
    budget: int | None = None
    """Tokens, for mode `budget`."""
    visible: Literal["none", "summary", "full"] | None = None
    """None: not asked for; the caller's dialect decides."""


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form the text must have."""

    kind: Literal["json", "schema"]
    schema: dict[str, Any] | None = None
    name: str | None = None
    strict: bool | None = None
    description: str | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, decoded."""

    dialect: str
    model: str | None
    """As the caller wrote it; None when absent."""
    stream: bool = False
    wants_usage: bool = True
    """Chat only: `stream_options.include_usage`. True where usage is always part of the answer."""
    instructions: tuple[TextBlock, ...] = ()
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_output: int | None = None
    """Tokens."""
    stop: tuple[str, ...] = ()
    n: int = 1
    sampling: Sampling = Sampling()
    reasoning: ReasoningWish | None = None
    output: OutputFormat | None = None
    verbosity: str | None = None
    cache_key: str | None = None
    session: str | None = None
    """Names the conversation where the caller says so by other means than `cache_key`; tells nothing of the caller."""
    end_user: str | None = None
    metadata: dict[str, str] = {}
    service_tier: str | None = None
    extra: dict[str, Any] = {}
    """Top-level fields the hub has no name for, under the caller's own names."""
    legacy_functions: bool = False
    """Chat only: the caller speaks of `functions`, not of tools, and is answered with one `function_call`."""
    paths: dict[str, str] = {}
    """Hub field (`sampling.seed`, `max_output`, ...) to the caller's JSON path, for the dropped list; empty: not the
    caller's own wish, whose loss is not worth a word.

    Also members of blocks (`image.detail`, `call.opaque`), relative to the block.
    """
    dropped: tuple[str, ...] = ()
    """JSON paths that decoding already could not keep (not those in `extra`)."""
