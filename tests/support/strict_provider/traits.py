"""The models this provider pretends to have, and what each one takes and refuses.

Defaults are the vendors' own models; every departure (a model without sampling, a "compatible"
server that knows no `developer` role) is a field here, never a branch on a name elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final, Literal

__all__ = [
    "ALL_EFFORTS",
    "MODELS",
    "Catalog",
    "ChatTraits",
    "MessagesTraits",
    "Model",
    "ReasoningReplay",
    "ResponsesTraits",
    "UsagePlace",
]

ReasoningReplay = Literal["unknown", "allowed", "required", "refused"]
UsagePlace = Literal["asked", "always", "finish_chunk", "choice", "none"]

ALL_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
GPT_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh")
CLAUDE_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
BOTH_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTraits:
    """What `POST */chat/completions` of one model takes."""

    model: str = "vision"
    reasoning: bool = False
    """One of OpenAI's reasoning models: own limits field, no sampling, efforts."""
    efforts: tuple[str, ...] = ()
    vision: bool = True
    context_tokens: int = 200_000
    max_output: int = 64_000
    takes_developer: bool = True
    takes_stop: bool = True
    limit_fields: frozenset[str] = BOTH_LIMITS
    refused_fields: frozenset[str] = frozenset()
    """Top-level fields of the specification that this server has never heard of."""
    extra_fields: frozenset[str] = frozenset()
    """Top-level fields that only this server knows."""
    message_extras: frozenset[str] = frozenset()
    """Message fields that only this server knows (`reasoning_details`, …)."""
    part_extras: frozenset[str] = frozenset()
    """Fields of content parts and of tools that only this server knows (`cache_control`: pi marks both)."""
    call_extras: frozenset[str] = frozenset()
    """Tool call fields that only this server knows (`extra_content`)."""
    reasoning_replay: ReasoningReplay = "unknown"
    """How `reasoning_content` in history is met: unknown field, allowed, demanded on tool turns, refused."""
    string_content_only: bool = False
    string_content_with_calls: bool = False
    """Whether `content: null` beside tool calls is refused (pi: requiresNonNullAssistantContent)."""
    parses_arguments: bool = False
    """Whether arguments in history must be a JSON object (chat templates run `json.loads` on them)."""
    needs_tool_name: bool = False
    needs_assistant_after_tool: bool = False
    needs_tools_with_history: bool = False
    tool_id_pattern: str | None = None
    tool_id_max: int = 40
    reasoning_fields: tuple[str, ...] = ()
    """Delta fields in which this server shows its reasoning; OpenAI shows none."""
    usage_place: UsagePlace = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesTraits:
    """What `POST */responses` of one model takes."""

    model: str = "vision"
    reasoning: bool = False
    efforts: tuple[str, ...] = ()
    vision: bool = True
    context_tokens: int = 200_000
    max_output: int = 64_000
    takes_developer: bool = True
    codex: bool = False
    """The ChatGPT-Codex backend's narrower contract (dialects.md §1.1 CX)."""
    refused_fields: frozenset[str] = frozenset()
    """Fields this endpoint answers "Unsupported parameter" to (a ChatGPT sign-in token, …)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesTraits:
    """What `POST */v1/messages` of one model takes."""

    model: str = "vision"
    thinking: frozenset[str] = frozenset()
    """The values of `thinking.type` it takes besides `disabled`; empty: it cannot think."""
    can_disable: bool = True
    efforts: tuple[str, ...] = ()
    vision: bool = True
    context_tokens: int = 200_000
    max_output: int = 64_000
    sampling: bool = True
    """Whether it still takes `temperature`, `top_p` and `top_k` (not from Opus 4.7 on)."""
    one_sampler: bool = False
    """Whether `temperature` and `top_p` exclude each other (Opus 4.1 on)."""
    prefill: bool = True
    mid_system: bool = False
    """Whether `role: "system"` is taken inside `messages`."""
    empty_signature: bool = False
    """MiniMax, Kimi and z.ai emit and accept `signature: ""` (dialects.md §3.2)."""
    binds_prefix: bool = False
    """Whether a signature also covers `system` and `tools` (dialects.md §3.1)."""
    strict_output: bool = True
    """Whether `output_config.format` is taken."""
    needs_tools_with_history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of the catalogue: the same model as each dialect meets it."""

    pattern: str
    """An id, or a shell-style pattern for a family of them."""
    chat: ChatTraits = field(default_factory=ChatTraits)
    responses: ResponsesTraits = field(default_factory=ResponsesTraits)
    messages: MessagesTraits = field(default_factory=MessagesTraits)

    def named(self, model_id: str) -> Model:
        """Return this entry with every trait set carrying `model_id`."""
        return replace(
            self,
            chat=replace(self.chat, model=model_id),
            responses=replace(self.responses, model=model_id),
            messages=replace(self.messages, model=model_id),
        )


def _windowed(pattern: str, *, context_tokens: int, max_output: int) -> Model:
    return Model(
        pattern=pattern,
        chat=ChatTraits(context_tokens=context_tokens, max_output=max_output, vision=False),
        responses=ResponsesTraits(context_tokens=context_tokens, max_output=max_output, vision=False),
        messages=MessagesTraits(context_tokens=context_tokens, max_output=max_output, vision=False),
    )


