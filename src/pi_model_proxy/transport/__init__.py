"""Bytes to and from upstreams; the only room below the server that knows HTTP."""

from pi_model_proxy.transport.upstream import Deadlines, UpstreamRequest, UpstreamResponse, UpstreamTransport

__all__ = ["Deadlines", "UpstreamRequest", "UpstreamResponse", "UpstreamTransport"]
