"""What goes wrong behind the gateway, as the SDKs' own exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import anthropic
import openai
import pytest

from integration.materials import KINDS, Kind, serving
from support.agent_dir import STUB_KEY
from support.gateway_process import GatewayProcess
from support.strict_provider import FAULTS, StrictProvider, http_error, say

pytestmark = pytest.mark.clients

every_kind = pytest.mark.parametrize("kind", KINDS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
both_callers = pytest.mark.parametrize("caller", ["openai", "anthropic"])

GATEWAY_KEY: Final = "gateway-key-0123456789"
TEXT: Final = "All of this arrives, or an exception says that it did not."
HELLO: Any = [{"role": "user", "content": "Hello."}]

Ask = Callable[[str, bool], str]
"""Asks a model and returns the whole text."""


def by_openai(client: openai.OpenAI) -> Ask:
    def ask(model: str, stream: bool) -> str:
        if not stream:
            answer = client.chat.completions.create(model=model, messages=HELLO)
            return answer.choices[0].message.content or ""
        with client.chat.completions.create(model=model, messages=HELLO, stream=True) as chunks:
            return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    return ask


def by_anthropic(client: anthropic.Anthropic) -> Ask:
    def ask(model: str, stream: bool) -> str:
        if not stream:
            answer = client.messages.create(model=model, messages=HELLO, max_tokens=100)
            return "".join(block.text for block in answer.content if block.type == "text")
        with client.messages.stream(model=model, messages=HELLO, max_tokens=100) as opened:
            return "".join(opened.text_stream)

    return ask


@both_ways
@every_kind
@pytest.mark.parametrize(
    ("status", "raised", "seen"),
    [
        (400, openai.BadRequestError, 400),
        (401, openai.AuthenticationError, 401),
        (402, openai.APIStatusError, 402),
        (403, openai.PermissionDeniedError, 403),
        (404, openai.NotFoundError, 404),
        (409, openai.ConflictError, 409),
        (413, openai.APIStatusError, 413),
        (422, openai.UnprocessableEntityError, 422),
        (429, openai.RateLimitError, 429),
        (500, openai.InternalServerError, 500),
        (529, openai.InternalServerError, 503),
    ],
)
def test_openai_raises_the_upstreams_error(
    chat: openai.OpenAI,
    provider: StrictProvider,
    kind: Kind,
    status: int,
    raised: type[openai.APIStatusError],
    seen: int,
    *,
    stream: bool,
) -> None:
    provider.queue(http_error(status))
    with pytest.raises(raised) as caught:
        by_openai(chat)(f"stub-{kind}/text", stream)
    error = caught.value
    assert (type(error), error.status_code) == (raised, seen)
    assert error.type
    assert error.request_id
    assert STUB_KEY not in str(error)


@both_ways
@every_kind
@pytest.mark.parametrize(
    ("status", "raised", "named"),
    [
        (400, anthropic.BadRequestError, {"invalid_request_error"}),
        (401, anthropic.AuthenticationError, {"authentication_error", "api_error"}),
        (402, anthropic.APIStatusError, {"billing_error"}),
        (403, anthropic.PermissionDeniedError, {"permission_error"}),
        (404, anthropic.NotFoundError, {"not_found_error"}),
        (413, anthropic.APIStatusError, {"request_too_large"}),
        (429, anthropic.RateLimitError, {"rate_limit_error"}),
        (500, anthropic.InternalServerError, {"api_error"}),
        (529, anthropic.APIStatusError, {"overloaded_error"}),
    ],
)
def test_anthropic_raises_the_upstreams_error(
    claude: anthropic.Anthropic,
    provider: StrictProvider,
    kind: Kind,
    status: int,
    raised: type[anthropic.APIStatusError],
    named: set[str],
    *,
    stream: bool,
) -> None:
    provider.queue(http_error(status))
    with pytest.raises(raised) as caught:
        by_anthropic(claude)(f"stub-{kind}/text", stream)
    error = caught.value
    body: Any = error.body
    assert error.status_code == status
    assert body["type"] == "error"
    assert body["error"]["type"] in named
    assert body["request_id"] == error.request_id
    assert STUB_KEY not in str(error)


@both_ways
@every_kind
def test_agents_hear_that_they_must_compact(
    chat: openai.OpenAI, claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind, *, stream: bool
) -> None:
    provider.queue(FAULTS["context-overflow"], FAULTS["context-overflow"])
    with pytest.raises(openai.BadRequestError, match="maximum context length is 200000 tokens") as caught:
        by_openai(chat)(f"stub-{kind}/text", stream)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(
        anthropic.BadRequestError, match=r"prompt is too long: 213462 tokens > 200000 maximum"
    ):
        by_anthropic(claude)(f"stub-{kind}/text", stream)


@every_kind
@pytest.mark.parametrize("name", ["error-event-mid", "clean-cut", "reset-mid-body", "bad-json"])
def test_openai_raises_in_mid_stream_after_the_text_that_came(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, name: str
) -> None:
    provider.queue(say(TEXT), fault=FAULTS[name])
    told = ""
    with (
        pytest.raises(openai.APIError),
        chat.chat.completions.create(model=f"stub-{kind}/text", messages=HELLO, stream=True) as chunks,
    ):
        for chunk in chunks:
            told += "".join(choice.delta.content or "" for choice in chunk.choices)
            assert not any(choice.finish_reason for choice in chunk.choices)
    assert TEXT.startswith(told)
    assert told != TEXT


@every_kind
@pytest.mark.parametrize("name", ["error-event-mid", "clean-cut", "reset-mid-body", "bad-json"])
def test_openais_helper_raises_in_mid_stream(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, name: str
) -> None:
    provider.queue(say(TEXT), fault=FAULTS[name])
    with (
        pytest.raises(openai.APIError),
        chat.chat.completions.stream(model=f"stub-{kind}/text", messages=HELLO) as stream,
    ):
        stream.until_done()


@every_kind
@pytest.mark.parametrize("name", ["error-event-mid", "clean-cut", "reset-mid-body", "bad-json"])
def test_anthropic_raises_in_mid_stream_after_the_text_that_came(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind, name: str
) -> None:
    provider.queue(say(TEXT), fault=FAULTS[name])
    told = ""
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        claude.messages.stream(model=f"stub-{kind}/text", messages=HELLO, max_tokens=100) as stream,
    ):
        for piece in stream.text_stream:
            told += piece
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert TEXT.startswith(told)
    assert told != TEXT


@every_kind
@pytest.mark.parametrize("name", ["clean-cut", "reset-mid-body", "empty-200", "html-200"])
def test_a_plain_answer_that_is_no_whole_answer_is_an_exception(
    chat: openai.OpenAI, claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind, name: str
) -> None:
    provider.queue(FAULTS[name], FAULTS[name])
    with pytest.raises(openai.InternalServerError) as caught:
        by_openai(chat)(f"stub-{kind}/text", False)
    assert caught.value.status_code == 502
    with pytest.raises(anthropic.InternalServerError) as raised:
        by_anthropic(claude)(f"stub-{kind}/text", False)
    assert raised.value.status_code == 502


def patient(gateway: GatewayProcess, caller: str) -> Iterator[Ask]:
    """Yield a client of the sort with the SDK's own retries."""
    if caller == "openai":
        with openai.OpenAI(base_url=gateway.base_url, api_key="any") as client:
            yield by_openai(client)
    else:
        with anthropic.Anthropic(base_url=gateway.origin, api_key="any") as other:
            yield by_anthropic(other)


