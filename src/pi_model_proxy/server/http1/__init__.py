"""Our HTTP/1.1 server: asyncio protocols, llhttp as parser, a task per request; see docs/decisions/0002.

Not spoken: HTTP/2, TLS, upgrades (ignored), trailers (read and forgotten), compression, `Date` and `Server` headers.
"""

from pi_model_proxy.server.http1.connection import Handler, Limits
from pi_model_proxy.server.http1.server import Http1Server

__all__ = ["Handler", "Http1Server", "Limits"]
