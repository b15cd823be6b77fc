"""Kinds of setting values: each reads JSON, reads text, describes itself; pure but for `Path`.

A kind has two readers. `from_text` turns what stands in a flag or variable into the JSON that a
file would hold; `read` checks that JSON and returns the Python value. So every rule about a value
exists once, wherever the value came from.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from pi_model_proxy.config.secret import MASK, Secret
from pi_model_proxy.wire.lenient_json import PathStep

__all__ = [
    "Aliases",
    "Choice",
    "FilePath",
    "Kind",
    "Refused",
    "SecretText",
    "Subscriptions",
    "Text",
    "TextList",
    "WholeNumber",
    "YesNo",
    "bind_host",
    "describe",
    "host_name",
    "is_loopback_host",
    "model_name",
    "origin",
    "show",
]

LONGEST_QUOTE: Final = 40
"""Characters of a wrong value that a message repeats."""

JsonSchema = dict[str, Any]


class Refused(ValueError):
    """A value is not what the setting takes."""

    def __init__(self, what: str, *, path: tuple[PathStep, ...] = (), fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        """A clause that follows the setting's name: `must be true or false, not 3`."""
        self.path = path
        """Where inside the setting's value; empty when it is the whole value."""
        self.fix = fix


class Kind(Protocol):
    """What a setting's value may be."""

    @property
    def metavar(self) -> str:
        """What stands for the value in help texts."""
        ...

    @property
    def accepts(self) -> str:
        """What is accepted, as a noun phrase: `a whole number from 0 to 100`."""
        ...

    def read(self, value: object) -> object:
        """Return the Python value of a JSON value.

        Raises:
            Refused: it is not what `accepts` says.
        """
        ...

    def from_text(self, text: str) -> object:
        """Return the JSON value that `text` writes; text that writes none is returned for `read` to refuse.

        Raises:
            Refused: `text` has no structure that could be a value.
        """
        ...

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of the value."""
        ...


def describe(value: object) -> str:
    """Return a wrong value in a few words; long text is cut."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str) and len(value) > LONGEST_QUOTE:
        value = value[: LONGEST_QUOTE - 1] + "…"
    return json.dumps(value, ensure_ascii=False)


def show(value: object) -> object:
    """Return a setting's Python value as JSON that may be printed."""
    match value:
        case Secret():
            return MASK
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case _:
            return value


class WholeNumber(msgspec.Struct, frozen=True, kw_only=True):
    """A whole number within limits, both included."""

    minimum: int
    maximum: int
    metavar: str = "N"
    unit: str = ""

    @property
    def accepts(self) -> str:
        unit = f" of {self.unit}" if self.unit else ""
        return f"a whole number{unit} from {self.minimum} to {self.maximum}"

    def read(self, value: object) -> int:
        # JSON Schema's "integer" admits 1.0 too; True is an int only in Python.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.minimum <= value <= self.maximum:
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        return value

    def from_text(self, text: str) -> int | str:
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()) else text

    def schema(self) -> JsonSchema:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


class YesNo(msgspec.Struct, frozen=True):
    """True or false."""

    metavar: str = "BOOL"
    accepts: str = "true or false"

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        return value

    def from_text(self, text: str) -> bool | str:
        return _WORDS_FOR_TRUTH.get(text.strip().lower(), text)

    def schema(self) -> JsonSchema:
        return {"type": "boolean"}


_WORDS_FOR_TRUTH: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


