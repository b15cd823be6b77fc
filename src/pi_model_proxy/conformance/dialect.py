"""What a check wants and what it sees, in no dialect's words; and what a dialect must be able to do for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec

from pi_model_proxy.conformance.client import Frame, Reply, Sent, events, lines

__all__ = [
    "About",
    "Answer",
    "Call",
    "Dialect",
    "Json",
    "Reader",
    "Tool",
    "Usage",
    "Wish",
    "Wrong",
    "at",
    "parsed",
    "read",
]

Json = dict[str, Any]
Kind = TypeVar("Kind")

OK: Final = 200
MAX_QUOTE: Final = 160
"""So many characters of an answer are quoted in a failure."""


About = Literal["shape", "calls", "thinking", "usage"]
"""Which part of an answer a fault is in: each is held against one check only."""


class Wrong(Exception):
    """An answer is not what its specification says; the message has the place and what stands there."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that is offered."""

    name: str
    description: str
    schema: Json


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call as the model made it."""

    id: str
    name: str
    arguments: Json


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of tokens; the input with all that came out of a cache."""

    input: int
    output: int
    total: int | None = None
    """As the answer says it; None where the dialect has no such member."""
    reasoning: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says."""

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    """`stop`, `length`, `tool_calls`, or the dialect's own word for another end."""
    usage: Usage | None = None
    pieces: int = 0
    """Parts in which the text came."""
    turn: Any = None
    """The answer as the next request repeats it: one message, or items."""
    faults: tuple[tuple[About, str], ...] = ()
    """What is readable but not as specified."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A request."""

    model: str
    prompt: str = "Say hello in one short sentence."
    stream: bool = False
    system: str = ""
    earlier: tuple[tuple[str, str], ...] = ()
    """Turns before: what the user said, what was answered."""
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    """`auto`, `none`, or the name of the tool that must be called."""
    image: str = ""
    """A PNG in base64."""
    schema: Json | None = None
    any_json: bool = False
    thinking: bool = False
    max_tokens: int = 512
    stop: str = ""
    after: Answer | None = None
    """The answer whose calls got `results`."""
    results: tuple[str, ...] = ()


class Dialect(Protocol):
    """A way of talking to models over HTTP."""

    id: str
    title: str
    stream_type: str
    """Media type of a streamed answer."""

    def headers(self, key: str) -> Json:
        """Return what goes along with every request."""
        ...

    def request(self, wish: Wish) -> Sent:
        """Return `wish` in this dialect."""
        ...

    def bad_request(self, model: str) -> Json:
        """Return members that replace those of a good request and make it a bad one; None takes one out."""
        ...

    def whole(self, answer: Json) -> Answer:
        """Read an answer that is not streamed."""
        ...

    def streamed(self, frames: Sequence[Frame]) -> Answer:
        """Read a streamed answer."""
        ...

    def error(self, body: object) -> str:
        """Return an error's message.

        Raises:
            Wrong: it has not this dialect's shape.
        """
        ...

    def models(self) -> Sent:
        """Return the request for the list of models."""
        ...

    def names(self, body: Json) -> list[str]:
        """Return the models that a list names."""
        ...

    def count(self, wish: Wish) -> Sent:
        """Return the request that counts a wish's tokens."""
        ...

    def counted(self, body: Json) -> int:
        """Return what was counted."""
        ...


class Reader:
    """Collects an answer while it is read."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.thinking: list[str] = []
        self.calls: list[Call] = []
        self.faults: list[tuple[About, str]] = []

    def expect(self, fits: object, what: str, about: About = "shape") -> None:
        """Note `what` unless it is so."""
        if not fits and (about, what) not in self.faults:
            self.faults.append((about, what))

    def call(self, call_id: object, name: object, arguments: object) -> None:
        """Take a call; arguments may be JSON text or an object.

        Raises:
            Wrong: the arguments are no JSON object, or there is no name.
        """
        if isinstance(arguments, str):
            arguments = parsed(arguments.encode() or b"{}", f"arguments of the call {name!r}")
        if not isinstance(arguments, dict) or not isinstance(name, str) or not name:
            raise Wrong(f"a call has the name {name!r} and arguments that are {type(arguments).__name__}")
        self.calls.append(
            Call(id=call_id if isinstance(call_id, str) else "", name=name, arguments=arguments)
        )

    def answer(self, *, finish: str, usage: Usage | None, turn: object) -> Answer:
        """Return all of it."""
        return Answer(
            text="".join(self.text),
            thinking="".join(self.thinking),
            calls=tuple(self.calls),
            finish=finish,
            usage=usage,
            pieces=len([piece for piece in self.text if piece]),
            turn=turn,
            faults=tuple(self.faults),
        )


def at(value: object, *path: str | int, kind: type[Kind]) -> Kind:
    """Return what stands at `path`.

    Raises:
        Wrong: nothing stands there, or something of another kind.
    """
    found: Any = value
    for depth, step in enumerate(path):
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError) as error:
            raise Wrong(f"{_dotted(path[: depth + 1])} is missing in {_quote(value)}") from error
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise Wrong(f"{_dotted(path)} is {_quote(found)}, not {kind.__name__}")
    return found


def parsed(data: bytes | str, what: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return JSON's value.

    Raises:
        Wrong: it is no JSON.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        raise Wrong(f"{what}: no JSON ({error}): {text[:MAX_QUOTE]!r}") from error


def read(dialect: Dialect, reply: Reply, *, stream: bool) -> Answer:
    """Return what an answer says.

    Raises:
        Wrong: it is an error, or cannot be read.
    """
    if reply.status != OK:
        said = reply.body[:MAX_QUOTE].decode("utf-8", "replace")
        raise Wrong(f"status {reply.status} instead of 200: {said}")
    wanted = dialect.stream_type if stream else "application/json"
    given = reply.headers.get("content-type", "")
    try:
        if stream:
            split = lines if dialect.stream_type.endswith("ndjson") else events
            answer = dialect.streamed(split(reply.body))
        else:
            answer = dialect.whole(parsed(reply.body, "the answer"))
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise Wrong(f"the answer cannot be read ({type(error).__name__}: {error})") from error
    if given.split(";")[0].strip().lower() != wanted:
        fault = f"content-type is {given!r}, not {wanted}"
        return msgspec.structs.replace(answer, faults=(*answer.faults, ("shape", fault)))
    return answer


def _dotted(path: Sequence[str | int]) -> str:
    return (
        "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        or "the value"
    )


def _quote(value: object) -> str:
    return repr(value)[:MAX_QUOTE]
