"""What can go wrong below HTTP, in the words that callers and the log see (RFC 9209 §2.3)."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from pi_model_proxy.errors import BrokenStream, UpstreamTimeout, UpstreamUnreachable

__all__ = [
    "Unanswered",
    "bad_proxy",
    "bad_trust_store",
    "bad_url",
    "broken",
    "closed",
    "no_connection",
    "not_http",
    "not_unwrapped",
    "proxy_refused",
    "too_slow_to_answer",
    "too_slow_to_connect",
    "unsendable",
]

INCOMPLETE: Final = "http_response_incomplete"
BAD_FRAMING: Final = "http_response_transfer_coding"


class Unanswered(UpstreamUnreachable):
    """The connection closed before one byte of an answer; on a reused connection worth another try."""

    proxy_error = "connection_terminated"


def no_connection(error: OSError, *, host: str, by_proxy: bool) -> UpstreamUnreachable:
    """Name the failure to connect to `host`, or to the proxy on the way to it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"The provider's TLS certificate ({host}) is not trusted; set caFile or SSL_CERT_FILE if it is your own."
        return UpstreamUnreachable(text, proxy_error="tls_certificate_error")
    if isinstance(error, ssl.SSLError):
        text = f"TLS with the provider ({host}) failed; is its base URL really https?"
        return UpstreamUnreachable(text, proxy_error="tls_protocol_error")
    if by_proxy:
        return UpstreamUnreachable("The configured HTTP proxy could not be reached.")
    if isinstance(error, socket.gaierror):
        text = f"The provider's host name ({host}) could not be resolved."
        return UpstreamUnreachable(text, proxy_error="dns_error")
    if isinstance(error, ConnectionRefusedError):
        text = f"The provider ({host}) refused the connection."
        return UpstreamUnreachable(text, proxy_error="connection_refused")
    return UpstreamUnreachable(
        f"The provider ({host}) could not be reached; check the network and its base URL.",
        proxy_error="destination_unavailable",
    )


def proxy_refused() -> UpstreamUnreachable:
    """Name a proxy's refusal to connect us."""
    return UpstreamUnreachable(
        "The configured HTTP proxy refused the connection.", proxy_error="proxy_internal_response"
    )


def bad_proxy() -> UpstreamUnreachable:
    """Name a proxy variable that cannot be used; its value may hold a password."""
    return UpstreamUnreachable(
        "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY holds no http:// or https:// address.",
        proxy_error="proxy_configuration_error",
    )


def bad_trust_store() -> UpstreamUnreachable:
    """Name a `caFile` that cannot be used."""
    return UpstreamUnreachable(
        "caFile could not be read, or holds no PEM certificates.", proxy_error="proxy_configuration_error"
    )


def bad_url() -> UpstreamUnreachable:
    """Name a URL that is none."""
    return UpstreamUnreachable(
        "The provider's base URL is not a valid address; see models.json.",
        proxy_error="proxy_configuration_error",
    )


def unsendable(name: str) -> UpstreamUnreachable:
    """Name a header that would break out of its line, or is no header name; never its value."""
    shown = "".join(char if char.isalnum() or char in "-_" else "?" for char in name[:60])
    return UpstreamUnreachable(
        f"The header {shown!r} cannot be sent: its name or value holds a character that HTTP forbids; see `headers` in models.json.",
        proxy_error="proxy_configuration_error",
    )


def closed(*, began: bool = False) -> UpstreamUnreachable:
    """Name a connection closed before an answer, or, when one byte of it had come, within its headers."""
    text = "The provider closed the connection without an answer."
    return UpstreamUnreachable(text, proxy_error="connection_terminated") if began else Unanswered(text)


def not_http() -> UpstreamUnreachable:
    """Name an answer that cannot be read before its headers are complete."""
    return UpstreamUnreachable(
        "The provider's answer is not HTTP, or its headers are too long.", proxy_error="http_protocol_error"
    )


def not_unwrapped() -> UpstreamUnreachable:
    """Name a transfer coding that nobody asked for."""
    return UpstreamUnreachable(
        "The provider's answer has a transfer coding that was not asked for; it cannot be read.",
        proxy_error=BAD_FRAMING,
    )


def broken(proxy_error: str) -> BrokenStream:
    """Name an answer that was cut after its headers."""
    return BrokenStream(
        "The provider's connection broke before its answer was complete; try again.", proxy_error=proxy_error
    )


def too_slow_to_connect(connect_s: float) -> UpstreamTimeout:
    """Name a connection that did not come about in time."""
    return UpstreamTimeout(
        f"No connection to the provider within {connect_s:g} s (connectTimeoutMs).",
        proxy_error="connection_timeout",
    )


def too_slow_to_answer(headers_s: float) -> UpstreamTimeout:
    """Name headers that did not come in time."""
    return UpstreamTimeout(
        f"The provider did not answer within {headers_s:g} s (requestTimeoutMs).",
        proxy_error="http_response_timeout",
    )
