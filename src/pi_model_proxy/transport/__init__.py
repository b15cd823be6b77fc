"""Bytes to and from upstreams; the only room below the server that knows HTTP."""

from pi_model_proxy.transport.timers import Deadline, Timers, timers_of
from pi_model_proxy.transport.upstream import (
    AnswerHeaders,
    Deadlines,
    UpstreamHead,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTransport,
)

__all__ = [
    "AnswerHeaders",
    "Deadline",
    "Deadlines",
    "Timers",
    "UpstreamHead",
    "UpstreamRequest",
    "UpstreamResponse",
    "UpstreamTransport",
    "timers_of",
]
