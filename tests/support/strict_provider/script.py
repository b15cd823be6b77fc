"""Answers by name: what the provider says when a test, the prompt or the model's name asks for it.

A script is a function from what was asked to an answer. Write `script:parallel-tools` anywhere in the
last user message, ask a model of that name, or queue `SCRIPTS["parallel-tools"]` (or any function
of your own, or an `Answer`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from support.strict_provider.answer import (
    Answer,
    Call,
    Pace,
    Part,
    Redacted,
    Refusal,
    Style,
    Text,
    Thinking,
    Usage,
)
from support.strict_provider.glimpse import Asked, Tool

__all__ = ["LONG_TEXT", "SCRIPTS", "UNICODE_TEXT", "Script", "instance_of", "say"]

Script = Callable[[Asked], Answer]

MAX_DEPTH: Final = 8
"""Nesting at which `instance_of` stops following a schema."""

LONG_WORDS: Final = 4_000
LONG_TEXT: Final = " ".join(f"word-{number}" for number in range(LONG_WORDS))

UNICODE_TEXT: Final = (
    "Grüße, 世界! Привет. مرحبا. नमस्ते. 👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \U0001f600\U00010348 "
    "line\u2028separator paragraph\u2029separator next\u0085line zero\u200bwidth \ufeffbom "
    'quote" back\\slash /slash tab\there newline\nhere carriage\rreturn data: x\n\nevent: y\n\n</script> \u007f\u0001'
)
"""One of everything that breaks encoders, splitters and escapers."""

THOUGHT: Final = "Let me think: the user wants an answer. Two plus two is four."


def say(text: str, **style: Any) -> Answer:
    """Return an answer of plain text."""
    return Answer(parts=(Text(text),), style=Style(**style))


def instance_of(schema: dict[str, Any] | bool, depth: int = 0) -> Any:
    """Return a small value that follows a JSON Schema: consts, enums, required and optional properties."""
    if isinstance(schema, bool):
        return "Paris"
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return instance_of(schema[choice][0], depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {}) if depth < MAX_DEPTH else {}
        return {name: instance_of(child, depth + 1) for name, child in properties.items()}
    if kind == "array":
        return [instance_of(schema.get("items", {}), depth + 1)] if depth < MAX_DEPTH else []
    return {"string": "Paris", "integer": 7, "number": 1.5, "boolean": True, "null": None}.get(
        str(kind), "Paris"
    )


def _arguments(tool: Tool) -> str:
    return "*** Begin Patch" if tool.custom else json.dumps(instance_of(tool.schema), separators=(",", ":"))


def _offered(asked: Asked) -> Tool:
    named = [tool for tool in asked.tools if tool.name == asked.forced]
    return (
        named or list(asked.tools) or [Tool("get_weather", {"properties": {"city": {"type": "string"}}})]
    )[0]


def echo(asked: Asked) -> Answer:
    """Repeat the prompt."""
    return say(f"You said: {asked.prompt}")


def auto(asked: Asked) -> Answer:
    """Do the sensible thing: answer from results, obey a forced tool, fill a schema, describe pictures, or echo."""
    thought: tuple[Part, ...] = (Thinking(THOUGHT),) if asked.thinking else ()
    return Answer(parts=(*thought, *_sensible(asked)))


def _sensible(asked: Asked) -> tuple[Part, ...]:
    if asked.results:
        return (Text("The tools said: " + "; ".join(result.text for result in asked.results)),)
    if asked.forced or (asked.tools and "tool" in asked.prompt.lower()):
        tool = _offered(asked)
        return (Call(tool.name, _arguments(tool)),)
    if asked.schema is not None:
        return (Text(json.dumps(instance_of(asked.schema) if asked.schema else {"answer": "Paris"})),)
    if asked.pictures:
        return (Text(_described(asked)),)
    return (Text(f"You said: {asked.prompt}"),)


def _described(asked: Asked) -> str:
    seen = [
        f"{picture.media_type or 'picture'} {picture.source} ({picture.size} bytes)"
        for picture in asked.pictures
    ]
    return f"I see {len(seen)}: " + ", ".join(seen)


def pictures(asked: Asked) -> Answer:
    """Say which pictures arrived: media type, digest, size."""
    return say(_described(asked))


def mirror(asked: Asked) -> Answer:
    """Answer with the request body as JSON, as it arrived."""
    return say(json.dumps(asked.body, ensure_ascii=False), piece_chars=200)


def tool_loop(asked: Asked) -> Answer:
    """Call the first tool on offer; with results in hand, answer from them."""
    if asked.results:
        return say("The tools said: " + "; ".join(result.text for result in asked.results))
    tool = _offered(asked)
    return Answer(parts=(Text("Let me look that up."), Call(tool.name, _arguments(tool))))


def _two_calls(asked: Asked) -> tuple[Call, Call]:
    first = _offered(asked)
    second = next((tool for tool in asked.tools if tool.name != first.name), first)
    return Call(first.name, '{"city":"Paris"}'), Call(second.name, '{"city":"München"}')


def parallel_tools(asked: Asked) -> Answer:
    """Make two calls in one turn; with results in hand, answer from them."""
    return tool_loop(asked) if asked.results else Answer(parts=_two_calls(asked))


def interleaved_tools(asked: Asked) -> Answer:
    """Make two calls whose fragments alternate (chat; vector 61)."""
    return Answer(parts=_two_calls(asked), style=Style(interleave_calls=True, piece_chars=3))


def empty_call(asked: Asked) -> Answer:
    """Call a tool without any argument fragment (vector 65)."""
    return Answer(parts=(Call(_offered(asked).name, ""),))


def text_then_tool(asked: Asked) -> Answer:
    """Speak, then call."""
    return Answer(parts=(Text("I will look."), Call(_offered(asked).name, '{"city":"Oslo"}')))


def tool_then_text(asked: Asked) -> Answer:
    """Call, then speak (vector 58)."""
    return Answer(parts=(Call(_offered(asked).name, '{"city":"Oslo"}'), Text("I have asked.")))


def thinking_then_text(_: Asked) -> Answer:
    """Think, then speak."""
    return Answer(parts=(Thinking(THOUGHT), Text("Four.")))


def thinking_then_tools(asked: Asked) -> Answer:
    """Think, then make two calls; with results in hand, think again and answer."""
    if asked.results:
        return Answer(parts=(Thinking("The results are in."), Text("Done.")))
    return Answer(parts=(Thinking(THOUGHT), *_two_calls(asked)))


def redacted_thinking(_: Asked) -> Answer:
    """Think in secret, then aloud, then speak."""
    return Answer(parts=(Redacted(), Thinking(THOUGHT), Text("Four.")))


def thinking_only(_: Asked) -> Answer:
    """Think and say nothing (vector 82)."""
    return Answer(parts=(Thinking(THOUGHT),))


def structured(asked: Asked) -> Answer:
    """Answer with JSON that follows the schema asked for."""
    return say(json.dumps(instance_of(asked.schema or {"properties": {"answer": {"type": "string"}}})))


def merged_calls(asked: Asked) -> Answer:
    """Send two argument objects under one call, as broken servers do (vector 106)."""
    return Answer(parts=(Call(_offered(asked).name, '{"a":1}{"b":2}'),))


def cut_call(asked: Asked) -> Answer:
    """Run out of tokens in the middle of a call's arguments."""
    return Answer(parts=(Call(_offered(asked).name, '{"city":"Par'),), stop="length")


