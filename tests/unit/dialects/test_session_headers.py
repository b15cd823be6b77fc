"""Relays name the conversation to providers that want to know it, as pi names its session."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pi_model_proxy.dialects import anthropic_messages, openai_responses
from pi_model_proxy.hub import Target

SESSION = "0b54c3e8-7d0f-4c0a-9a54-2f5e6a7b8c9d"


def target(kind: str, **compat: Any) -> Target:
    return Target(provider="acme", model="m-1", public_model="acme/m-1", kind=kind, compat=compat)


def of_messages(metadata: Any, **compat: Any) -> Mapping[str, str]:
    body: dict[str, Any] = {"model": "x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    if metadata is not None:
        body["metadata"] = metadata
    whom = target("anthropic-messages", **compat)
    return anthropic_messages.RELAY.encode_request(json.dumps(body).encode(), whom, {}).headers


def of_responses(key: str | None, **compat: Any) -> Mapping[str, str]:
    body = {"model": "x", "input": "hi", "prompt_cache_key": key}
    whom = target("openai-responses", **compat)
    return openai_responses.RELAY.encode_request(json.dumps(body).encode(), whom, {}).headers


CLAUDE_CODE = {"user_id": json.dumps({"device_id": "d", "session_id": SESSION})}


class TestMessages:
    def test_a_provider_that_wants_it_is_told_the_session(self) -> None:
        headers = of_messages(CLAUDE_CODE, sendSessionAffinityHeaders=True)
        assert headers["x-session-affinity"] == SESSION

    def test_openrouter_has_a_name_of_its_own_for_it(self) -> None:
        flags = {"sendSessionAffinityHeaders": True, "sessionAffinityFormat": "openrouter"}
        assert of_messages(CLAUDE_CODE, **flags)["x-session-id"] == SESSION

    def test_nobody_else_is_told(self) -> None:
        assert of_messages(CLAUDE_CODE) == {"anthropic-version": "2023-06-01"}

    def test_a_user_is_not_given_away(self) -> None:
        headers = of_messages({"user_id": "alice@example.org"}, sendSessionAffinityHeaders=True)
        assert "alice" not in headers["x-session-affinity"]

    @pytest.mark.parametrize("metadata", [None, {}, {"user_id": None}, {"user_id": 7}, []])
    def test_without_a_name_nothing_is_sent(self, metadata: Any) -> None:
        assert "x-session-affinity" not in of_messages(metadata, sendSessionAffinityHeaders=True)


class TestResponses:
    def test_the_names_follow_the_model_s_flag(self) -> None:
        assert of_responses(SESSION) == {"session-id": SESSION, "x-client-request-id": SESSION}
        assert of_responses(SESSION, sessionAffinityFormat="openai-nosession") == {
            "x-client-request-id": SESSION
        }
        assert of_responses(SESSION, sessionAffinityFormat="openrouter") == {"x-session-id": SESSION}

    def test_without_a_key_nothing_is_sent(self) -> None:
        assert of_responses(None) == {}
