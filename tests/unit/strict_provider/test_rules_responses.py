"""Each rule of the Responses API refuses what it should, and leaves real requests alone."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, Final

import pytest

from support.strict_provider.rulebook import Case, Verdict
from support.strict_provider.rules_responses import RESPONSES_RULES
from support.strict_provider.traits import Catalog, ResponsesTraits
from support.strict_provider.vault import Vault, digest

VAULT: Final = Vault(b"responses")
PNG: Final = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CLOSED: Final[dict[str, Any]] = {**SCHEMA, "additionalProperties": False}
SUMMARY: Final = [{"type": "summary_text", "text": "I think."}]
ENCRYPTED: Final = ["reasoning.encrypted_content"]
ACCOUNT: Final = "account-1"

VAULT.bind("fc_paired", "rs_paired")
VAULT.store("resp_stored", frozenset({"msg_stored", "rs_stored"}))


def tool(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": SCHEMA, "strict": False, **more}


WEATHER: Final = tool()
PATCH: Final[dict[str, Any]] = {"type": "custom", "name": "apply_patch"}


def user(content: Any = "Hello", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def said(words: str = "Hi", **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": words, "annotations": []}]
    return {"type": "message", "role": "assistant", "content": content, **more}


def image(**more: Any) -> dict[str, Any]:
    return {"type": "input_image", **more}


def call(call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "get_weather", "arguments": "{}", **more}


def output(call_id: str = "call_1", value: Any = "sunny", **more: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": value, **more}


def thought(
    item_id: str = "rs_1", *, sealed_for: str = ACCOUNT, sealed_id: str | None = None, **more: Any
) -> dict[str, Any]:
    facts = {
        "id": sealed_id or item_id,
        "summary": digest(SUMMARY),
        "account": sealed_for,
        "model": "thinker",
    }
    blob = VAULT.seal("reasoning", **facts)
    return {"type": "reasoning", "id": item_id, "summary": SUMMARY, "encrypted_content": blob, **more}


def asked(*items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "vision", "input": list(items), **more}


def hello(**more: Any) -> dict[str, Any]:
    return {"model": "vision", "input": "Hello", **more}


def loop(*after: dict[str, Any], **more: Any) -> dict[str, Any]:
    return asked(user(), call(), output(), *after, **more)


def with_format(form: Any, words: str = "Hello") -> dict[str, Any]:
    return {"model": "vision", "input": words, "text": {"format": form}}


def named(**more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "name": "answer", "schema": SCHEMA, **more}


def codex(**more: Any) -> dict[str, Any]:
    base = {"store": False, "stream": True, "instructions": "Be brief.", "include": ENCRYPTED}
    return {name: value for name, value in asked(user(), **{**base, **more}).items() if value is not ...}


CODEX: Final = {
    "model": "thinker",
    "traits": {"codex": True},
    "headers": {"chatgpt-account-id": "a", "originator": "pi", "openai-beta": "responses=experimental"},
}
NAMELESS: Final = {**CODEX, "headers": {"originator": "pi", "openai-beta": "responses=experimental"}}
THINKER: Final = {"model": "thinker"}


def judged(
    body: dict[str, Any],
    *,
    model: str = "vision",
    traits: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    login: bool = False,
) -> Verdict | None:
    found = Catalog().find(model)
    assert found is not None
    changed: ResponsesTraits = replace(found.responses, **(traits or {}))
    case = Case(body=body, traits=changed, vault=VAULT, headers=headers or {}, account=ACCOUNT, login=login)
    return RESPONSES_RULES.judge(case)


REFUSED: Final[list[tuple[str, str, dict[str, Any], dict[str, Any]]]] = [
    ("strings-have-no-lone-surrogates", "half an emoji", asked(user("x\ud83d")), {}),
    ("model-and-input-are-required", "no model", {"input": "Hello"}, {}),
    ("model-and-input-are-required", "no input", {"model": "vision"}, {}),
    ("chat-fields-have-moved", "messages", hello(messages=[]), {}),
    ("chat-fields-have-moved", "max_tokens", hello(max_tokens=9), {}),
    ("chat-fields-have-moved", "response_format", hello(response_format={}), {}),
    ("chat-fields-have-moved", "reasoning_effort", hello(reasoning_effort="low"), THINKER),
    ("top-level-fields-are-known", "stop", hello(stop=["END"]), {}),
    ("top-level-fields-are-known", "seed", hello(seed=7), {}),
    ("top-level-fields-are-known", "n", hello(n=2), {}),
    ("top-level-fields-are-known", "a penalty", hello(presence_penalty=0), {}),
    ("top-level-fields-are-known", "logit_bias", hello(logit_bias={}), {}),
    ("top-level-fields-have-the-right-type", "instructions as a list", hello(instructions=["x"]), {}),
    ("top-level-fields-have-the-right-type", "an unknown truncation", hello(truncation="some"), {}),
    ("some-endpoints-take-fewer-fields", "a limit under a ChatGPT sign-in", hello(max_output_tokens=99), {"login": True}),
    ("some-endpoints-take-fewer-fields", "a field this endpoint does not know", hello(truncation="auto"), {"traits": {"refused_fields": frozenset({"truncation"})}}),
    ("codex-is-stateless-and-streamed", "store left out", codex(store=...), CODEX),
    ("codex-is-stateless-and-streamed", "not streamed", codex(stream=False), CODEX),
    ("codex-is-stateless-and-streamed", "no instructions", codex(instructions=""), CODEX),
    ("codex-is-stateless-and-streamed", "reasoning not asked back", codex(include=...), CODEX),
    ("codex-takes-fewer-fields", "a limit", codex(max_output_tokens=99), CODEX),
    ("codex-takes-fewer-fields", "a temperature", codex(temperature=1), CODEX),
    ("codex-takes-fewer-fields", "a user", codex(user="u"), CODEX),
    ("codex-names-account-and-originator", "no account id", codex(), NAMELESS),
    ("the-limit-is-at-least-16", "a limit of 15", hello(max_output_tokens=15), {}),
    ("the-limit-is-at-least-16", "more than the model can say", hello(max_output_tokens=64_001), {}),
    ("reasoning-models-take-no-sampling", "a temperature", hello(temperature=1), THINKER),
    ("reasoning-models-take-no-sampling", "top_p", hello(top_p=0.5), THINKER),
    ("numbers-are-in-range", "a temperature of 2.1", hello(temperature=2.1), {}),
    ("numbers-are-in-range", "21 top_logprobs", hello(top_logprobs=21), {}),
    ("reasoning-is-well-formed", "an unknown key", hello(reasoning={"budget": 9}), THINKER),
    ("reasoning-is-well-formed", "an unknown summary", hello(reasoning={"summary": "full"}), THINKER),
    ("reasoning-is-for-models-that-reason", "an effort for a plain model", hello(reasoning={"effort": "low"}), {}),
    ("reasoning-is-for-models-that-reason", "an effort the model lacks", hello(reasoning={"effort": "max"}), THINKER),
    ("reasoning-is-for-models-that-reason", "encrypted reasoning of a plain model", hello(include=ENCRYPTED), {}),
    ("includes-are-known", "an unknown include", hello(include=["everything"]), {}),
    ("text-is-well-formed", "chat's json_schema wrapper", with_format({"type": "json_schema", "json_schema": {"name": "a"}}), {}),
    ("text-is-well-formed", "no name", with_format({"type": "json_schema", "schema": SCHEMA}), {}),
    ("text-is-well-formed", "an unknown format", with_format({"type": "yaml"}), {}),
    ("text-is-well-formed", "an unknown verbosity", hello(text={"verbosity": "max"}), {}),
    ("a-text-schema-is-json-schema", "an enum that is no list", with_format(named(schema={"enum": "a"})), {}),
    ("a-strict-text-schema-is-strict", "an open object", with_format(named(strict=True)), {}),
    ("json-mode-needs-the-word-json", "json_object without a word about it", with_format({"type": "json_object"}), {}),
    ("stream-options-come-with-stream", "stream_options without stream", hello(stream_options={}), {}),
    ("stream-options-come-with-stream", "chat's include_usage", hello(stream=True, stream_options={"include_usage": True}), {}),
    ("a-previous-response-is-known", "a response nobody stored", hello(previous_response_id="resp_lost"), {}),
    ("a-previous-response-is-known", "a conversation as well", hello(previous_response_id="resp_stored", conversation="conv_1"), {}),
    ("background-work-is-stored", "work in the background", hello(background=True), {}),
    ("identities-and-metadata-are-small", "a cache key of 65 characters", hello(prompt_cache_key="k" * 65), {}),
    ("identities-and-metadata-are-small", "a number as metadata", hello(metadata={"a": 1}), {}),
    ("the-prompt-fits-the-context", "a prompt of 2,500 tokens in a window of 2,000", hello(input="word " * 2_000), {"model": "small"}),
    ("tools-are-well-formed", "chat's nested function", hello(tools=[{"type": "function", "function": {"name": "f"}}]), {}),
    ("tools-are-well-formed", "no parameters key", hello(tools=[{"type": "function", "name": "f", "strict": False}]), {}),
    ("tools-are-well-formed", "an Anthropic server tool", hello(tools=[{"type": "web_search_20250305", "name": "web_search"}]), {}),
    ("tools-are-well-formed", "an MCP server without a label", hello(tools=[{"type": "mcp", "server_url": "https://x"}]), {}),
    ("tools-are-well-formed", "a broken tool inside a namespace", hello(tools=[{"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "get"}]}]), {}),
    ("tool-names-are-of-the-charset", "a dot in a name", hello(tools=[tool("crm.get")]), {}),
    ("a-functions-schema-describes-an-object", "a schema without a type", hello(tools=[tool(parameters={})]), {}),
    ("a-functions-schema-describes-an-object", "oneOf at the root", hello(tools=[tool(parameters={**SCHEMA, "oneOf": []})]), {}),
    ("a-functions-schema-describes-an-object", "a strict open object", hello(tools=[tool(strict=True)]), {}),
    ("tool-choice-is-well-formed", "chat's nested choice", hello(tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "get_weather"}}), {}),
    ("tool-choice-is-well-formed", "Anthropic's any", hello(tools=[WEATHER], tool_choice="any"), {}),
    ("the-chosen-tool-is-offered", "a tool that is not there", hello(tools=[WEATHER], tool_choice={"type": "function", "name": "other"}), {}),
    ("the-chosen-tool-is-offered", "required without tools", hello(tool_choice="required"), {}),
    ("the-input-is-not-empty", "an empty list", asked(), {}),
    ("the-input-is-not-empty", "an empty string", hello(input=""), {}),
    ("items-are-of-a-known-type", "a chat tool message", asked(user(), {"type": "tool", "content": "x"}), {}),
    ("items-are-of-a-known-type", "an item without a type", asked({"content": "x"}), {}),
    ("items-are-of-a-known-type", "an item that is a string", asked("Hi"), {}),
    ("items-are-well-formed", "chat's tool_calls on a message", asked({"role": "assistant", "content": "x", "tool_calls": []}), {}),
    ("items-are-well-formed", "reasoning without a summary", asked(user(), {"type": "reasoning", "id": "rs_1"}, said()), THINKER),
    ("items-are-well-formed", "arguments as an object", asked(user(), call(arguments={}), output()), {}),
    ("items-are-well-formed", "an output that is null", asked(user(), call(), output(value=None)), {}),
    ("items-are-well-formed", "null content", asked(user(None)), {}),
    ("roles-are-known", "chat's tool role", asked({"role": "tool", "content": "x"}), {}),
    ("roles-are-known", "a system message for Codex", codex(input=[{"role": "system", "content": "x"}, user()]), CODEX),
    ("roles-are-known", "developer for a server without", asked({"role": "developer", "content": "x"}), {"traits": {"takes_developer": False}}),
    ("parts-fit-their-role", "input_text by the assistant", asked(user(), {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}), {}),
    ("parts-fit-their-role", "output_text by the user", asked(user([{"type": "output_text", "text": "x"}])), {}),
    ("parts-fit-their-role", "chat's text part", asked(user([{"type": "text", "text": "x"}])), {}),
    ("parts-fit-their-role", "output_text in a tool output", asked(user(), call(), output(value=[{"type": "output_text", "text": "x"}])), {}),
    ("parts-are-well-formed", "chat's image_url object", asked(user([image(image_url={"url": PNG})])), {}),
    ("parts-are-well-formed", "a cache breakpoint for Codex", codex(input=[user([{"type": "input_text", "text": "x", "prompt_cache_breakpoint": {}}])]), CODEX),
    ("pictures-are-pictures", "neither address nor id", asked(user([image(detail="auto")])), {}),
    ("pictures-are-pictures", "base64 without its data URL", asked(user([image(image_url="iVBORw0KGgo=")])), {}),
    ("pictures-are-pictures", "a picture for a model without eyes", asked(user([image(image_url=PNG)])), {"model": "text"}),
    ("files-have-one-source", "two sources", asked(user([{"type": "input_file", "file_id": "f", "file_url": "https://x"}])), {}),
    ("files-have-one-source", "data without a name", asked(user([{"type": "input_file", "file_data": "data:application/pdf;base64,eA=="}])), {}),
    ("ids-have-their-prefix", "a call's id without fc", asked(user(), call(id="call_1"), output()), {}),
    ("ids-have-their-prefix", "a chat completion's id on a message", asked(user(), said(id="chatcmpl-1")), {}),
    ("ids-have-their-prefix", "an id of 65 characters", asked(user(), said(id="msg_" + "1" * 61)), {}),
    ("ids-are-distinct", "one id twice", asked(user(), said(id="msg_1"), user(), said(id="msg_1")), {}),
    ("ids-are-distinct", "an item the server has stored", asked(said(id="msg_stored"), user(), previous_response_id="resp_stored"), {}),
    ("call-ids-are-at-most-64", "a call_id of 65 characters", asked(user(), call("c" * 65), output("c" * 65)), {}),
    ("call-ids-are-at-most-64", "an empty call_id", asked(user(), call(""), output("")), {}),
    ("called-names-are-of-the-charset", "a dot in a called name", asked(user(), call(name="crm.get"), output()), {}),
    ("call-ids-are-distinct", "one call_id for two calls", asked(user(), call(), call(), output()), {}),
    ("every-output-follows-its-call", "an output without a call", asked(user(), output()), {}),
    ("every-output-follows-its-call", "an output before its call", asked(user(), output(), call()), {}),
    ("every-output-follows-its-call", "a function's output for a custom call", asked(user(), {"type": "custom_tool_call", "call_id": "call_1", "name": "p", "input": ""}, output()), {}),
    ("every-call-has-its-output", "a call without an output", asked(user(), call(), user()), {}),
    ("every-call-has-its-output", "two outputs for one call", loop(output()), {}),
    ("a-reasoning-summary-is-summary-text", "plain text in the summary", asked(user(), thought(summary=["x"]), said()), THINKER),
    ("plain-reasoning-is-not-taken-back", "reasoning_text in content", asked(user(), thought(content=[{"type": "reasoning_text", "text": "x"}]), said()), THINKER),
    ("bare-reasoning-needs-a-store", "a summary without its blob", asked(user(), {"type": "reasoning", "id": "rs_1", "summary": SUMMARY}, said(), store=False), THINKER),
    ("bare-reasoning-needs-a-store", "a reference to nothing", asked(user(), {"type": "item_reference", "id": "msg_lost"}), {}),
    ("sealed-reasoning-returns-unchanged", "an invented blob", asked(user(), thought(encrypted_content="gAAAA"), said()), THINKER),
    ("sealed-reasoning-returns-unchanged", "a gateway's envelope", asked(user(), thought(encrypted_content="gw1.anthropic.x"), said()), THINKER),
    ("sealed-reasoning-returns-unchanged", "a cleaned summary", asked(user(), thought(summary=[]), said()), THINKER),
    ("sealed-reasoning-returns-unchanged", "another item's blob", asked(user(), thought(sealed_id="rs_2"), said()), THINKER),
    ("sealed-reasoning-returns-unchanged", "another account's blob", asked(user(), thought(sealed_for="account-2"), said()), THINKER),
    ("sealed-reasoning-returns-unchanged", "another model's blob", asked(user(), thought(), said()), {"model": "adaptive"}),
    ("reasoning-is-followed-by-its-item", "reasoning at the very end", asked(user(), thought()), THINKER),
    ("reasoning-is-followed-by-its-item", "reasoning before the user speaks", asked(user(), thought(), user()), THINKER),
    ("an-item-comes-with-its-reasoning", "a call without the reasoning it was made with", asked(user(), call(id="fc_paired"), output()), THINKER),
]  # fmt: skip

TAKEN: Final[list[tuple[str, dict[str, Any], dict[str, Any]]]] = [
    ("a plain question", hello(), {}),
    ("every ordinary field at once", hello(instructions="Be brief.", max_output_tokens=16, temperature=1.7, top_p=0.5, store=False, stream=True, stream_options={"include_obfuscation": False}, metadata={"a": "b"}, truncation="auto", parallel_tool_calls=False, tool_choice="auto"), {}),
    ("easy messages of every role", asked({"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, user(), {"role": "assistant", "content": "c"}, user("")), {}),
    ("an empty list of tools", hello(tools=[], tool_choice="auto"), {}),
    ("a tool loop", loop(user()), {}),
    ("a result with text and picture", asked(user(), call(), output(value=[{"type": "input_text", "text": "x"}, image(image_url=PNG)])), {}),
    ("outputs long after their calls", asked(user(), call("a"), call("b"), said(), output("b"), output("a")), {}),
    ("custom calls", asked(user(), {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "***"}, {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}, tools=[PATCH]), {}),
    ("pictures and files", asked(user([image(image_url=PNG, detail="low"), image(file_id="file-1"), {"type": "input_file", "file_data": "data:application/pdf;base64,eA==", "filename": "x.pdf"}, {"type": "input_file", "file_url": "https://x"}])), {}),
    ("sealed reasoning in front of its call", asked(user(), thought(), call(id="fc_1"), output(), store=False, include=ENCRYPTED, reasoning={"effort": "high", "summary": "auto"}), THINKER),
    ("two thoughts in a row", asked(user(), thought("rs_1"), thought("rs_2"), said()), THINKER),
    ("a call without the id that would tie it", asked(user(), call(), output()), THINKER),
    ("a tied call with its reasoning", asked(user(), thought("rs_paired"), call(id="fc_paired"), output()), THINKER),
    ("what the server has stored", asked({"type": "item_reference", "id": "msg_stored"}, {"type": "reasoning", "id": "rs_stored", "summary": []}, said(), user()), THINKER),
    ("an output for a stored call", asked(output(), previous_response_id="resp_stored"), {}),
    ("a function that says nothing of strictness", hello(tools=[{"type": "function", "name": "f", "parameters": SCHEMA}]), {}),
    ("nullable parameters and strict", hello(tools=[{"type": "function", "name": "f", "parameters": None, "strict": None}]), {}),
    ("namespaces and hosted tools", hello(tools=[{"type": "namespace", "name": "crm", "tools": [tool("get")]}, {"type": "web_search"}, {"type": "mcp", "server_label": "x"}]), {}),
    ("one function chosen", hello(tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}), {}),
    ("a choice among some", hello(tools=[WEATHER], tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]}), {}),
    ("a strict schema for the answer", with_format(named(strict=True, schema=CLOSED)), {}),
    ("json mode", with_format({"type": "json_object"}, "Answer in JSON."), {}),
    ("effort none", hello(reasoning={"effort": "none"}), THINKER),
    ("Codex as its client speaks", codex(prompt_cache_key="k", reasoning={"effort": "medium", "summary": "auto"}, text={"verbosity": "low"}, tools=[WEATHER], tool_choice="auto", parallel_tool_calls=True), CODEX),
    ("phases of the assistant's messages", asked(user(), said(id="msg_1", phase="commentary", status="completed"), user()), {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "body", "options"),
    [(row[0], row[2], row[3]) for row in REFUSED],
    ids=[f"{row[0]}: {row[1]}" for row in REFUSED],
)
def test_the_responses_api_refuses(rule: str, body: dict[str, Any], options: dict[str, Any]) -> None:
    verdict = judged(body, **options)

    assert verdict is not None, "nobody objected"
    assert verdict.rule == rule, verdict.objection.words


@pytest.mark.parametrize(("body", "options"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_the_responses_api_takes(body: dict[str, Any], options: dict[str, Any]) -> None:
    assert judged(body, **options) is None


def test_every_responses_rule_is_seen_refusing() -> None:
    shown = {row[0] for row in REFUSED}

    assert shown == {rule.id for rule in RESPONSES_RULES.rules}


def test_no_two_responses_rules_share_an_id_and_each_names_its_source() -> None:
    ids = [rule.id for rule in RESPONSES_RULES.rules]

    assert len(ids) == len(set(ids))
    assert all(rule.source for rule in RESPONSES_RULES.rules)
