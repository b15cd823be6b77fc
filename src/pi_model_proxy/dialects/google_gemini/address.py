"""Model and method, which this format keeps in the URL: read from a caller's, written for an upstream's.

Sources: dialects.md §1.1 GM, §8 (ids with slashes and colons: the method stands after the *last*
colon); @google/genai 3.1 (`tModel`, `constructUrl`); pi 1.5.2 `dist/api/google-vertex.js`.
"""

from __future__ import annotations

import functools
import re
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs, quote

import msgspec

from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import Target

__all__ = ["COUNT", "GENERATE", "STREAM", "VERTEX_KIND", "Address", "Form", "read_address", "request_path"]

GENERATE: Final = "generateContent"
STREAM: Final = "streamGenerateContent"
COUNT: Final = "countTokens"
VERTEX_KIND: Final = "google-vertex"

Form: TypeAlias = Literal["plain", "sse", "array", "count"]
"""How the answer is framed: one object, events, a JSON array that grows, or a count."""

_VERSION: Final = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?/")
_MODELS: Final = re.compile(
    r"(?:(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/(?P<publisher>[^/]+)/)?models/)?(?P<name>(?!models/$).+)"
)
"""@ai-sdk/google 3.0 leaves `models/` out where the model's id has a slash."""
_MAX_FIELDS: Final = 50
"""More than a method's query has."""
_MAX_VERSIONS: Final = 2
"""`/v1/v1beta/...`: a client with the version in its base URL adds its own."""
_OWN_PUBLISHER: Final = "google"
_SAFE: Final = "/:@!$'()*+,;=-._~"
"""What may stand in a path as it is; the rest, `?`, `#` and `%` before all, is escaped."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller's URL asks for."""

    model: str
    """As the caller named it, without `models/`; slashes and colons are part of it."""
    form: Form


def read_address(path: str, query: str = "") -> Address | None:
    """Return what a path (decoded once) and its query ask for; None when it is no method of ours.

    Takes the Gemini API's paths (`/v1beta/models/{model}:generateContent`, any version or none) and
    Vertex AI's (`/v1/projects/p/locations/l/publishers/google/models/{model}:...`).

    Raises:
        BadRequest: the query has far too many fields.
    """
    rest = path.removeprefix("/")
    for _ in range(_MAX_VERSIONS):
        version = _VERSION.match(rest)
        rest = rest[version.end() :] if version else rest
    place, colon, method = rest.rpartition(":")
    found = _MODELS.fullmatch(place) if colon else None
    form = _form(method, query)
    if found is None or form is None:
        return None
    publisher = found["publisher"]
    name = found["name"]
    return Address(
        model=name if publisher in {None, _OWN_PUBLISHER} else f"{publisher}/{name}",
        form=form,
    )


def _form(method: str, query: str) -> Form | None:
    if method == STREAM:
        asked = _asked(query) if query else {}
        return "sse" if "sse" in asked.get("alt", asked.get("$alt", ())) else "array"
    return {GENERATE: "plain", COUNT: "count"}.get(method)  # type: ignore[return-value] # dict.get widens the literals


def _asked(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(query, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise BadRequest(f"The URL's query has more than {_MAX_FIELDS} fields; leave some out.") from error


def request_path(target: Target, method: str) -> str:
    """Return the path and query, below the base URL, of a request to `target`."""
    return _path(target.kind, target.model, method)


@functools.lru_cache(maxsize=1024)
def _path(kind: str, model: str, method: str) -> str:
    place = _vertex_place(model) if kind == VERTEX_KIND else _place(model)
    query = "?alt=sse" if method == STREAM else ""
    return f"/{quote(place, safe=_SAFE)}:{method}{query}"


def _place(model: str) -> str:
    return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"


def _vertex_place(model: str) -> str:
    if model.startswith(("publishers/", "projects/", "models/")):
        return model
    publisher, slash, name = model.partition("/")
    return f"publishers/{publisher}/models/{name}" if slash else f"publishers/{_OWN_PUBLISHER}/models/{model}"