@both_callers
@both_ways
def test_the_sdks_own_retry_gets_through(
    gateway: GatewayProcess, provider: StrictProvider, caller: str, *, stream: bool
) -> None:
    provider.queue(http_error(429, retry_after="0.05"), say(TEXT))
    for ask in patient(gateway, caller):
        assert ask("stub-chat/text", stream) == TEXT
    assert len(provider.diary.arrivals()) == 2


@both_callers
def test_what_no_retry_can_mend_is_not_retried(
    gateway: GatewayProcess, provider: StrictProvider, caller: str
) -> None:
    provider.queue(FAULTS["quota-exhausted"])
    for ask in patient(gateway, caller):
        with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)):
            ask("stub-chat/text", False)
    assert len(provider.diary.arrivals()) == 1


@both_callers
def test_an_unknown_model_is_not_found_and_near_names_are_given(
    chat: openai.OpenAI, claude: anthropic.Anthropic, caller: str
) -> None:
    ask = by_openai(chat) if caller == "openai" else by_anthropic(claude)
    with pytest.raises((openai.NotFoundError, anthropic.NotFoundError), match="stub-chat/vision"):
        ask("stub-chat/vison", False)


@pytest.fixture(scope="module")
def locked(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that wants a key."""
    with serving(provider, tmp_path_factory.mktemp("locked"), "--api-key", GATEWAY_KEY) as running:
        yield running


def test_a_wrong_key_is_an_authentication_error(locked: GatewayProcess, provider: StrictProvider) -> None:
    with openai.OpenAI(base_url=locked.base_url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            by_openai(client)("stub-chat/text", True)
        assert caught.value.code == "invalid_api_key"
    with anthropic.Anthropic(base_url=locked.origin, api_key="wrong", max_retries=0) as other:
        with pytest.raises(anthropic.AuthenticationError) as raised:
            by_anthropic(other)("stub-messages/text", True)
        body: Any = raised.value.body
        assert body["error"]["type"] == "authentication_error"
    assert provider.diary.arrivals() == []


def test_the_gateways_key_opens_and_never_goes_upstream(
    locked: GatewayProcess, provider: StrictProvider
) -> None:
    with openai.OpenAI(base_url=locked.base_url, api_key=GATEWAY_KEY) as client:
        assert by_openai(client)("stub-chat/text", False) == "You said: Hello."
    with anthropic.Anthropic(base_url=locked.origin, api_key=GATEWAY_KEY) as other:
        assert by_anthropic(other)("stub-messages/text", False) == "You said: Hello."
    with anthropic.Anthropic(base_url=locked.origin, auth_token=GATEWAY_KEY, api_key=None) as bearer:
        assert by_anthropic(bearer)("stub-responses/text", False) == "You said: Hello."
    for arrival in provider.diary.arrivals():
        sent = dict(arrival.headers)
        assert GATEWAY_KEY not in str(sent) + arrival.raw.decode()
        assert STUB_KEY in (sent.get("authorization", "") + sent.get("x-api-key", ""))
