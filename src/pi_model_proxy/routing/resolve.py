"""From the name a caller writes to one model: exact, alias, bare id, thinking suffix. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from pi_model_proxy.catalog import find_near
from pi_model_proxy.errors import BadRequest, UnknownModel

__all__ = ["LEVELS", "Choice", "Directory", "Named"]

LEVELS: Final = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
"""pi's thinking levels, weakest first (pi.md §6.1)."""
_LISTED_NAMES: Final = 5


class Named(Protocol):
    """What a directory lists."""

    @property
    def ref(self) -> str:
        """`provider/id`."""
        ...

    @property
    def bare(self) -> str:
        """The id alone."""
        ...

    @property
    def usable(self) -> bool:
        """Whether it can be served right now."""
        ...

    @property
    def yields(self) -> bool:
        """Whether its bare id means another entry, if another has the same."""
        ...


N = TypeVar("N", bound=Named)


class Choice(msgspec.Struct, Generic[N], frozen=True):
    """The model meant, and the thinking level its name asked for."""

    entry: N
    level: str | None = None


class Directory(Generic[N]):
    """Finds models by name; built once for each snapshot."""

    def __init__(self, entries: Iterable[N]) -> None:
        self._by_ref: dict[str, N] = {}
        self._by_bare: dict[str, list[N]] = {}
        for entry in entries:
            self._by_ref.setdefault(entry.ref, entry)
            self._by_bare.setdefault(entry.bare, []).append(entry)

    def resolve(self, asked: str | None, *, aliases: Mapping[str, str], default: str | None) -> Choice[N]:
        """Return the model that `asked` means.

        Raises:
            BadRequest: no model was named and there is no default, or the name means several.
            UnknownModel: nothing has that name; near names are suggested.
        """
        name = asked or default
        if not name:
            raise BadRequest(
                "model: missing; name one of GET /v1/models, or set defaultModel in ~/.pi/model-proxy.json.",
                param="model",
            )
        return self._find(aliases.get(name, name), asked=name, names=aliases)

    def find(self, ref: str) -> N | None:
        """Return the entry of this exact `provider/id`."""
        return self._by_ref.get(ref)

    def _find(self, name: str, *, asked: str, names: Iterable[str]) -> Choice[N]:
        if (entry := self._exact(name)) is not None:
            return Choice(entry)
        stem, colon, level = name.rpartition(":")
        if colon and level in LEVELS and (entry := self._exact(stem)) is not None:
            return Choice(entry, level)
        raise UnknownModel(self._unknown(asked, names), param="model")

    def _exact(self, name: str) -> N | None:
        if (entry := self._by_ref.get(name)) is not None and (entry.usable or name not in self._by_bare):
            return entry
        candidates = self._by_bare.get(name, [])
        usable = [candidate for candidate in candidates if candidate.usable]
        usable = [candidate for candidate in usable if not candidate.yields] or usable
        if len(usable) > 1:
            several = ", ".join(sorted(candidate.ref for candidate in usable)[:_LISTED_NAMES])
            raise BadRequest(
                f"model: {name!r} is the id of several models; name one in full: {several}.", param="model"
            )
        if usable:
            return usable[0]
        return entry if entry is not None else (candidates[0] if candidates else None)

    def _unknown(self, asked: str, names: Iterable[str]) -> str:
        shown = asked if len(asked) <= 200 else asked[:200] + "…"  # noqa: PLR2004 - enough to recognise a name by
        near = find_near([*(e.ref for e in self._by_ref.values() if e.usable), *names], asked)
        hint = f" Did you mean {', '.join(near)}?" if near else " GET /v1/models lists what can be used."
        return f"model: there is no model {shown!r}.{hint}"
