"""What a ChatGPT login's backend refuses is left out of a request that is passed on."""

from __future__ import annotations

import json

from pi_model_proxy.dialects.openai_responses import RELAY
from pi_model_proxy.hub import Target
from pi_model_proxy.providers import Presented, login_identity

BASE_URL = "https://api.openai.com/v1"


def test_a_late_change_of_effort_is_left_out_and_listed() -> None:
    presented = Presented(account="oauth", secret="header.claims.signature")
    identity = login_identity("openai", "openai-responses", presented, base_url=BASE_URL)
    target = Target(
        provider="openai", model="m-1", public_model="openai/m-1", kind="openai-responses", identity=identity
    )
    said = {"role": "user", "content": "hi"}
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    outgoing = RELAY.encode_request(json.dumps({"model": "x", "input": [said, update]}).encode(), target, {})
    assert json.loads(outgoing.body)["input"] == [said]
    assert outgoing.dropped == ("input[1]",)
