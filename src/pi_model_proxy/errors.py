"""Every error the gateway raises on purpose.

    GatewayError
    ├─ CallerError                the caller's fault; never retried by us
    │  ├─ BadRequest        400   wrong JSON, wrong type, missing field
    │  ├─ UnsupportedFeature 400  the chosen target cannot do what was asked (strict, or essential)
    │  ├─ NotAuthenticated  401   no key, or a wrong one, for this gateway
    │  ├─ Forbidden         403   Host, Origin or Sec-Fetch-Site not allowed
    │  ├─ NotFound          404   no such path
    │  ├─ UnknownModel      404   no such model; suggests near names
    │  ├─ ThreadNotFound    404   a conversation that only a vendor's server holds; SDKs send all of it again
    │  ├─ ResponseNotFound  404   no such response, conversation or item is kept here
    │  ├─ MethodNotAllowed  405
    │  ├─ BodyTimeout       408   the body did not arrive in time
    │  ├─ BodyTooLarge      413
    │  ├─ UnsupportedMedia  415   not application/json
    │  ├─ TooManyRequests   429   this gateway's own rate limit
    │  ├─ KindNotServed     501   the model's API kind has no client half yet
    │  └─ LoopDetected      508   the request has been through this instance before
    ├─ NotReady             503   the catalogue is still being read
    ├─ StorageFailed        500   the database cannot be used; answers are given all the same
    ├─ CredentialError      502   a login or key of pi's cannot be used; says how to mend it
    └─ UpstreamError        4xx/5xx  a provider said no; carries its status, words and codes
       ├─ UpstreamUnreachable 502 no answer: refused, DNS, TLS, reset before the headers
       ├─ UpstreamTimeout   504   silence longer than the limit that is named
       └─ BrokenStream      502   the provider broke its own wire format, or stopped half-way

Each error knows its HTTP status, its `kind` (what a dialect's table translates into its own
words), whether a retry makes sense, and the RFC 9209 name for log and header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

__all__ = [
    "BadRequest",
    "BodyTimeout",
    "BodyTooLarge",
    "BrokenStream",
    "CallerError",
    "CredentialError",
    "Forbidden",
    "GatewayError",
    "KindNotServed",
    "LoopDetected",
    "MethodNotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotReady",
    "ResponseNotFound",
    "StorageFailed",
    "ThreadNotFound",
    "TooManyRequests",
    "UnknownModel",
    "UnsupportedFeature",
    "UnsupportedMedia",
    "UpstreamError",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]

NO_HEADERS: Final[Mapping[str, str]] = {}


class GatewayError(Exception):
    """The root: something the gateway answers with an error in the caller's dialect."""

    status: int = 500
    """HTTP status before the dialect has its say (a dialect may map 529 to 503)."""
    kind: str = "internal"
    """What went wrong, in the words every dialect's table knows (see `KINDS`)."""
    proxy_error: str = "proxy_internal_error"
    """RFC 9209 §2.3 name, for the log and the `x-pi-model-proxy-error` header."""
    code: str | None = None
    """The dialect's own code for it, where clients act upon one."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(message)
        self.message = message
        """What happened and what to do, fit for a user's eyes: no key, no prompt text."""
        self.param = param
        """JSON path of the field at fault in the caller's own request, e.g. `messages[3].content`."""
        self.retry_after_s = retry_after_s
        """Seconds after which a retry may succeed; None when unknown."""
        self.headers = headers
        """Extra response headers (names in lower case), e.g. `allow` on a 405."""


KINDS: Final = frozenset({
    "bad_request", "unsupported", "context_too_long", "too_large", "not_authenticated", "forbidden",
    "not_found", "unknown_model", "method_not_allowed", "body_timeout", "unsupported_media", "rate_limit", "billing",
    "upstream_auth", "overloaded", "timeout", "upstream", "not_served", "not_ready", "loop", "internal",
})  # fmt: skip
"""Every value `GatewayError.kind` may have; each dialect's error table covers them all."""


class CallerError(GatewayError):
    """The caller's fault."""

    status = 400
    kind = "bad_request"
    proxy_error = "http_request_error"


class BadRequest(CallerError):
    """The request is not what the dialect's specification allows."""


