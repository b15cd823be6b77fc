"""What each demo model does, decided without a format: a question in, a script out; pure."""

from __future__ import annotations

import math
import re
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.demo.samples import sample

__all__ = [
    "SCENES",
    "Ask",
    "Call",
    "Fault",
    "Offered",
    "Result",
    "Say",
    "Scene",
    "Script",
    "Step",
    "Thought",
    "pieces",
    "play",
]

CHARS_PER_TOKEN: Final = 4
IMAGE_TOKENS: Final = 85
MAX_CALLS: Final = 4
"""So many tools are called when the user asks for calls in parallel."""
MAX_ECHO: Final = 200
"""Characters of a tool's result that are repeated."""
LONG_LINES: Final = 60

LABEL: Final = "[scripted demo, no model ran]"

Fault = Literal["rate-limit", "overload", "stall", "cut", "error"]


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of demo model; each exists in every format."""

    id: str
    does: str
    """Completes the sentence "This scripted model ..."."""
    thinks: bool = False
    sees: bool = False
    fault: Fault | None = None


SCENES: Final = (
    Scene(id="text", does="answers with a short text about your message"),
    Scene(id="long", does="streams a long text"),
    Scene(id="tools", does="calls the first tool it is offered, then reports the result"),
    Scene(id="thinking", does="thinks before it answers", thinks=True),
    Scene(id="vision", does="counts the images it was sent", sees=True),
    Scene(id="rate-limit", does="refuses with 429 and retry-after", fault="rate-limit"),
    Scene(id="overload", does="says it is overloaded", fault="overload"),
    Scene(id="stall", does="begins to answer, then says nothing more", fault="stall"),
    Scene(id="cut", does="begins to answer, then drops the connection", fault="cut"),
    Scene(id="error", does="begins to answer, then reports an error", fault="error"),
)


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that may be called."""

    name: str
    schema: dict[str, Any]
    custom: bool = False
    """Takes text instead of JSON."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool gave back since the last answer."""

    name: str
    text: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks, whatever its format."""

    model: str
    stream: bool = False
    user_text: str = ""
    """The latest text of the user's."""
    input_chars: int = 0
    images: int = 0
    documents: int = 0
    tools: tuple[Offered, ...] = ()
    """Empty when calls are forbidden."""
    must_call: bool = False
    must_call_name: str = ""
    parallel: bool = True
    results: tuple[Result, ...] = ()
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    thinking_off: bool = False
    wants_json: bool = False
    schema: dict[str, Any] | None = None
    """The form the answer must have."""
    wants_usage: bool = True
    """Chat streams tell it only when asked."""
    seals_thinking: bool = False
    """Responses give encrypted reasoning only when asked."""

    @property
    def input_tokens(self) -> int:
        """A count that the same request always has."""
        return _tokens(self.input_chars) + IMAGE_TOKENS * (self.images + self.documents)


class Thought(msgspec.Struct, frozen=True):
    """Thinking, said aloud."""

    text: str


class Say(msgspec.Struct, frozen=True):
    """Text of the answer."""

    text: str


class Call(msgspec.Struct, frozen=True):
    """A tool to run."""

    name: str
    arguments: str
    """JSON text, or plain text for a custom tool."""
    custom: bool = False


