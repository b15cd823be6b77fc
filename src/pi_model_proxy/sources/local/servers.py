"""What a local server says of its models, one row a kind of server.

Sources: Ollama `docs/api.md` (`/api/tags`, `/api/show`: `capabilities`, `model_info`) and `docs/openai.md`; LM Studio
"REST API v0" (`/api/v0/models`); vLLM `entrypoints/openai/protocol.py` (`ModelCard`: `owned_by`, `max_model_len`);
llama.cpp `tools/server/README.md` and pi-coding-agent 1.5.2 `dist/extensions/llama/{provider,client}.js`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from pi_model_proxy.catalog import Model

__all__ = ["MAX_MODELS", "SERVERS", "Ask", "LocalServer"]

T = TypeVar("T")

MAX_MODELS: Final = 256
"""As many of one server are listed."""
MAX_ID_CHARS: Final = 200
USUAL_CONTEXT: Final = 128_000
"""pi's, where a server does not say."""
MAX_CONTEXT: Final = 1_000_000_000
"""More tokens than any model reads: whoever says so is not believed."""
_CHAT: Final[Mapping[str, Any]] = {
    "supportsStore": False,
    "supportsDeveloperRole": False,
    "supportsReasoningEffort": False,
    "supportsUsageInStreaming": True,
    "supportsStrictMode": False,
    "maxTokensField": "max_tokens",
}
"""What such servers take of the chat format (pi's flags for llama.cpp)."""
_EFFORTS: Final[dict[str, str | None]] = {"off": "none", "minimal": "low", "xhigh": None, "max": None}
"""Ollama's words for thinking levels, where they are not pi's own."""
_TEMPLATE_SWITCH: Final[dict[str, str | None]] = {
    "off": "off", "minimal": None, "low": None, "medium": "medium", "high": None, "xhigh": None,
}  # fmt: skip
"""llama.cpp can only switch thinking on and off (pi's map)."""


class Ask(Protocol):
    """Asks the server that is being looked at."""

    async def __call__(self, path: str, body: bytes = b"") -> bytes:
        """Return a 200 answer's body; `b""` for any other, or none. Without `body` it is a GET."""
        ...