class UnsupportedFeature(CallerError):
    """The target cannot say what was asked, and dropping it would change the answer."""

    kind = "unsupported"


class NotAuthenticated(CallerError):
    """The gateway's own key is missing or wrong."""

    status = 401
    kind = "not_authenticated"
    proxy_error = "http_request_denied"


class Forbidden(CallerError):
    """The request may come from a web page or a name that is not allowed."""

    status = 403
    kind = "forbidden"
    proxy_error = "http_request_denied"


class NotFound(CallerError):
    """No endpoint has this path."""

    status = 404
    kind = "not_found"


class UnknownModel(CallerError):
    """No model has this name."""

    status = 404
    kind = "unknown_model"


class ThreadNotFound(UnsupportedFeature):
    """The request continues a conversation that only a vendor's server holds.

    The code is Anthropic's: its SDKs and pi answer it by sending the whole conversation (anthropic-python
    2.12.0, `lib/threads/_thread_state.py`).
    """

    status = 404
    kind = "not_found"
    code = "thread_not_found"


class ResponseNotFound(CallerError):
    """No response, conversation or item of that id is kept here (any more)."""

    status = 404
    kind = "not_found"


class MethodNotAllowed(CallerError):
    """The endpoint exists but not for this method."""

    status = 405
    kind = "method_not_allowed"


class BodyTimeout(CallerError):
    """The request body stopped arriving."""

    status = 408
    kind = "body_timeout"


class BodyTooLarge(CallerError):
    """The request body is larger than `maxBodyBytes`."""

    status = 413
    kind = "too_large"


class UnsupportedMedia(CallerError):
    """The content type is not JSON (a plain form post from a web page, say)."""

    status = 415
    kind = "unsupported_media"


class TooManyRequests(CallerError):
    """The gateway's own rate limit is used up."""

    status = 429
    kind = "rate_limit"
    proxy_error = "connection_limit_reached"


class KindNotServed(CallerError):
    """The model exists but its API kind has no client half in this version."""

    status = 501
    kind = "not_served"


class LoopDetected(CallerError):
    """The request has already passed through this instance."""

    status = 508
    kind = "loop"
    proxy_error = "proxy_loop_detected"


class NotReady(GatewayError):
    """The catalogue is still being read."""

    status = 503
    kind = "not_ready"
    proxy_error = "proxy_configuration_error"


class StorageFailed(GatewayError):
    """The database cannot be read or written."""

    proxy_error = "proxy_internal_error"


class CredentialError(GatewayError):
    """A credential of pi's cannot be used: expired and not refreshable, unresolved, refused."""

    status = 502
    kind = "upstream_auth"
    proxy_error = "proxy_configuration_error"


class UpstreamError(GatewayError):
    """A provider answered with an error."""

    status = 502
    kind = "upstream"
    proxy_error = "http_protocol_error"
    before_headers: ClassVar[bool] = False
    """True when nothing of an answer had arrived, so that a retry cannot double anything."""

    def __init__(  # noqa: PLR0913 - one argument a fact, all by name
        self,
        message: str,
        *,
        status: int | None = None,
        kind: str | None = None,
        family: str = "",
        native_type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
        proxy_error: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s, headers=headers)
        if status is not None:
            self.status = status
        if kind is not None:
            self.kind = kind
        if proxy_error is not None:
            self.proxy_error = proxy_error
        self.family = family
        """Whose words `native_type` and `code` are: `openai`, `anthropic`, or empty when unknown."""
        self.native_type = native_type
        self.code = code
        self.should_retry = should_retry
        """What to tell the SDK in `x-should-retry`; None leaves the choice to it."""


class UpstreamUnreachable(UpstreamError):
    """No answer came: refused, no such host, TLS failure, reset before the headers."""

    proxy_error = "destination_unavailable"
    before_headers = True


class UpstreamTimeout(UpstreamError):
    """The provider was silent for longer than the limit the message names."""

    status = 504
    kind = "timeout"
    proxy_error = "http_response_timeout"


class BrokenStream(UpstreamError):
    """The provider broke its own wire format, or stopped before its answer was complete."""

    proxy_error = "http_response_incomplete"
