"""Each rule of Chat Completions refuses what it should, and leaves real requests alone."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, Final

import pytest

from support.strict_provider.rulebook import Case, Verdict
from support.strict_provider.rules_chat import CHAT_RULES
from support.strict_provider.traits import Catalog, ChatTraits
from support.strict_provider.vault import Vault, digest

VAULT: Final = Vault(b"chat")
PNG: Final = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
HALF: Final = "x\ud83d"
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CLOSED: Final[dict[str, Any]] = {**SCHEMA, "additionalProperties": False}
BREAKPOINT: Final = {"mode": "explicit", "ttl": "30m"}


def tool(name: str = "get_weather", **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **function}}


WEATHER: Final = tool()
PATCH: Final[dict[str, Any]] = {
    "type": "custom",
    "custom": {"name": "apply_patch", "format": {"type": "text"}},
}


def user(content: Any = "Hello", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def part(kind: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, kind: value, **more}


def assistant(content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def call(call_id: str = "call_1", name: str = "get_weather", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return assistant(more.pop("content", None), tool_calls=list(calls), **more)


def result(call_id: str = "call_1", content: Any = "sunny", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def asked(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "vision", "messages": list(messages), **more}


def hello(**more: Any) -> dict[str, Any]:
    return asked(user(), **more)


def loop(*after: dict[str, Any], **more: Any) -> dict[str, Any]:
    return asked(user(), calling(call()), result(), *after, **{"tools": [WEATHER], **more})


def with_schema(**schema: Any) -> dict[str, Any]:
    return hello(tools=[tool(parameters={"type": "object", **schema})])


def with_format(form: Any, words: str = "Hello") -> dict[str, Any]:
    return asked(user(words), response_format=form)


def named(name: str = "answer", **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, **more}}


def details(text: str, seen: str | None = None) -> list[dict[str, Any]]:
    sealed = VAULT.seal("details", text=digest(text), model="openrouter")
    return [
        {"type": "reasoning.text", "text": text if seen is None else seen},
        {"type": "reasoning.encrypted", "data": sealed, "id": "rs_1"},
    ]


def judged(
    body: dict[str, Any], *, model: str = "vision", traits: dict[str, Any] | None = None
) -> Verdict | None:
    found = Catalog().find(model)
    assert found is not None
    changed: ChatTraits = replace(found.chat, **(traits or {}))
    return CHAT_RULES.judge(Case(body=body, traits=changed, vault=VAULT))


REFUSED: Final[list[tuple[str, str, dict[str, Any], dict[str, Any]]]] = [
    ("strings-have-no-lone-surrogates", "half an emoji in a text", asked(user(HALF)), {}),
    ("strings-have-no-lone-surrogates", "half an emoji in a schema", with_schema(description=HALF), {}),
    ("model-and-messages-are-required", "no model", {"messages": [user()]}, {}),
    ("model-and-messages-are-required", "no messages", {"model": "vision"}, {}),
    ("top-level-fields-are-known", "an Anthropic field", hello(stop_sequences=["END"]), {}),
    ("top-level-fields-are-known", "thinking for OpenAI", hello(thinking={"type": "enabled"}), {}),
    ("top-level-fields-are-known", "a gateway's own key", hello(_toolNameMap={}), {}),
    ("top-level-fields-are-known", "stream_options for a server without", hello(stream=True, stream_options={"include_usage": True}), {"model": "compatible"}),
    ("top-level-fields-are-known", "store for a server without", hello(store=False), {"model": "compatible"}),
    ("top-level-fields-have-the-right-type", "max_tokens as text", hello(max_tokens="9"), {}),
    ("top-level-fields-have-the-right-type", "an effort nobody knows", hello(reasoning_effort="ultra"), {"model": "thinker"}),
    ("top-level-fields-have-the-right-type", "Anthropic's service tier", hello(service_tier="standard_only"), {}),
    ("top-level-fields-have-the-right-type", "tools null", hello(tools=None), {}),
    ("the-limit-goes-by-the-models-name-for-it", "max_tokens for a reasoning model", hello(max_tokens=99), {"model": "thinker"}),
    ("the-limit-goes-by-the-models-name-for-it", "max_completion_tokens for a server without", hello(max_completion_tokens=99), {"model": "compatible"}),
    ("the-limit-goes-by-the-models-name-for-it", "both limits", hello(max_tokens=9, max_completion_tokens=9), {}),
    ("the-limit-is-within-the-model", "more than the model can say", hello(max_completion_tokens=64_001), {}),
    ("the-limit-is-within-the-model", "a limit of 0", hello(max_tokens=0), {}),
    ("reasoning-models-take-no-sampling", "a temperature", hello(temperature=0.2), {"model": "thinker"}),
    ("reasoning-models-take-no-sampling", "a penalty", hello(presence_penalty=0.5), {"model": "gpt-5"}),
    ("reasoning-models-take-no-sampling", "logprobs", hello(logprobs=True), {"model": "thinker"}),
    ("some-reasoning-models-take-no-stop", "a stop for o3", hello(stop="END"), {"model": "o3"}),
    ("effort-is-for-models-that-reason", "an effort for a plain model", hello(reasoning_effort="low"), {}),
    ("effort-is-for-models-that-reason", "an effort the model lacks", hello(reasoning_effort="max"), {"model": "thinker"}),
    ("numbers-are-in-range", "a temperature of 2.1", hello(temperature=2.1), {}),
    ("numbers-are-in-range", "a top_p of 1.5", hello(top_p=1.5), {}),
    ("numbers-are-in-range", "a penalty of -3", hello(frequency_penalty=-3), {}),
    ("numbers-are-in-range", "21 top_logprobs", hello(logprobs=True, top_logprobs=21), {}),
    ("numbers-are-in-range", "n of 0", hello(n=0), {}),
    ("top-logprobs-comes-with-logprobs", "top_logprobs alone", hello(top_logprobs=2), {}),
    ("there-are-at-most-four-stops", "five stops", hello(stop=["a", "b", "c", "d", "e"]), {}),
    ("there-are-at-most-four-stops", "a stop that is a number", hello(stop=[1]), {}),
    ("stream-options-come-with-stream", "stream_options without stream", hello(stream_options={"include_usage": True}), {}),
    ("stream-options-come-with-stream", "an unknown stream option", hello(stream=True, stream_options={"usage": True}), {}),
    ("response-format-is-well-formed", "the schema without its wrapper", with_format({"type": "json_schema", "schema": SCHEMA}), {}),
    ("response-format-is-well-formed", "no name", with_format({"type": "json_schema", "json_schema": {"schema": SCHEMA}}), {}),
    ("response-format-is-well-formed", "a name with a space", with_format(named("my answer")), {}),
    ("response-format-is-well-formed", "a type nobody knows", with_format({"type": "json"}), {}),
    ("a-response-schema-is-json-schema", "required as a word", with_format(named(schema={"type": "object", "required": "all"})), {}),
    ("a-strict-response-schema-is-strict", "an open object", with_format(named(strict=True, schema=SCHEMA)), {}),
    ("a-strict-response-schema-is-strict", "an optional property", with_format(named(strict=True, schema={**CLOSED, "required": []})), {}),
    ("json-mode-needs-the-word-json", "json_object without a word about it", with_format({"type": "json_object"}), {}),
    ("metadata-is-small-and-stored", "metadata without store", hello(metadata={"a": "b"}), {}),
    ("metadata-is-small-and-stored", "17 pairs", hello(store=True, metadata={str(number): "x" for number in range(17)}), {}),
    ("metadata-is-small-and-stored", "a number as value", hello(store=True, metadata={"a": 1}), {}),
    ("metadata-is-small-and-stored", "a value of 513 characters", hello(store=True, metadata={"a": "x" * 513}), {}),
    ("identities-are-short", "a user of 129 characters", hello(user="u" * 129), {}),
    ("identities-are-short", "a cache key of 65 characters", hello(prompt_cache_key="k" * 65), {}),
    ("modalities-are-known", "video", hello(modalities=["text", "video"]), {}),
    ("modalities-are-known", "audio, which none of our models speaks", hello(modalities=["text", "audio"]), {}),
    ("old-and-new-tools-do-not-mix", "functions beside tools", hello(functions=[{"name": "f"}], tools=[WEATHER]), {}),
    ("old-and-new-tools-do-not-mix", "function_call without functions", hello(function_call="auto"), {}),
    ("prompt-cache-options-are-known", "an Anthropic ttl", hello(prompt_cache_options={"ttl": "1h"}), {}),
    ("the-prompt-fits-the-context", "a prompt of 2,500 tokens in a window of 2,000", asked(user("word " * 2_000)), {"model": "small"}),
    ("tools-are-not-an-empty-list", "no tools in the list", hello(tools=[]), {}),
    ("tools-are-at-most-128", "129 tools", hello(tools=[tool(f"t{number}") for number in range(129)]), {}),
    ("tools-are-well-formed", "a flat Responses tool", hello(tools=[{"type": "function", "name": "f", "parameters": SCHEMA}]), {}),
    ("tools-are-well-formed", "an Anthropic tool", hello(tools=[{"name": "f", "input_schema": SCHEMA}]), {}),
    ("tools-are-well-formed", "a cache mark on a tool", hello(tools=[{**WEATHER, "cache_control": {"type": "ephemeral"}}]), {}),
    ("tools-are-well-formed", "a server tool", hello(tools=[{"type": "web_search_20250305", "name": "web_search"}]), {}),
    ("tool-names-are-of-the-charset", "a dot in a name", hello(tools=[tool("crm.get")]), {}),
    ("tool-names-are-of-the-charset", "a name of 65 characters", hello(tools=[tool("n" * 65)]), {}),
    ("a-functions-schema-describes-an-object", "a schema without a type", hello(tools=[tool(parameters={})]), {}),
    ("a-functions-schema-describes-an-object", "the type custom", hello(tools=[tool(parameters={"type": "custom"})]), {}),
    ("a-functions-schema-describes-an-object", "anyOf at the root", with_schema(anyOf=[{}]), {}),
    ("a-functions-schema-describes-an-object", "an array without items", with_schema(properties={"a": {"type": "array"}}), {}),
    ("a-functions-schema-describes-an-object", "a strict open object", hello(tools=[tool(strict=True)]), {}),
    ("a-functions-schema-describes-an-object", "a property that is a string", with_schema(properties={"city": "string"}), {}),
    ("tool-choice-comes-with-tools", "a choice among nothing", hello(tool_choice="auto"), {}),
    ("parallel-tool-calls-come-with-tools", "parallel_tool_calls alone", hello(parallel_tool_calls=False), {}),
    ("tool-choice-is-well-formed", "Anthropic's any", hello(tools=[WEATHER], tool_choice="any"), {}),
    ("tool-choice-is-well-formed", "the flat form of Responses", hello(tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}), {}),
    ("tool-choice-is-well-formed", "Anthropic's object", hello(tools=[WEATHER], tool_choice={"type": "auto"}), {}),
    ("the-chosen-tool-is-offered", "a tool that is not there", hello(tools=[WEATHER], tool_choice=part("function", {"name": "other"})), {}),
    ("the-chosen-tool-is-offered", "an allowed tool that is not there", hello(tools=[WEATHER], tool_choice=part("allowed_tools", {"mode": "auto", "tools": [part("function", {"name": "other"})]})), {}),
    ("history-with-calls-comes-with-tools", "calls in history without tools", asked(user(), calling(call(), content=""), result(name="get_weather")), {"model": "compatible"}),
    ("there-is-a-message", "no message at all", asked(), {}),
    ("roles-are-known", "the role model", asked({"role": "model", "content": "x"}), {}),
    ("roles-are-known", "no role", asked({"content": "x"}), {}),
    ("roles-are-known", "a message that is a string", asked("Hi"), {}),
    ("developer-is-only-for-those-who-know-it", "developer for a compatible server", asked({"role": "developer", "content": "x"}, user()), {"model": "compatible"}),
    ("reasoning-in-history-is-as-the-server-wants-it", "no reasoning_content on DeepSeek's tool turn", loop(), {"model": "deepseek"}),
    ("reasoning-in-history-is-as-the-server-wants-it", "reasoning_content where it is refused", asked(user(), assistant("x", reasoning_content="y"), user()), {"traits": {"reasoning_replay": "refused"}}),
    ("reasoning-details-return-unmodified", "reasoning text altered", asked(user(), assistant("x", reasoning_details=details("Think.", "Think!")), user()), {"model": "openrouter"}),
    ("reasoning-details-return-unmodified", "an invented token", asked(user(), assistant("x", reasoning_details=[{"type": "reasoning.encrypted", "data": "eA=="}]), user()), {"model": "openrouter"}),
    ("messages-are-well-formed", "reasoning_content for OpenAI", asked(user(), assistant("x", reasoning_content="y"), user()), {}),
    ("messages-are-well-formed", "a cache mark on a message", asked(user(cache_control={"type": "ephemeral"})), {}),
    ("messages-are-well-formed", "a tool message without tool_call_id", asked({"role": "tool", "content": "x"}), {}),
    ("messages-are-well-formed", "null from the user", asked(user(None)), {}),
    ("messages-are-well-formed", "tool_calls null", asked(user(), assistant("x", tool_calls=None)), {}),
    ("some-servers-take-only-string-content", "parts for a simple server", asked(user([part("text", "x")])), {"model": "compatible"}),
    ("content-may-be-null-only-beside-calls", "null and nothing else", asked(user(), assistant(None), user()), {}),
    ("content-may-be-null-only-beside-calls", "no content key and nothing else", asked(user(), {"role": "assistant"}, user()), {}),
    ("content-may-be-null-only-beside-calls", "null beside calls for a server that wants a string", loop(), {"model": "compatible"}),
    ("content-arrays-are-not-empty", "no parts", asked(user([])), {}),
    ("parts-stand-where-their-role-allows", "a picture in a tool message", asked(user(), calling(call()), result(content=[part("image_url", {"url": PNG})]), tools=[WEATHER]), {}),
    ("parts-stand-where-their-role-allows", "a picture in the system message", asked({"role": "system", "content": [part("image_url", {"url": PNG})]}, user()), {}),
    ("parts-stand-where-their-role-allows", "a Responses part", asked(user([{"type": "input_text", "text": "x"}])), {}),
    ("parts-stand-where-their-role-allows", "an Anthropic picture", asked(user([{"type": "image", "source": {}}])), {}),
    ("parts-are-well-formed", "a picture's address as a bare string", asked(user([part("image_url", PNG)])), {}),
    ("parts-are-well-formed", "an unknown detail", asked(user([part("image_url", {"url": PNG, "detail": "ultra"})])), {}),
    ("parts-are-well-formed", "a cache mark on a part", asked(user([part("text", "x", cache_control={"type": "ephemeral"})])), {}),
    ("parts-are-well-formed", "audio of an unknown format", asked(user([part("input_audio", {"data": "eA==", "format": "ogg"})])), {}),
    ("pictures-are-pictures", "a bitmap", asked(user([part("image_url", {"url": "data:image/bmp;base64,Qk0="})])), {}),
    ("pictures-are-pictures", "base64 without its data URL", asked(user([part("image_url", {"url": "iVBORw0KGgo="})])), {}),
    ("pictures-are-pictures", "a picture for a model without eyes", asked(user([part("image_url", {"url": PNG})])), {"model": "text"}),
    ("files-have-data-or-an-id", "a file without either", asked(user([part("file", {"filename": "x.pdf"})])), {}),
    ("files-have-data-or-an-id", "data without a name", asked(user([part("file", {"file_data": "data:application/pdf;base64,eA=="})])), {}),
    ("files-have-data-or-an-id", "base64 without its data URL", asked(user([part("file", {"file_data": "eA==", "filename": "x.pdf"})])), {}),
    ("names-of-participants-are-plain", "a name with a space", asked(user(name="Bob Smith")), {}),
    ("calls-are-not-an-empty-list", "no calls in the list", asked(user(), assistant("x", tool_calls=[]), user()), {}),
    ("calls-are-well-formed", "arguments as an object", asked(user(), calling(call(arguments={})), result(), tools=[WEATHER]), {}),
    ("calls-are-well-formed", "a call without its type", asked(user(), calling({"id": "call_1", "function": {"name": "f", "arguments": "{}"}}), result()), {}),
    ("calls-are-well-formed", "a call with an index", asked(user(), calling({**call(), "index": 0}), result()), {}),
    ("calls-are-well-formed", "Gemini's signature for OpenAI", asked(user(), calling({**call(), "extra_content": {}}), result()), {}),
    ("called-names-are-of-the-charset", "a dot in a called name", asked(user(), calling(call(name="crm.get")), result()), {}),
    ("some-servers-parse-arguments", "empty arguments", asked(user(), calling(call(arguments=""), content=""), result(name="f"), tools=[WEATHER]), {"model": "compatible"}),
    ("some-servers-parse-arguments", "a list as arguments", asked(user(), calling(call(arguments="[]"), content=""), result(name="f"), tools=[WEATHER]), {"model": "compatible"}),
    ("tool-ids-are-at-most-40", "an id of 41 characters", asked(user(), calling(call("c" * 41)), result("c" * 41)), {}),
    ("tool-ids-are-at-most-40", "an empty id", asked(user(), calling(call("")), result("")), {}),
    ("tool-ids-are-at-most-40", "an id of 10 characters where 9 are the rule", asked(user(), calling(call("call_12345")), result("call_12345")), {"model": "ordered"}),
    ("tool-ids-are-distinct-in-a-message", "one id for two calls", asked(user(), calling(call(), call()), result()), {}),
    ("every-call-is-answered-at-once", "a call without an answer", asked(user(), calling(call()), user()), {}),
    ("every-call-is-answered-at-once", "one of two calls answered", asked(user(), calling(call("a"), call("b")), result("a")), {}),
    ("every-call-is-answered-at-once", "the user speaks between the answers", asked(user(), calling(call("a"), call("b")), result("a"), user(), result("b")), {}),
    ("tool-messages-answer-a-call", "an answer to no call", asked(user(), result()), {}),
    ("tool-messages-answer-a-call", "two answers to one call", loop(result()), {}),
    ("some-servers-want-the-tools-name", "a tool message without the tool's name", asked(user(), calling(call(), content=""), result(), tools=[WEATHER]), {"model": "compatible"}),
    ("some-servers-want-the-assistant-after-a-tool", "the user right after a tool", asked(user(), calling(call("abcdefghi")), result("abcdefghi"), user()), {"model": "ordered"}),
]  # fmt: skip

TAKEN: Final[list[tuple[str, dict[str, Any], dict[str, Any]]]] = [
    ("a plain question", hello(), {}),
    ("every ordinary field at once", hello(stream=True, stream_options={"include_usage": True}, temperature=1.7, top_p=0.5, seed=7, stop=["a", "b", "c", "d"], n=2, logprobs=True, top_logprobs=3, user="u", store=False, presence_penalty=-1), {}),
    ("system and developer, several of them", asked({"role": "system", "content": "a"}, {"role": "developer", "content": [part("text", "b")]}, user()), {}),
    ("only a system message", asked({"role": "system", "content": "a"}), {}),
    ("the assistant begins", asked(assistant("Hi"), user()), {}),
    ("empty texts", asked(user(""), assistant(""), user([part("text", "")])), {}),
    ("a tool loop", loop(), {}),
    ("parallel calls answered in another order", asked(user(), calling(call("a"), call("b")), result("b"), result("a", [part("text", "x")]), user(), tools=[WEATHER]), {}),
    ("an SDK's own message sent back", asked(user(), assistant("x", refusal=None, annotations=[]), user()), {}),
    ("a refusal sent back", asked(user(), assistant(None, refusal="No."), user()), {}),
    ("broken arguments in history", asked(user(), calling(call(arguments='{"a')), result(), tools=[WEATHER]), {}),
    ("pictures, audio and files", asked(user([part("text", "x", prompt_cache_breakpoint=BREAKPOINT), part("image_url", {"url": PNG, "detail": "low"}), part("image_url", {"url": "https://x/y.png"}), part("input_audio", {"data": "eA==", "format": "wav"}), part("file", {"file_data": "data:application/pdf;base64,eA==", "filename": "x.pdf"}), part("file", {"file_id": "file-1"})])), {}),
    ("a reasoning model with its own fields", hello(max_completion_tokens=99, reasoning_effort="high", temperature=1, verbosity="low"), {"model": "thinker"}),
    ("a function without parameters", hello(tools=[{"type": "function", "function": {"name": "f"}}]), {}),
    ("a strict function", hello(tools=[tool(strict=True, parameters=CLOSED)]), {}),
    ("one function chosen", hello(tools=[WEATHER, PATCH], tool_choice=part("function", {"name": "get_weather"}), parallel_tool_calls=False), {}),
    ("a choice among some", hello(tools=[WEATHER], tool_choice=part("allowed_tools", {"mode": "required", "tools": [part("function", {"name": "get_weather"})]})), {}),
    ("a custom call and its answer", asked(user(), calling({"id": "call_1", "type": "custom", "custom": {"name": "apply_patch", "input": "***"}}), result(), tools=[PATCH]), {}),
    ("a strict schema for the answer", with_format(named(strict=True, schema=CLOSED)), {}),
    ("a loose schema for the answer", with_format(named(schema=SCHEMA)), {}),
    ("json mode", with_format({"type": "json_object"}, "Answer in JSON."), {}),
    ("stored with metadata", hello(store=True, metadata={"a": "b"}), {}),
    ("DeepSeek's tool turn with an empty reasoning_content", asked(user(), calling(call(), reasoning_content=""), result(), tools=[WEATHER]), {"model": "deepseek"}),
    ("a cache mark on a tool, as pi sends it to OpenRouter", hello(tools=[{**WEATHER, "cache_control": {"type": "ephemeral"}}]), {"model": "openrouter"}),
    ("OpenRouter's details sent back as they were", asked(user(), assistant("x", reasoning="Think.", reasoning_details=details("Think.")), user([part("text", "y", cache_control={"type": "ephemeral"})]), reasoning={"effort": "high"}), {"model": "openrouter"}),
    ("what a simple compatible server likes", asked({"role": "system", "content": "a"}, user(), calling(call(), content=""), result(name="get_weather"), tools=[WEATHER], max_tokens=9), {"model": "compatible"}),
    ("Gemini's signature where it belongs", asked(user(), calling({**call(), "extra_content": {}}), result()), {"traits": {"call_extras": frozenset({"extra_content"})}}),
    ("a bridge between tool and user", asked(user(), calling(call("abcdefghi")), result("abcdefghi"), assistant("ok"), user()), {"model": "ordered"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "body", "options"),
    [(row[0], row[2], row[3]) for row in REFUSED],
    ids=[f"{row[0]}: {row[1]}" for row in REFUSED],
)
def test_chat_completions_refuse(rule: str, body: dict[str, Any], options: dict[str, Any]) -> None:
    verdict = judged(body, **options)

    assert verdict is not None, "nobody objected"
    assert verdict.rule == rule, verdict.objection.words


@pytest.mark.parametrize(("body", "options"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_chat_completions_take(body: dict[str, Any], options: dict[str, Any]) -> None:
    assert judged(body, **options) is None


def test_every_chat_rule_is_seen_refusing() -> None:
    shown = {row[0] for row in REFUSED}

    assert shown == {rule.id for rule in CHAT_RULES.rules}


def test_no_two_chat_rules_share_an_id_and_each_names_its_source() -> None:
    ids = [rule.id for rule in CHAT_RULES.rules]

    assert len(ids) == len(set(ids))
    assert all(rule.source for rule in CHAT_RULES.rules)