class LocalServer(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server."""

    provider: str
    name: str
    port: int
    """Where it listens unless told otherwise."""
    models: Callable[[Ask, str], Awaitable[tuple[Model, ...] | None]]
    """`models(ask, origin)` gives its chat models; None when something else listens there."""


def _read(answer: bytes, shape: type[T]) -> T | None:
    """Return an answer as `shape`; None when it is none."""
    if not answer:
        return None
    try:
        return msgspec.json.decode(answer, type=shape, strict=False)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _model(provider: str, model_id: str, origin: str, **fields: Any) -> Model:  # noqa: ANN401 - fields of `Model`
    context = fields.pop("context_window", 0)
    if not 0 < context <= MAX_CONTEXT:
        context = USUAL_CONTEXT
    compat = {**_CHAT, **fields.pop("compat", {})}
    return Model(
        provider=provider,
        id=model_id,
        api="openai-completions",
        base_url=f"{origin}/v1",
        context_window=context,
        max_tokens=context,
        compat=compat,
        **fields,
    )


def _sensible(model_id: str) -> bool:
    return 0 < len(model_id) <= MAX_ID_CHARS and model_id.isprintable() and model_id == model_id.strip()


class _Tag(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Tag]


class _Show(msgspec.Struct):
    capabilities: list[str] | None = None
    model_info: dict[str, Any] | None = None

    @property
    def context(self) -> int:
        """The context that the model was trained for, in tokens; 0 when it is not told."""
        info = self.model_info or {}
        found = (
            value
            for name, value in info.items()
            if name.endswith(".context_length") and isinstance(value, int)
        )
        return next(found, 0)


async def _ollama(ask: Ask, origin: str) -> tuple[Model, ...] | None:
    tags = _read(await ask("/api/tags"), _Tags)
    if tags is None:
        return None
    models: list[Model] = []
    for tag in tags.models[:MAX_MODELS]:
        if not _sensible(tag.name):
            continue
        shown = _read(await ask("/api/show", msgspec.json.encode({"model": tag.name})), _Show) or _Show()
        able = shown.capabilities
        if able is not None and "completion" not in able:
            continue
        thinks = "thinking" in (able or ())
        models.append(
            _model(
                "ollama",
                tag.name,
                origin,
                context_window=shown.context,
                input=("text", "image") if "vision" in (able or ()) else ("text",),
                reasoning=thinks,
                thinking_level_map=_EFFORTS if thinks else {},
                compat={"supportsReasoningEffort": thinks},
            )
        )
    return tuple(models)


class _StudioModel(msgspec.Struct):
    id: str
    type: str
    max_context_length: int = 0
    loaded_context_length: int = 0


class _Studio(msgspec.Struct):
    data: list[_StudioModel]


_STUDIO_INPUT: Final = {"llm": ("text",), "vlm": ("text", "image")}
"""Its types that chat."""


async def _lm_studio(ask: Ask, origin: str) -> tuple[Model, ...] | None:
    listed = _read(await ask("/api/v0/models"), _Studio)
    if listed is None:
        return None
    return tuple(
        _model(
            "lmstudio",
            each.id,
            origin,
            context_window=each.loaded_context_length or each.max_context_length,
            input=_STUDIO_INPUT[each.type],
        )
        for each in listed.data[:MAX_MODELS]
        if each.type in _STUDIO_INPUT and _sensible(each.id)
    )


class _Card(msgspec.Struct):
    id: str
    owned_by: str = ""
    max_model_len: int | None = None


class _Cards(msgspec.Struct):
    data: list[_Card]


async def _vllm(ask: Ask, origin: str) -> tuple[Model, ...] | None:
    listed = _read(await ask("/v1/models"), _Cards)
    # Much else listens on port 8000.
    if listed is None or not any(card.owned_by == "vllm" for card in listed.data):
        return None
    return tuple(
        _model("vllm", card.id, origin, context_window=card.max_model_len or 0)
        for card in listed.data[:MAX_MODELS]
        if _sensible(card.id)
    )


class _Status(msgspec.Struct):
    value: str = ""
    args: list[str] = []
    failed: bool = False


class _Meta(msgspec.Struct):
    n_ctx: int | None = None
    n_ctx_train: int | None = None


class _Architecture(msgspec.Struct):
    input_modalities: list[str] = []
    output_modalities: list[str] = []


class _Llama(msgspec.Struct):
    id: str
    owned_by: str = ""
    source: str = ""
    status: _Status | None = None
    """The router's; a server of one model has none, and that one is loaded."""
    meta: _Meta | None = None
    architecture: _Architecture | None = None

    @property
    def is_loaded(self) -> bool:
        return self.status is None or self.status.value == "loaded"

    @property
    def awaits_loading(self) -> bool:
        """Whether the router loads it when it is first asked for, if it loads by itself at all."""
        status = self.status
        return (
            status is not None
            and status.value == "unloaded"
            and not status.failed
            and self.source == "preset"
        )

    @property
    def chats(self) -> bool:
        spoken = self.architecture.output_modalities if self.architecture else []
        return "decisions" not in spoken or "text" in spoken

    @property
    def context(self) -> int:
        meta = self.meta or _Meta()
        args = self.status.args if self.status else []
        given = (
            int(value)
            for flag, value in pairwise(args)
            if flag in {"--ctx-size", "-c", "-ctx"} and value.isdecimal() and len(value) < 12  # noqa: PLR2004 - no context is that long
        )
        return meta.n_ctx or next(given, 0) or meta.n_ctx_train or 0


class _Llamas(msgspec.Struct):
    data: list[_Llama]


class _Props(msgspec.Struct):
    models_autoload: bool | None = None
    chat_template: str = ""


async def _llama_cpp(ask: Ask, origin: str) -> tuple[Model, ...] | None:
    listed = _read(await ask("/models"), _Llamas)
    if listed is None or not any(each.status or each.owned_by == "llamacpp" for each in listed.data):
        return None
    autoload = False
    if any(each.awaits_loading for each in listed.data):
        autoload = (_read(await ask("/props"), _Props) or _Props()).models_autoload is True
    models: list[Model] = []
    for each in listed.data[:MAX_MODELS]:
        sleeps = each.status is not None and each.status.value == "sleeping"
        if not each.chats or not _sensible(each.id):
            continue
        if not (each.is_loaded or sleeps or (autoload and each.awaits_loading)):
            continue
        # Asking for the template of one that sleeps would wake it.
        thinks = each.is_loaded and "enable_thinking" in await _template(ask, each)
        models.append(
            _model(
                "llama.cpp",
                each.id,
                origin,
                context_window=each.context,
                input=("text", "image")
                if each.architecture and "image" in each.architecture.input_modalities
                else ("text",),
                reasoning=thinks,
                thinking_level_map=_TEMPLATE_SWITCH if thinks else {},
                compat={"thinkingFormat": "qwen-chat-template"} if thinks else {},
            )
        )
    return tuple(models)


async def _template(ask: Ask, model: _Llama) -> str:
    query = f"?{urlencode({'model': model.id, 'autoload': 'false'})}" if model.status is not None else ""
    return (_read(await ask(f"/props{query}"), _Props) or _Props()).chat_template


SERVERS: Final = (
    LocalServer(provider="ollama", name="Ollama", port=11434, models=_ollama),
    LocalServer(provider="lmstudio", name="LM Studio", port=1234, models=_lm_studio),
    LocalServer(provider="llama.cpp", name="llama.cpp", port=8080, models=_llama_cpp),
    LocalServer(provider="vllm", name="vLLM", port=8000, models=_vllm),
)
"""In the order in which they are listed."""
