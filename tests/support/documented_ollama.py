"""Everything that Ollama's `/api/chat` and `/api/generate` can say, one small request each.

Source: ollama-python 0.6.3 `_types.py` (ChatRequest, GenerateRequest, Options, Message, Tool); Ollama's API reference.
"""

from __future__ import annotations

from typing import Any, Final

from support.silence import GONE, Case

__all__ = ["GENERATE_CASES", "OLLAMA_CASES", "OLLAMA_OPTIONS", "OLLAMA_SAYS_NOTHING", "OLLAMA_VALUES"]

Json = dict[str, Any]

PNG: Final = "iVBORw0KGgo="
CITY: Final = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Final = {
    "type": "function",
    "function": {"name": "weather", "description": "Tell.", "parameters": CITY},
}
OTHER: Final = {
    "type": "function",
    "function": {"name": "other", "parameters": {"type": "object", "properties": {}}},
}
CALL: Final = {"function": {"name": "weather", "arguments": {"city": "Rome"}}}

OLLAMA_OPTIONS: Final[Json] = {
    "num_keep": 5, "seed": 42, "num_predict": 100, "top_k": 20, "top_p": 0.9, "min_p": 0.1, "tfs_z": 0.5,
    "typical_p": 0.7, "repeat_last_n": 33, "temperature": 0.8, "repeat_penalty": 1.2, "presence_penalty": 1.5,
    "frequency_penalty": 1.0, "mirostat": 1, "mirostat_tau": 0.8, "mirostat_eta": 0.6, "penalize_newline": True,
    "stop": ["user:"], "numa": True, "num_ctx": 1024, "num_batch": 2, "num_gpu": 1, "main_gpu": 1,
    "low_vram": True, "logits_all": True, "vocab_only": True, "use_mmap": True, "use_mlock": True,
    "embedding_only": True, "num_thread": 8,
}  # fmt: skip


def _chat(**fields: Any) -> Json:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}


def _field(name: str, value: Any) -> Case:
    return Case(name, _chat(**{name: value}), (name,))


def _generate(name: str, value: Any) -> Case:
    return Case(f"generate: {name}", {"model": "m", "prompt": "hi", name: value}, (name,))


def _option(name: str, value: Any) -> Case:
    return Case(f"options.{name}", _chat(options={name: value}), (f"options.{name}",))


def _turn(name: str, *messages: Json, about: str, **fields: Any) -> Case:
    return Case(name, {"model": "m", "messages": list(messages), **fields}, (about,))


USER: Final = {"role": "user", "content": "go"}
RESULT: Final = {"role": "tool", "tool_name": "weather", "content": "sunny"}
OLLAMA_CASES: Final = (
    *(_option(name, value) for name, value in OLLAMA_OPTIONS.items()),
    _field("format", "json"),
    _field("format", CITY),
    _field("think", True),
    _field("think", False),
    _field("think", "high"),
    _field("logprobs", True),
    _field("top_logprobs", 3),
    _field("keep_alive", "5m"),
    _field("keep_alive", 0),
    _field("truncate", False),
    _field("shift", False),
    _field("tools", [TOOL, OTHER]),
    _field("tool_choice", "required"),
    _field("api_base", "https://elsewhere.example"),
    _turn("a system message", {"role": "system", "content": "Be brief."}, USER, about="messages[0]"),
    _turn("pictures", {**USER, "images": [PNG]}, about="messages[0]"),
    _turn("pictures of a system message", {"role": "system", "content": "Be.", "images": [PNG]}, USER, about="messages[0]"),
    _turn("thinking", USER, {"role": "assistant", "thinking": "Hm.", "content": "yes"}, USER, about="messages[1]"),
    _turn(
        "pictures of an answer", USER, {"role": "assistant", "content": "yes", "images": [PNG]}, USER, about="messages[1]"
    ),
    _turn(
        "a call", USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT, about="messages[1].tool_calls", tools=[TOOL]
    ),
    _turn(
        "a result", USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT, about="messages[2].content",
        tools=[TOOL],
    ),
    _turn("a strange member of a message", {**USER, "mood": "good"}, about="messages[0].mood"),
)  # fmt: skip
GENERATE_CASES: Final = (
    _generate("prompt", "hi"),
    _generate("system", "Be brief."),
    _generate("template", "{{ .Prompt }}"),
    _generate("images", [PNG]),
    _generate("suffix", "}"),
    _generate("context", [1, 2]),
    _generate("raw", True),
    _generate("format", CITY),
    _generate("think", "low"),
    _generate("options", {"temperature": 0.5, "num_ctx": 2048}),
    _generate("keep_alive", "5m"),
    _generate("width", 512),
    _generate("height", 512),
    _generate("steps", 4),
    _generate("logprobs", True),
    _generate("top_logprobs", 2),
)
OLLAMA_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "format": ("", GONE),
    "format.type": (),
    "format.properties.city.type": ("number",),
    "tools[].type": (),
    "tools[].function.parameters.properties": (),
    "think": (False, "low"),
    "messages[].role": (),
    "messages[].images[]": ("R0lGODlh",),
    "images[]": ("R0lGODlh",),
    "tools[].function.parameters.type": (),
    "tools[].function.parameters.properties.city.type": ("number",),
}
"""Other legal values, where not any other value is one."""
OLLAMA_SAYS_NOTHING: Final = {
    "top_logprobs": "means nothing without logprobs, and is listed where it would",
}
"""Leaves whose value makes no difference, and why."""