def _with(answer: Answer, **changes: Any) -> Script:
    changed = replace(answer, **changes)
    return lambda _: changed


_FOUR: Final = Answer(parts=(Thinking(THOUGHT), Text("Four.")))

SCRIPTS: Final[dict[str, Script]] = {
    "auto": auto,
    "echo": echo,
    "mirror": mirror,
    "hello": _with(say("Hello! How can I help you today?")),
    "long-text": _with(say(LONG_TEXT, piece_chars=40)),
    "unicode": _with(say(UNICODE_TEXT, piece_chars=1)),
    "unicode-escaped": _with(say(UNICODE_TEXT, piece_chars=1, escaped=True)),
    "empty": _with(Answer(parts=())),
    "pictures": pictures,
    "tool-loop": tool_loop,
    "parallel-tools": parallel_tools,
    "interleaved-tools": interleaved_tools,
    "empty-call": empty_call,
    "text-then-tool": text_then_tool,
    "tool-then-text": tool_then_text,
    "merged-calls": merged_calls,
    "cut-call": cut_call,
    "thinking-then-text": thinking_then_text,
    "thinking-then-tools": thinking_then_tools,
    "thinking-only": thinking_only,
    "redacted-thinking": redacted_thinking,
    "refusal": _with(Answer(parts=(Refusal("I cannot help with that."),))),
    "length": _with(Answer(parts=(Text("This goes on and"),), stop="length")),
    "content-filter": _with(Answer(parts=(Text("This was"),), stop="content_filter")),
    "stop-sequence": _with(
        Answer(parts=(Text("Before the end"),), stop="stop_sequence", stop_sequence="END")
    ),
    "pause": _with(Answer(parts=(Text("Still working."),), stop="pause")),
    "context-full": _with(Answer(parts=(Text("No room"),), stop="context_full")),
    "structured": structured,
    "cached": _with(
        say("From the cache."),
        usage=Usage(fresh=88, cache_read=120_269, cache_write_5m=20_000, cache_write_1h=1_002, output=4_156),
    ),
    "reasoning-tokens": _with(_FOUR, usage=Usage(fresh=100, output=300, reasoning=256)),
    "usage-on-finish": _with(say("Counted."), style=Style(usage_place="finish_chunk")),
    "usage-in-choice": _with(say("Counted."), style=Style(usage_place="choice")),
    "usage-none": _with(say("Not counted."), style=Style(usage_place="none")),
    "usage-always": _with(say("Counted unasked."), style=Style(usage_place="always")),
    "vendor-reasoning": _with(_FOUR, style=Style(reasoning_fields=("reasoning",))),
    "vendor-reasoning-content": _with(_FOUR, style=Style(reasoning_fields=("reasoning_content",))),
    "vendor-reasoning-both": _with(_FOUR, style=Style(reasoning_fields=("reasoning", "reasoning_content"))),
    "vendor-reasoning-details": _with(
        _FOUR, style=Style(reasoning_fields=("reasoning", "reasoning_details"))
    ),
    "vendor-reasoning-text": _with(_FOUR, style=Style(reasoning_fields=("reasoning_text",))),
    "aggregates-only": _with(say("All at once."), style=Style(deltas=False)),
    "dripping": _with(say("Slowly, slowly."), pace=Pace(pause_s=0.02)),
    "byte-by-byte": _with(say(UNICODE_TEXT), pace=Pace(chunk_bytes=1)),
}
"""Every script by the name that a prompt or model may use."""

DIRECTIVE: Final = re.compile(r"\b(script|fault):([a-z0-9-]+)\b")
"""What a prompt may say to choose its answer."""
