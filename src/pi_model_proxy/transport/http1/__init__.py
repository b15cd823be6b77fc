"""Our HTTP/1.1 client: asyncio protocols around llhttp, a pool, CONNECT proxies, TLS.

Why it is our own: docs/decisions/0001-own-http-client.md.
"""

from pi_model_proxy.transport.http1.client import Http1Transport

__all__ = ["Http1Transport"]
