"""Makes chunks that would break an SDK valid, and leaves all others alone (vector 85).

What SDKs trip over: dialects.md §2.9, §2.10: `choices: null`, `tool_calls: null`, an empty role, a
call fragment without `index`, a first fragment without `type`, ids and names repeated in later
fragments (openai-python joins them).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.openai_chat.chunks import EMPTY
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.wire import compact_json

__all__ = ["CALLED", "ChunkRepair", "SoundChoice", "SoundChunk", "read_sound"]

CALLED: Final = "tool_calls"
_ENDED: Final = "stop"
"""Some servers say so after calls, too; agents then never run them (dialects.md §5.2)."""

_Json = dict[str, Any]


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Fragment(msgspec.Struct, gc=False):
    index: int
    id: str | None = None
    type: Literal["function", "custom"] | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: str | None = None
    refusal: str | None = None
    tool_calls: list[_Fragment] = []


class SoundChoice(msgspec.Struct, gc=False):
    """One answer of a chunk; see `SoundChunk`."""

    index: int
    delta: _Delta
    finish_reason: str | None = None
    usage: msgspec.Raw = EMPTY


class SoundChunk(msgspec.Struct, gc=False):
    """A chunk that no SDK trips over, as far as types can tell."""

    choices: list[SoundChoice]
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = EMPTY
    error: msgspec.Raw = EMPTY


_sound_chunk: Final = msgspec.json.Decoder(SoundChunk).decode


def read_sound(data: bytes) -> SoundChunk | None:
    """Return what `data` says; None when something in it is not as the specification wants it."""
    try:
        return _sound_chunk(data)
    except (ValueError, RecursionError):
        return None


class ChunkRepair:
    """Knows which calls have begun; one object a stream."""

    def __init__(self) -> None:
        self._begun: dict[tuple[int, int], str] = {}
        """(choice, call index) to the call's id."""
        self._moved: dict[tuple[int, int], int] = {}
        """(choice, the upstream's call index) to ours, where it gave several calls one index."""
        self.called = False

    def repaired(self, data: bytes, sound: SoundChunk | None) -> bytes:
        """Return `data`, an object in JSON, itself when an SDK can read it, else the same chunk put right.

        Args:
            data: The chunk's JSON.
            sound: What `read_sound` made of it.
        """
        chunk = sound or read_sound(mend_body(data))
        if chunk is None or not all(self._is_valid(choice) for choice in chunk.choices):
            return self._mended(data)
        return data

    def only_continues(self, choice: SoundChoice) -> bool:
        """Tell whether the choice's fragments of calls only add to calls that have begun, as they should."""
        for fragment in choice.delta.tool_calls:
            if fragment.id or self._moved or (choice.index, fragment.index) not in self._begun:
                return False
            if fragment.function is not None and fragment.function.name:
                return False
        return True

    def _is_valid(self, choice: SoundChoice) -> bool:
        if choice.finish_reason == "" or (choice.finish_reason == _ENDED and self.called):
            return False
        if not choice.delta.tool_calls:
            return True
        if self._moved:
            return False
        for fragment in choice.delta.tool_calls:
            key = (choice.index, fragment.index)
            begun = key in self._begun
            named = fragment.function is not None and bool(fragment.function.name)
            if begun == bool(fragment.id or named):
                return False
            if not begun:
                if not (fragment.id and fragment.type and (named or fragment.type == "custom")):
                    return False
                self._begin(key, fragment.id)
        return True

    def _begin(self, key: tuple[int, int], call_id: str) -> None:
        self._begun[key] = call_id
        self.called = True

    # The slow way.

    def _mended(self, data: bytes) -> bytes:
        chunk: _Json = msgspec.json.decode(mend_body(data))
        choices = chunk.get("choices")
        chunk["choices"] = (
            [each for each in choices if isinstance(each, dict)] if isinstance(choices, list) else []
        )
        for position, choice in enumerate(chunk["choices"]):
            self._mend_choice(choice, position)
        return compact_json(chunk)

    def _mend_choice(self, choice: _Json, position: int) -> None:
        if not isinstance(choice.get("index"), int):
            choice["index"] = position
        if not choice.get("finish_reason"):
            choice["finish_reason"] = None
        elif choice["finish_reason"] == _ENDED and any(key[0] == choice["index"] for key in self._begun):
            choice["finish_reason"] = CALLED
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = {}
        choice["delta"] = delta
        if delta.get("role") != "assistant":
            delta.pop("role", None)
        calls = delta.pop("tool_calls", None)
        if isinstance(calls, dict):
            calls = [calls]
        fragments = [each for each in calls if isinstance(each, dict)] if isinstance(calls, list) else []
        mended = [self._mend_fragment(each, choice["index"]) for each in fragments]
        if any(mended):
            delta["tool_calls"] = [each for each in mended if each]

    def _mend_fragment(self, fragment: _Json, choice: int) -> _Json | None:
        """Return the fragment as the specification wants it; None when it says nothing."""
        body = fragment.get("function")
        body = dict(body) if isinstance(body, dict) else {}
        call_id = fragment.get("id") if isinstance(fragment.get("id"), str) else ""
        index = self._index(fragment, str(call_id or ""), body, choice)
        if index is None:
            return None
        arguments = body.get("arguments")
        if isinstance(arguments, dict | list):
            arguments = compact_json(arguments).decode()
        mended = {**fragment, "index": index}
        if (choice, index) in self._begun:
            for name in ("id", "type"):
                mended.pop(name, None)
            body.pop("name", None)
        else:
            call_id = call_id or f"call_{choice}_{index}"
            self._begin((choice, index), call_id)
            mended |= {
                "id": call_id,
                "type": fragment.get("type") or ("custom" if "custom" in fragment else "function"),
            }
            arguments = arguments or ""
        if body or arguments is not None:
            mended["function"] = {**body, "arguments": arguments or ""}
        return mended

    def _index(self, fragment: _Json, call_id: str, body: _Json, choice: int) -> int | None:
        """Return where the fragment belongs: its own index, that of its id, a new one for a name, else the last."""
        index, named = fragment.get("index"), bool(body.get("name"))
        of_choice = {key[1]: known for key, known in self._begun.items() if key[0] == choice}
        if isinstance(index, int) and not isinstance(index, bool):
            ours = self._moved.get((choice, index), index)
            known = of_choice.get(ours)
            if known is None or not call_id or call_id == known or not (named and _begins(body)):
                return ours
            # Gemini's compatible endpoint gives all calls index 0, each with an id of its own.
            self._moved[choice, index] = new = max(of_choice) + 1
            return new
        if call_id:
            return next((each for each, known in of_choice.items() if known == call_id), len(of_choice))
        if named:
            return len(of_choice)
        return max(of_choice) if of_choice else None


def _begins(body: _Json) -> bool:
    """Tell whether a fragment's arguments are a beginning, not the middle of a call whose id changes."""
    arguments = body.get("arguments")
    return not isinstance(arguments, str) or not arguments.strip() or arguments.lstrip().startswith("{")
