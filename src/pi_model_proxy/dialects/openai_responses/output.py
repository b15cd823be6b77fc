"""One item of an answer while it arrives."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.lanes import Lane
from pi_model_proxy.dialects.openai_responses.payloads import read
from pi_model_proxy.hub import ToolCallBlock

__all__ = ["CALLS", "Output", "Part", "Said"]

CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_TAIL_CHARS: Final = 64

Part = tuple[str, int]
"""What kind of part (`output_text`, `refusal`, `summary`, `content`) and its number."""


class Said:
    """How much of a part has been passed on, and how that ended."""

    __slots__ = ("length", "tail")

    def __init__(self) -> None:
        self.length = 0
        self.tail = ""

    def add(self, text: str) -> None:
        self.length += len(text)
        self.tail = (self.tail + text)[-_TAIL_CHARS:]

    def missing(self, whole: str) -> str:
        """Return what of `whole` has not been said; nothing when it is another text than the deltas were."""
        return whole[self.length :] if whole[: self.length].endswith(self.tail) else ""


class Output:
    """One output item."""

    __slots__ = (
        "call",
        "cited",
        "done",
        "ids",
        "lane",
        "number",
        "open_part",
        "pieces",
        "said",
        "type",
        "wrapped",
    )

    def __init__(self, type_: str, number: int | None) -> None:
        self.type = type_
        self.number = number
        """`output_index`; None from servers that do not number (llama.cpp b11434)."""
        self.ids: set[str] = set()
        self.done = False
        self.lane: Lane | None = None
        """The block that is being written."""
        self.open_part: Part | None = None
        self.said: dict[Part, Said] = {}
        self.cited: dict[Part, int] = {}
        self.call: ToolCallBlock | None = None
        self.pieces: list[str] = []
        """A call's arguments so far."""
        self.wrapped = False
        """Whether the arguments are those of a function around a custom tool."""

    def tells_again(self, part: Part) -> bool:
        """Tell whether reasoning that came as summary now comes as content too, or the other way round."""
        return any(kind != part[0] for kind, _index in self.said)

    def rest(self, whole: str) -> str:
        """Return what of a call's arguments the deltas left out; nothing when these were another text."""
        said = "".join(self.pieces)
        return whole[len(said) :] if whole.startswith(said) else ""

    @property
    def is_whole(self) -> bool:
        """Whether a call's arguments can be run; a custom tool's input always can once the answer is over."""
        if self.type == "custom_tool_call":
            return True
        return read("".join(self.pieces).encode("utf-8", "surrogatepass"), dict) is not None