_BUDGET = MessagesTraits(thinking=frozenset({"enabled"}), one_sampler=True)
_BOTH_KINDS = MessagesTraits(
    thinking=frozenset({"enabled", "adaptive", "between_tools"}),
    efforts=("low", "medium", "high", "max"),
    one_sampler=True,
    prefill=False,
)
_ADAPTIVE = MessagesTraits(
    thinking=frozenset({"adaptive", "between_tools"}),
    efforts=CLAUDE_EFFORTS,
    sampling=False,
    prefill=False,
    mid_system=True,
    binds_prefix=True,
)
_OPENAI_REASONING = ChatTraits(
    reasoning=True, efforts=GPT_EFFORTS, limit_fields=frozenset({"max_completion_tokens"}), max_output=128_000
)
_OPENAI_REASONING_RS = ResponsesTraits(reasoning=True, efforts=GPT_EFFORTS, max_output=128_000)

_COMPATIBLE = ChatTraits(
    takes_developer=False,
    limit_fields=frozenset({"max_tokens"}),
    refused_fields=frozenset(
        {"store", "stream_options", "reasoning_effort", "prompt_cache_key", "safety_identifier"}
    ),
    string_content_only=True,
    string_content_with_calls=True,
    parses_arguments=True,
    needs_tool_name=True,
    needs_tools_with_history=True,
    vision=False,
    usage_place="always",
)
_DEEPSEEK = ChatTraits(
    takes_developer=False,
    limit_fields=frozenset({"max_tokens"}),
    refused_fields=frozenset({"store"}),
    extra_fields=frozenset({"thinking"}),
    efforts=ALL_EFFORTS,
    reasoning_replay="required",
    reasoning_fields=("reasoning_content",),
    vision=False,
)
_OPENROUTER = ChatTraits(
    takes_developer=False,
    efforts=ALL_EFFORTS,
    extra_fields=frozenset({"reasoning", "provider"}),
    message_extras=frozenset({"reasoning", "reasoning_details"}),
    part_extras=frozenset({"cache_control"}),
    reasoning_replay="allowed",
    reasoning_fields=("reasoning", "reasoning_details"),
)

MODELS: Final[tuple[Model, ...]] = (
    Model(
        pattern="text",
        chat=ChatTraits(vision=False),
        responses=ResponsesTraits(vision=False),
        messages=MessagesTraits(vision=False),
    ),
    Model(pattern="vision"),
    Model(pattern="thinker", chat=_OPENAI_REASONING, responses=_OPENAI_REASONING_RS, messages=_BUDGET),
    Model(pattern="adaptive", chat=_OPENAI_REASONING, responses=_OPENAI_REASONING_RS, messages=_ADAPTIVE),
    Model(
        pattern="compatible",
        chat=_COMPATIBLE,
        messages=MessagesTraits(empty_signature=True, strict_output=False),
    ),
    Model(pattern="deepseek", chat=_DEEPSEEK),
    Model(pattern="openrouter", chat=_OPENROUTER),
    Model(
        pattern="moonshot",
        chat=replace(_DEEPSEEK, usage_place="choice", extra_fields=frozenset({"thinking"})),
    ),
    Model(
        pattern="both-reasonings",
        chat=replace(
            _OPENROUTER,
            reasoning_fields=("reasoning", "reasoning_content"),
            message_extras=frozenset({"reasoning"}),
        ),
    ),
    Model(
        pattern="ordered",
        chat=ChatTraits(
            needs_assistant_after_tool=True,
            tool_id_pattern="^[a-zA-Z0-9]{9}$",
            takes_developer=False,
            vision=False,
        ),
    ),
    _windowed("small", context_tokens=2_000, max_output=500),
    Model(pattern="o1", chat=replace(_OPENAI_REASONING, takes_stop=False)),
    Model(pattern="o3*", chat=replace(_OPENAI_REASONING, takes_stop=False), responses=_OPENAI_REASONING_RS),
    Model(
        pattern="o4-mini*", chat=replace(_OPENAI_REASONING, takes_stop=False), responses=_OPENAI_REASONING_RS
    ),
    Model(pattern="gpt-5*", chat=_OPENAI_REASONING, responses=_OPENAI_REASONING_RS),
    Model(pattern="gpt-*"),
    Model(pattern="claude-*-4-6*", messages=_BOTH_KINDS),
    Model(pattern="claude-*-4-[0-5]*", messages=_BUDGET),
    Model(pattern="claude-3-7*", messages=replace(_BUDGET, one_sampler=False)),
    Model(pattern="claude-3*"),
    Model(pattern="claude-opus-4-[7-9]*", messages=_ADAPTIVE),
    Model(pattern="claude-*-[5-9]*", messages=_ADAPTIVE),
)
"""The first entry whose pattern matches wins."""


class Catalog:
    """Finds the traits of a model by its id."""

    def __init__(self, models: Iterable[Model] = MODELS, *, names: Iterable[str] = ()) -> None:
        self._models = tuple(models)
        self._names = tuple(names)

    def find(self, model_id: str) -> Model | None:
        """Return the model of this id, or None; a name given at birth is an ordinary model that sees."""
        for model in self._models:
            if fnmatchcase(model_id, model.pattern):
                return model.named(model_id)
        return Model(pattern=model_id).named(model_id) if model_id in self._names else None

    def ids(self) -> list[str]:
        """Return the ids that are no patterns, in order."""
        return [model.pattern for model in self._models if not set("*?[") & set(model.pattern)] + list(
            self._names
        )