Step = Thought | Say | Call


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, decided to the last token."""

    steps: tuple[Step, ...]
    finish: Literal["stop", "length", "stop_sequence", "tool_calls"] = "stop"
    stop_sequence: str | None = None
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int = 0
    fault: Fault | None = None


def play(scene: Scene, ask: Ask) -> Script:
    """Return the answer of a demo model to a request; the same request always gets the same one."""
    steps: list[Step] = []
    if scene.thinks and not ask.thinking_off:
        steps.append(Thought(_thinking(ask)))
    calls = _calls(scene, ask)
    steps.append(Say(_words(scene, ask, calling=len(calls))))
    return _limited(scene, ask, [*steps, *calls])


def pieces(text: str) -> list[str]:
    """Return the words of a text, each with the space after it, as a model would stream them."""
    return re.findall(r"\s*\S+\s*|\s+", text)


def _tokens(chars: int) -> int:
    return math.ceil(chars / CHARS_PER_TOKEN)


def _calls(scene: Scene, ask: Ask) -> list[Call]:
    wants = ask.must_call or (scene.id == "tools" and not ask.results)
    if not wants or not ask.tools:
        return []
    named = [tool for tool in ask.tools if tool.name == ask.must_call_name]
    chosen = named or list(ask.tools[:1])
    if ask.parallel and not named and "parallel" in ask.user_text.lower():
        chosen = list(ask.tools[:MAX_CALLS])
    return [Call(tool.name, _arguments(tool, ask), tool.custom) for tool in chosen]


def _arguments(tool: Offered, ask: Ask) -> str:
    if tool.custom:
        return f"{LABEL} {ask.user_text[:MAX_ECHO]}"
    return msgspec.json.encode(sample(tool.schema)).decode()


def _thinking(ask: Ask) -> str:
    return (
        f"{LABEL} The last message has {len(ask.user_text)} characters. "
        "First I count them, then I answer with the count."
    )


def _words(scene: Scene, ask: Ask, *, calling: int) -> str:
    if calling:
        return f"{LABEL} I call {calling} tool(s)."
    form = _form(ask)
    if form is not None:
        return form
    if ask.results:
        told = "; ".join(f"{result.name} answered: {result.text[:MAX_ECHO]}" for result in ask.results)
        return f"{LABEL} {told}"
    words = len(ask.user_text.split())
    count = f"Your last message has {len(ask.user_text)} characters in {words} word{'s' * (words != 1)}."
    return f"{LABEL} {count} {_remark(scene, ask)}"


def _form(ask: Ask) -> str | None:
    """Return an answer of the form that was asked for; None when any text will do."""
    if ask.schema is not None:
        return msgspec.json.encode(sample(ask.schema)).decode()
    if ask.wants_json:
        return msgspec.json.encode({"scripted": True, "characters": len(ask.user_text)}).decode()
    return None


def _remark(scene: Scene, ask: Ask) -> str:
    match scene.id:
        case "tools":
            return "I was offered no tool to call."
        case "vision":
            return f"I was sent {ask.images} image(s) and {ask.documents} document(s)."
        case "long":
            lines = range(1, LONG_LINES + 1)
            return "\n".join(
                f"Line {line} of a long scripted answer, one word after the other." for line in lines
            )
        case _:
            return "This answer streams one word at a time, so that you can see it arrive."


def _limited(scene: Scene, ask: Ask, steps: list[Step]) -> Script:
    """Cut the answer at the first stop sequence or at its limit, and count it."""
    left = ask.max_tokens * CHARS_PER_TOKEN if ask.max_tokens is not None else math.inf
    kept: list[Step] = []
    stopped: str | None = None
    cut = False
    for step in steps:
        if stopped is not None or cut:
            break
        if isinstance(step, Say):
            text, stopped = _until_stop(step.text, ask.stops)
            step = Say(text)  # noqa: PLW2901 - the same step, shorter
        if not isinstance(step, Call) and len(step.text) > left:
            cut, stopped = True, None
            step = type(step)(step.text[: int(left)])  # noqa: PLW2901 - the same step, shorter
        kept.append(step)
        left -= _length(step)
    reasoning = _tokens(sum(len(step.text) for step in kept if isinstance(step, Thought)))
    said = _tokens(sum(_length(step) for step in kept if not isinstance(step, Thought)))
    called = any(isinstance(step, Call) for step in kept)
    return Script(
        steps=tuple(kept),
        finish="length"
        if cut
        else "stop_sequence"
        if stopped is not None
        else "tool_calls"
        if called
        else "stop",
        stop_sequence=stopped,
        input_tokens=ask.input_tokens,
        output_tokens=reasoning + said,
        reasoning_tokens=reasoning,
        fault=scene.fault,
    )


def _until_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    found = min(((at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0), default=None)
    return (text, None) if found is None else (text[: found[0]], found[1])


def _length(step: Step) -> int:
    return len(step.name) + len(step.arguments) if isinstance(step, Call) else len(step.text)
