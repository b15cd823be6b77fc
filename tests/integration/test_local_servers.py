"""A local server found by the installed command, and asked like any provider."""

from __future__ import annotations

import json
from pathlib import Path

from support.cloud_upstream import Arrived, CloudUpstream, Reply
from support.gateway_process import running_gateway


def answer(arrived: Arrived) -> Reply:
    if arrived.target == "/models":
        return Reply(body=b'{"data":[{"id":"gemma","owned_by":"llamacpp","meta":{"n_ctx":2048}}]}')
    if arrived.target.startswith("/props"):
        return Reply(body=b'{"chat_template":""}')
    message = {"role": "assistant", "content": "Bonjour"}
    body = {
        "id": "1",
        "model": "gemma",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    return Reply(body=json.dumps(body).encode())


def test_llamas_models_are_listed_and_answer(tmp_path: Path) -> None:
    with CloudUpstream.running() as upstream:
        upstream.answer = answer
        environment = {"LLAMA_BASE_URL": upstream.origin}
        with running_gateway(tmp_path, environment=environment) as gateway:
            gateway.wait_for(
                lambda: "llama.cpp/gemma" in gateway.get("/v1/models").text, "the local server's model"
            )
            body = {"model": "gemma", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
            answered = gateway.post("/v1/chat/completions", body)
        assert answered.json()["choices"][0]["message"]["content"] == "Bonjour"
        assert upstream.last.target == "/v1/chat/completions"
        assert upstream.last.headers["authorization"] == "Bearer local"
        assert json.loads(upstream.last.body)["max_tokens"] == 5