class Choice(msgspec.Struct, frozen=True):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def metavar(self) -> str:
        return "{" + ",".join(self.words) + "}"

    @property
    def accepts(self) -> str:
        return " or ".join(
            filter(None, (", ".join(f'"{word}"' for word in self.words[:-1]), f'"{self.words[-1]}"'))
        )

    def read(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        return value

    def from_text(self, text: str) -> str:
        return text.strip().lower()

    def schema(self) -> JsonSchema:
        return {"enum": list(self.words)}


def _as_it_is(text: str) -> str:
    return text


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text of one line that is not empty; `normalise` may tidy or refuse it further."""

    metavar: str = "TEXT"
    accepts: str = "a text"
    normalise: Callable[[str], str] = _as_it_is

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not value.strip() or not value.strip().isprintable():
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        return self.normalise(value.strip())

    def from_text(self, text: str) -> str:
        return text

    def schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1}


class SecretText(msgspec.Struct, frozen=True):
    """A key; never quoted in a message."""

    metavar: str = "KEY"
    accepts: str = "a text of visible ASCII characters"

    def read(self, value: object) -> Secret:
        if not isinstance(value, str):
            raise Refused(f"must be {self.accepts}, not another type")
        if not value.strip():
            raise Refused("is empty, so it would protect nothing", fix="give a key, or leave the setting out")
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            # Such a key could never arrive: a header value cannot carry it unchanged (RFC 9110 §5.5).
            raise Refused(f"must be {self.accepts}, without blanks around it")
        return Secret(value)

    def from_text(self, text: str) -> str:
        return text

    def schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1}


class TextList(msgspec.Struct, frozen=True, kw_only=True):
    """A list of texts; with commas between them in flags and variables."""

    item: Text
    accepts: str
    metavar: str = "LIST"

    def read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        return tuple(dict.fromkeys(_read_part(self.item, part, step) for step, part in enumerate(value)))

    def from_text(self, text: str) -> list[str]:
        return [part.strip() for part in text.split(",") if part.strip()]

    def schema(self) -> JsonSchema:
        return {"type": "array", "items": self.item.schema()}


class Subscriptions(msgspec.Struct, frozen=True, kw_only=True):
    """All, none, or the named ones."""

    item: Text
    metavar: str = "true|false|NAMES"
    accepts: str = "true, false or a list of provider names"

    def read(self, value: object) -> bool | tuple[str, ...]:
        if isinstance(value, bool):
            return value
        if not isinstance(value, list):
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        return tuple(dict.fromkeys(_read_part(self.item, part, step) for step, part in enumerate(value)))

    def from_text(self, text: str) -> bool | list[str]:
        known = _WORDS_FOR_TRUTH.get(text.strip().lower())
        return [part.strip() for part in text.split(",") if part.strip()] if known is None else known

    def schema(self) -> JsonSchema:
        return {"anyOf": [{"type": "boolean"}, {"type": "array", "items": self.item.schema()}]}


class Aliases(msgspec.Struct, frozen=True, kw_only=True):
    """Names of one's own for models: an object in the file, `name=target,…` as text."""

    target: Text
    metavar: str = "NAME=MODEL,…"
    accepts: str = "an object of names and the models they stand for"

    def read(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        if any(not name.strip() or name != name.strip() for name in value):
            raise Refused("has a name that is empty or has blanks around it")
        return {name: _read_part(self.target, target, name) for name, target in value.items()}

    def from_text(self, text: str) -> dict[str, str]:
        aliases: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, target = (word.strip() for word in part.partition("="))
            if not equals or not name:
                raise Refused(f"must be written name=provider/model-id, not {describe(part)}")
            if name in aliases:
                raise Refused(f"names {describe(name)} twice")
            aliases[name] = target
        return aliases

    def schema(self) -> JsonSchema:
        target = {**self.target.schema(), "pattern": "^[^/]+/.+$"}
        return {"type": "object", "additionalProperties": target}


class FilePath(msgspec.Struct, frozen=True):
    """A file or folder; `~` is expanded by whoever knows the home folder."""

    metavar: str = "FILE"
    accepts: str = "a path"

    def read(self, value: object) -> Path:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise Refused(f"must be {self.accepts}, not {describe(value)}")
        if value.startswith("~") and not value.startswith("~/") and value != "~":
            raise Refused(f"is {describe(value)}: only ~ itself is expanded", fix="write the folder in full")
        return Path(value)

    def from_text(self, text: str) -> str:
        return text

    def schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1}


def _read_part(kind: Text, value: object, step: PathStep) -> str:
    try:
        return kind.read(value)
    except Refused as error:
        raise Refused(error.what, path=(step, *error.path), fix=error.fix) from error


def is_loopback_host(host: str) -> bool:
    """Whether an address or name, without port or brackets, means this machine to every caller."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?")
_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+?)(:[0-9]{1,5})?/?")
_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}


def bind_host(text: str) -> str:
    """Return an address or name to listen on, without brackets.

    Raises:
        Refused: it has a port or a scheme, or is no name at all.
    """
    return _host(text, fix="write the port into `port`")


def host_name(text: str) -> str:
    """Return a name as it stands in `Host`: lower case, without a final dot, IPv6 in brackets (RFC 9110 §7.2).

    Raises:
        Refused: it has a port or a scheme, or is a pattern.
    """
    bare = _host(text, fix="write the name alone; it counts with every port").rstrip(".")
    return f"[{bare}]" if ":" in bare else bare


def _host(text: str, *, fix: str) -> str:
    bare = text.lower().removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if _NAME.fullmatch(bare) and not bare.replace(".", "").isdigit():
            return bare
    raise Refused(
        f"must be a host name or an IP address, not {describe(text)}", fix=fix if ":" in text else ""
    )


def origin(text: str) -> str:
    """Return a web origin as browsers send it: lower case, no usual port, no final slash; or `*`.

    Source: RFC 6454 §6.2.

    Raises:
        Refused: it has a path, or is `null`, which every sandboxed page sends.
    """
    if text == "*":
        return text
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise Refused(f"must be an origin like https://app.example, or *, not {describe(text)}")
    scheme, host, port = match.groups()
    return f"{scheme}://{host}{'' if port in {None, _USUAL_PORTS.get(scheme)} else port}"


def model_name(text: str) -> str:
    """Return a model's full name.

    Raises:
        Refused: it has no provider.
    """
    provider, slash, model = text.partition("/")
    if not (provider and slash and model):
        raise Refused(
            f"must be written provider/model-id, not {describe(text)}",
            fix="`pi-model-proxy models` lists the names",
        )
    return text
