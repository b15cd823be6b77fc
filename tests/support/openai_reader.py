"""OpenAI's own SDK as the reader of our bytes, without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

__all__ = ["client_of", "created", "events_of", "streamed", "valid_event", "valid_response"]

_events: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@contextmanager
def client_of(
    body: bytes, *, status: int = 200, content_type: str = "text/event-stream"
) -> Iterator[openai.OpenAI]:
    """Yield a client that gets `body` as the answer to whatever it asks."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    transport = httpx2.MockTransport(answer)
    with (
        httpx2.Client(transport=transport) as http,
        openai.OpenAI(
            base_url="http://gateway.test/v1", api_key="any", max_retries=0, http_client=http
        ) as client,
    ):
        yield client


def streamed(body: bytes, **asked: Any) -> Response:
    """Return what the SDK's stream helper makes of a stream."""
    with client_of(body) as client, client.responses.stream(model="m", input="hi", **asked) as stream:
        return stream.get_final_response()


def events_of(body: bytes) -> list[Any]:
    """Return the events that the SDK's plain iteration gives."""
    with client_of(body) as client:
        return list(client.responses.create(model="m", input="hi", stream=True))


def created(body: bytes) -> Response:
    """Return what the SDK makes of a plain answer."""
    with client_of(body, content_type="application/json") as client:
        return client.responses.create(model="m", input="hi")


def valid_event(payload: dict[str, Any]) -> Any:
    """Return the event as the SDK's types describe it; raises where it is of another form."""
    return _events.validate_python(payload)


def valid_response(payload: dict[str, Any]) -> Response:
    """Return the Response object as the SDK's types describe it; raises where it is of another form."""
    return Response.model_validate(payload)
