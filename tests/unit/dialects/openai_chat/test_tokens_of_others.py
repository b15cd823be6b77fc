"""Tokens of reasoning that chat has no field for: carried to where they came from, and never lost in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_chat import CLIENT, SERVER
from pi_model_proxy.dialects.openai_chat.reasoning_details import OUR_FORMATS, details_of, read_reasoning
from pi_model_proxy.hub import Opaque, ReasoningBlock, TextBlock, Turn
from support.chat_stream import request, target


@pytest.mark.parametrize("kind", sorted(OUR_FORMATS))
def test_every_token_comes_back_through_a_client_that_echoes(kind: Any) -> None:
    signs_text = kind in {"anthropic_signature", "pi_signature"}
    text = "Hm." if signs_text or kind == "openai_encrypted" else ""
    opaque = Opaque(kind=kind, data="tok/en==", origin="radius/balanced")
    block = ReasoningBlock(text=text, opaque=opaque)
    details = details_of(block, origin="", index=0)
    echoed = read_reasoning({"reasoning_details": details, "reasoning_content": text}, at="messages[1]")
    assert [(each.text, each.opaque) for each in echoed] == [(text, opaque)]


@pytest.mark.parametrize("kind", ["gemini_signature", "anthropic_redacted"])
def test_a_token_without_text_is_listed_where_it_cannot_be_said(kind: Any) -> None:
    token = ReasoningBlock(opaque=Opaque(kind=kind, data="sig"), at="messages[1].content[0]")
    said = Turn(role="assistant", blocks=(token, TextBlock(text="Yes.", at="t")), at="messages[1]")
    asks = Turn(role="user", blocks=(TextBlock(text="Sure?", at="q"),), at="messages[2]")
    assert CLIENT.encode_request(request(said, asks), target()).dropped == ("messages[1].content[0]",)


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"reasoning": {"effort": "high", "exclude": True}}, "reasoning.exclude"),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, "thinking.display"),
    ],
)
def test_a_wish_to_hide_thinking_is_listed_where_it_is_shown(wish: dict[str, Any], path: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **wish}
    decoded = SERVER.decode_request(json.dumps(body).encode())
    whom = target(reasoning=True)
    assert CLIENT.encode_request(decoded, whom).dropped == (path,)
