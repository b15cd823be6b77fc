"""A conversation stays at one machine where the provider asks which it is and the caller has said so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects import anthropic_messages, openai_chat, openai_responses
from pi_model_proxy.dialects.sessions import MAX_SESSION_CHARS, session_of
from pi_model_proxy.hub import Request, Target

UUID = "0f9ad9ff-7bb4-4c8e-9d0f-1d6a6f3f8f11"
CLAUDE_CODE = f"user_{'a' * 64}_account_{UUID[::-1]}_session_{UUID}"
CLAUDE_CODE_JSON = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": UUID})


def messages(user_id: str | None) -> Request:
    metadata = {} if user_id is None else {"metadata": {"user_id": user_id}}
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **metadata}
    return anthropic_messages.SERVER.decode_request(json.dumps(body).encode())


def chat(key: str | None) -> Request:
    body = {"messages": [{"role": "user", "content": "hi"}], "prompt_cache_key": key, "user": "ann"}
    return openai_chat.SERVER.decode_request(json.dumps(body).encode())


def target(kind: str, **changes: Any) -> Target:
    return Target(provider="acme", model="m", public_model="acme/m", kind=kind, **changes)


class TestWhatACallerSays:
    @pytest.mark.parametrize("user_id", [CLAUDE_CODE, CLAUDE_CODE_JSON])
    def test_claude_codes_session_is_taken_out_of_its_user_id(self, user_id: str) -> None:
        assert messages(user_id).session == UUID

    @pytest.mark.parametrize(
        "user_id", ["ann@example.com", '{"session_id":5}', '{"session_id":"ann"}', "{", "{[", "é"]
    )
    def test_any_other_user_is_hidden_and_always_the_same(self, user_id: str) -> None:
        session = session_of(messages(user_id))
        assert len(session) == 32
        assert user_id not in session
        assert session == session_of(messages(user_id))
        assert session != session_of(messages(f"{user_id}2"))

    def test_a_chat_callers_cache_key_is_its_session(self) -> None:
        assert session_of(chat("session-1")) == "session-1"

    def test_who_says_nothing_has_none(self) -> None:
        assert session_of(messages(None)) == session_of(messages("")) == session_of(chat(None)) == ""

    @pytest.mark.parametrize("key", ["é", "a\nb", " a", "x" * (MAX_SESSION_CHARS + 1)])
    def test_what_no_header_can_carry_is_hashed(self, key: str) -> None:
        session = session_of(chat(key))
        assert len(session) == 32
        assert session.isalnum()


@pytest.mark.parametrize(
    ("client", "kind", "compat", "names"),
    [
        (openai_chat.CLIENT, "openai-completions", {}, set()),
        (
            openai_chat.CLIENT,
            "openai-completions",
            {"sendSessionAffinityHeaders": True},
            {"session_id", "x-client-request-id", "x-session-affinity"},
        ),
        (
            openai_chat.CLIENT,
            "openai-completions",
            {"sendSessionAffinityHeaders": True, "sessionAffinityFormat": "openrouter"},
            {"x-session-id"},
        ),
        (openai_responses.CLIENT, "openai-responses", {}, {"session-id", "x-client-request-id"}),
        (
            openai_responses.CLIENT,
            "openai-responses",
            {"sessionAffinityFormat": "openai-nosession"},
            {"x-client-request-id"},
        ),
        (
            openai_responses.CLIENT,
            "openai-responses",
            {"sessionAffinityFormat": "openrouter"},
            {"x-session-id"},
        ),
    ],
)
def test_providers_that_ask_are_told_in_the_headers_they_know(
    client: Any, kind: str, compat: dict[str, Any], names: set[str]
) -> None:
    where = target(kind, compat=compat)
    told = client.encode_request(messages(CLAUDE_CODE), where).headers
    assert dict(told) == dict.fromkeys(names, UUID)
    assert client.encode_request(messages(None), where).headers == {}


@pytest.mark.parametrize(
    ("format_name", "header"), [(None, "x-session-affinity"), ("openrouter", "x-session-id")]
)
def test_messages_upstreams_are_told_in_one_header(format_name: str | None, header: str) -> None:
    compat = {"sendSessionAffinityHeaders": True, "sessionAffinityFormat": format_name}
    encode = anthropic_messages.CLIENT.encode_request
    out = encode(chat("s-1"), target("anthropic-messages", compat=compat))
    assert (out.headers[header], out.dropped) == ("s-1", ())
    plain = encode(chat("s-1"), target("anthropic-messages"))
    assert header not in plain.headers
    assert plain.dropped == ("prompt_cache_key",)


class TestCacheKeys:
    """OpenAI routes by `prompt_cache_key`, as pi does by its session: callers without such a field get one."""

    @pytest.mark.parametrize(
        ("client", "kind"),
        [(openai_chat.CLIENT, "openai-completions"), (openai_responses.CLIENT, "openai-responses")],
    )
    def test_a_session_becomes_the_key_while_we_are_to_see_to_caches(self, client: Any, kind: str) -> None:
        for auto_cache in (True, False):
            where = target(kind, hosted_by_vendor=True, auto_cache=auto_cache)
            body = json.loads(client.encode_request(messages(CLAUDE_CODE), where).body)
            assert body.get("prompt_cache_key") == (UUID if auto_cache else None)

    def test_it_is_not_sent_to_whom_does_not_take_it(self) -> None:
        plain = target("openai-completions", auto_cache=True)
        assert b"prompt_cache_key" not in openai_chat.CLIENT.encode_request(messages(CLAUDE_CODE), plain).body
        disabled = target("openai-responses", auto_cache=True, compat={"promptCacheKeyMode": "disabled"})
        out = openai_responses.CLIENT.encode_request(messages(CLAUDE_CODE), disabled)
        assert b"prompt_cache_key" not in out.body
