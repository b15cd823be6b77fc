"""What the door makes of a head: who asks, where to, and whether it may. Kept with the head, for the next equal one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pi_model_proxy.config import Settings
from pi_model_proxy.errors import BadRequest, MethodNotAllowed, NotFound
from pi_model_proxy.server.door import (
    OPEN_PATHS,
    allowed_origin,
    check_host,
    check_origin,
    check_type,
    require_key,
    with_google_key,
)
from pi_model_proxy.server.line import Head
from pi_model_proxy.wire import SharedHeaders

if TYPE_CHECKING:
    from pi_model_proxy.server.routes import Handler, Route

__all__ = ["EXPOSED_HEADERS", "Admission"]

STRICT_HEADER: Final = "x-pi-model-proxy-strict"
EXPOSED_HEADERS: Final = (
    "x-request-id, request-id, retry-after, x-should-retry, x-pi-model-proxy-dropped, x-pi-model-proxy-error, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens"
)
_PROBES: Final = frozenset({"/health", "/livez", "/readyz", "/"})
MAX_COMPLETED: Final = 16
_SANE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_PRODUCT: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,60}(?:/[A-Za-z0-9!#$%&'*+.^_`|~-]{1,30})?")
_NO_CORS: Final[Mapping[str, str]] = {"vary": "origin"}


class Admission:
    """Depends on nothing but the head and the settings, and holds as long as those settings are in force.

    Everything is decided once and in order: host → origin → OPTIONS → key → route → method, and later the type.
    """

    __slots__ = (
        "_has_type", "client", "completed", "cors", "given_id", "handler", "is_quiet", "is_strict", "path", "route", "settings",
    )  # fmt: skip

    def __init__(self, head: Head, settings: Settings, route: Route | None) -> None:
        headers = head.headers
        given = headers.get("x-request-id", "")
        self._has_type = False
        self.settings = settings
        self.route = route
        self.given_id = given if _SANE_ID.fullmatch(given) else ""
        """The caller's own request id, when it can be one."""
        self.client = _client(headers)
        """The caller's product, such as `curl/8.5`; empty when it does not say."""
        self.path = head.path[:300]
        self.is_quiet = self.path in _PROBES or head.method == "OPTIONS"
        """What goes well is not logged: probes would fill the log with themselves."""
        self.is_strict = settings.strict or headers.get(STRICT_HEADER, "") in {"1", "true"}
        self.cors = _cors(headers.get("origin"), settings.allowed_origins)
        """Headers of every answer: what a page may read."""
        self.completed: dict[int, tuple[SharedHeaders, SharedHeaders]] = {}
        """Headers that many answers share, by their identity, and the same with `cors`."""
        self.handler: Handler | None = None
        """Set once the head has been let in; never for OPTIONS, which needs none."""

    def decide(self, head: Head, key: str | None) -> None:
        """Let the head in that this is the admission of.

        Raises:
            CallerError: it may not come in, or there is nothing where it wants to go.
        """
        settings = self.settings
        check_host(head.headers.get("host"), settings.allowed_hosts)
        if "origin" in head.headers or "sec-fetch-site" in head.headers:
            check_origin(head.headers, settings.allowed_origins)
        if head.method == "OPTIONS":
            return
        if not (head.path in OPEN_PATHS and head.method in {"GET", "HEAD"}):
            headers = head.headers
            if self.route is not None and self.route.key_in_url:
                headers = with_google_key(headers, head.query)
            elif self.route is not None and self.route.takes_google_header:
                headers = with_google_key(headers, "")
            require_key(headers, key)
        if self.route is None:
            raise NotFound(
                f"There is no endpoint {head.path[:100]!r}; see docs/endpoints.md or GET /v1/models."
            )
        handler = self.route.methods.get("GET" if head.method == "HEAD" else head.method)
        if handler is None:
            allow = ", ".join(sorted({*self.route.methods, "OPTIONS"}))
            raise MethodNotAllowed(
                f"{head.method[:20]} is not for this endpoint; use {allow}.", headers={"allow": allow}
            )
        self.handler = handler

    def complete(self, headers: SharedHeaders) -> tuple[SharedHeaders, SharedHeaders]:
        """Return `headers` and what they are together with `cors`, and remember it."""
        if len(self.completed) >= MAX_COMPLETED:
            self.completed.clear()
        pair = self.completed[id(headers)] = headers, SharedHeaders({**headers, **self.cors})
        return pair

    def require_json(self, headers: Mapping[str, str]) -> None:
        """Let in a body of the right type, by the headers of the head that this is the admission of.

        Raises:
            UnsupportedMedia: it is not JSON, nor a form where the endpoint takes one.
            BadRequest: the caller would rather speak another protocol.
        """
        if self._has_type:
            return
        if "upgrade" in headers and "upgrade" in headers.get("connection", "").lower():
            raise BadRequest(
                "Upgrade: only HTTP/1.1 is spoken here; send the request without it "
                "(Java's HttpClient: version(HTTP_1_1))."
            )
        check_type(headers.get("content-type"), or_form=self.route is not None and self.route.takes_forms)
        self._has_type = True


def _client(headers: Mapping[str, str]) -> str:
    named = headers.get("x-pi-model-proxy-client") or headers.get("user-agent", "")
    match = _PRODUCT.match(named.strip())
    return match[0] if match else ""


def _cors(origin: str | None, allowed: tuple[str, ...]) -> Mapping[str, str]:
    if origin is None or not allowed_origin(origin, allowed):
        return _NO_CORS
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED_HEADERS,
        "vary": "origin",
    }
