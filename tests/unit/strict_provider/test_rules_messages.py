"""Each rule of the Messages API refuses what it should, and leaves real requests alone."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, Final

import pytest

from support.strict_provider.rulebook import Case, Verdict
from support.strict_provider.rules_messages import MESSAGES_RULES
from support.strict_provider.rules_messages_turns import prefix_digest
from support.strict_provider.traits import Catalog, MessagesTraits
from support.strict_provider.vault import Vault, digest

VAULT: Final = Vault(b"messages")
PNG: Final = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
JPEG: Final = base64.b64encode(b"\xff\xd8\xff" + bytes(16)).decode()
PDF: Final = base64.b64encode(b"%PDF-1.7 ").decode()
MARK: Final = {"type": "ephemeral"}
BETA: Final = "interleaved-thinking-2025-05-14"
THOUGHT: Final = "Let me think."

WEATHER: Final[dict[str, Any]] = {
    "name": "get_weather",
    "description": "Weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
STRICT: Final[dict[str, Any]] = {
    **WEATHER,
    "strict": True,
    "input_schema": {**WEATHER["input_schema"], "additionalProperties": False},
}
THINK: Final = {"type": "enabled", "budget_tokens": 1024}
LOGIN_BETA: Final = {"anthropic-beta": "claude-code-20250219,oauth-2025-04-20"}
IDENTITY: Final = {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def user(*content: Any) -> dict[str, Any]:
    return {
        "role": "user",
        "content": content[0] if len(content) == 1 and isinstance(content[0], str) else list(content),
    }


def assistant(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def call(call_id: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "get_weather", "input": {"city": "Paris"}, **more}


def result(call_id: str = "toolu_1", content: Any = "sunny", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def thinking(words: str = THOUGHT, *, model: str = "thinker", prefix: str = "") -> dict[str, Any]:
    sealed = VAULT.seal("thinking", model=model, text=digest(words), prefix=prefix)
    return {"type": "thinking", "thinking": words, "signature": sealed}


def redacted() -> dict[str, Any]:
    return {
        "type": "redacted_thinking",
        "data": VAULT.seal("thinking", model="thinker", text=digest(""), prefix=""),
    }


def image(media_type: str = "image/png", data: str = PNG) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def loop(*after: dict[str, Any], first: tuple[Any, ...] = (), **more: Any) -> dict[str, Any]:
    """A question, a call with its result, and what comes after."""
    return asked(
        [user("Weather?"), assistant(*first, call()), user(result()), *after], tools=[WEATHER], **more
    )


def asked(messages: Any, **more: Any) -> dict[str, Any]:
    body = {"model": "vision", "max_tokens": 100, "messages": messages, **more}
    return {name: value for name, value in body.items() if value is not ...}


def hello(**more: Any) -> dict[str, Any]:
    return asked([user("Hello")], **more)


def strict_tools(count: int) -> list[dict[str, Any]]:
    return [{**STRICT, "name": f"tool_{number}"} for number in range(count)]


def marked(count: int) -> dict[str, Any]:
    return asked([user(*[text(f"part {number}", cache_control=MARK) for number in range(count)])])


def tool(**schema: Any) -> dict[str, Any]:
    return {"name": "f", "input_schema": {"type": "object", **schema}}


def judged(
    body: dict[str, Any],
    *,
    model: str = "vision",
    traits: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    login: bool = False,
    counting: bool = False,
) -> Verdict | None:
    found = Catalog().find(model)
    assert found is not None
    changed: MessagesTraits = replace(found.messages, **(traits or {}))
    sent = {"anthropic-version": "2023-06-01", **(headers or {})}
    sent = {name: value for name, value in sent.items() if value}
    case = Case(body=body, traits=changed, vault=VAULT, headers=sent, login=login, counting=counting)
    return MESSAGES_RULES.judge(case)


PREFIXED: Final = thinking(
    model="adaptive", prefix=prefix_digest({"system": "Be brief.", "tools": [WEATHER]})
)

REFUSED: Final[list[tuple[str, str, dict[str, Any], dict[str, Any]]]] = [
    ("the-version-header-is-required", "no version header", hello(), {"headers": {"anthropic-version": ""}}),
    ("the-version-header-is-required", "a version nobody knows", hello(), {"headers": {"anthropic-version": "2"}}),
    ("every-beta-is-known", "an invented beta", hello(), {"headers": {"anthropic-beta": f"{BETA},made-up-2026-01-01"}}),
    ("every-beta-is-known", "a beta without a date", hello(), {"headers": {"anthropic-beta": "oauth"}}),
    ("strings-have-no-lone-surrogates", "half an emoji in a text", asked([user("x\ud83d")]), {}),
    ("strings-have-no-lone-surrogates", "half an emoji in a tool input", loop(first=(call("t2", input={"\udc00": 1}),)), {}),
    ("model-messages-and-max-tokens-are-required", "no max_tokens", hello(max_tokens=...), {}),
    ("model-messages-and-max-tokens-are-required", "no messages", {"model": "vision", "max_tokens": 9}, {}),
    ("top-level-fields-are-known", "an OpenAI field", hello(frequency_penalty=0), {}),
    ("top-level-fields-are-known", "parallel_tool_calls", hello(parallel_tool_calls=False), {}),
    ("top-level-fields-are-known", "disable_parallel_tool_use at the top", hello(disable_parallel_tool_use=True), {}),
    ("top-level-fields-are-known", "a beta field without its beta", hello(context_management={"edits": []}), {}),
    ("top-level-fields-are-known", "max_tokens when counting", hello(), {"counting": True}),
    ("top-level-fields-have-the-right-type", "max_tokens as text", hello(max_tokens="100"), {}),
    ("top-level-fields-have-the-right-type", "stop_sequences as text", hello(stop_sequences="END"), {}),
    ("top-level-fields-have-the-right-type", "stream null", hello(stream=None), {}),
    ("top-level-fields-have-the-right-type", "an OpenAI service tier", hello(service_tier="flex"), {}),
    ("top-level-fields-have-the-right-type", "tool_choice as a word", hello(tool_choice="auto", tools=[WEATHER]), {}),
    ("max-tokens-is-within-the-model", "more than the model can say", hello(max_tokens=64_001), {}),
    ("max-tokens-is-within-the-model", "a negative limit", hello(max_tokens=-1), {}),
    ("temperature-is-between-0-and-1", "a temperature of 1.7", hello(temperature=1.7), {}),
    ("temperature-is-between-0-and-1", "a negative top_p", hello(top_p=-0.1), {}),
    ("sampling-is-gone-from-newer-models", "a temperature for Opus 4.7", hello(temperature=1.0), {"model": "claude-opus-4-7"}),
    ("sampling-is-gone-from-newer-models", "top_k for an adaptive model", hello(top_k=5), {"model": "adaptive"}),
    ("temperature-and-top-p-exclude-each-other", "both for Opus 4.1", hello(temperature=0.5, top_p=0.9), {"model": "claude-opus-4-1"}),
    ("stop-sequences-are-not-blank", "a stop of spaces", hello(stop_sequences=["END", "  "]), {}),
    ("stop-sequences-are-not-blank", "a stop that is a number", hello(stop_sequences=[7]), {}),
    ("metadata-holds-only-a-user-id", "another metadata key", hello(metadata={"user_id": "u", "session": "s"}), {}),
    ("metadata-holds-only-a-user-id", "a very long user id", hello(metadata={"user_id": "u" * 257}), {}),
    ("system-is-text", "a picture in the system prompt", hello(system=[image()]), {}),
    ("system-is-text", "a bare string among the blocks", hello(system=["Be brief."]), {}),
    ("system-blocks-are-not-empty", "an empty system block", hello(system=[text("")]), {}),
    ("system-blocks-are-not-empty", "a system block of spaces", hello(system=[text(" \n")]), {}),
    ("thinking-is-well-formed", "no budget", hello(thinking={"type": "enabled"}), {"model": "thinker"}),
    ("thinking-is-well-formed", "a budget with adaptive", hello(thinking={"type": "adaptive", "budget_tokens": 2048}), {"model": "adaptive"}),
    ("thinking-is-well-formed", "a type nobody knows", hello(thinking={"type": "auto"}), {"model": "thinker"}),
    ("thinking-is-well-formed", "no type", hello(thinking={}), {"model": "thinker"}),
    ("the-model-can-think-as-asked", "thinking on a model that cannot", hello(thinking=THINK, max_tokens=2000), {}),
    ("the-model-can-think-as-asked", "adaptive on a budget model", hello(thinking={"type": "adaptive"}), {"model": "thinker"}),
    ("the-model-can-think-as-asked", "a budget on an adaptive model", hello(thinking=THINK, max_tokens=2000), {"model": "adaptive"}),
    ("the-model-can-think-as-asked", "disabling what cannot be disabled", hello(thinking={"type": "disabled"}), {"traits": {"can_disable": False}}),
    ("the-thinking-budget-is-at-least-1024", "a budget of 1023", hello(thinking={**THINK, "budget_tokens": 1023}, max_tokens=2000), {"model": "thinker"}),
    ("the-thinking-budget-is-below-max-tokens", "a budget as large as the limit", hello(thinking=THINK, max_tokens=1024), {"model": "thinker"}),
    ("the-thinking-budget-is-below-max-tokens", "interleaved thinking without tools", hello(thinking=THINK, max_tokens=1024), {"model": "thinker", "headers": {"anthropic-beta": "interleaved-thinking-2025-05-14"}}),
    ("thinking-excludes-sampling", "a temperature while thinking", hello(thinking=THINK, max_tokens=2000, temperature=0.5), {"model": "thinker"}),
    ("thinking-excludes-sampling", "top_p while thinking", hello(thinking=THINK, max_tokens=2000, top_p=0.9), {"model": "thinker"}),
    ("thinking-excludes-sampling", "top_k while thinking", hello(thinking=THINK, max_tokens=2000, top_k=5), {"model": "thinker"}),
    ("thinking-excludes-forced-tools", "any while thinking", hello(thinking=THINK, max_tokens=2000, tools=[WEATHER], tool_choice={"type": "any"}), {"model": "thinker"}),
    ("output-config-is-well-formed", "OpenAI's json_schema wrapper", hello(output_config={"format": {"type": "json_schema", "json_schema": {}}}), {}),
    ("output-config-is-well-formed", "an effort nobody knows", hello(output_config={"effort": "minimal"}), {"model": "adaptive"}),
    ("beta-fields-inside-others-need-their-beta", "block_binding without its beta", hello(thinking={"type": "adaptive", "block_binding": {}}), {"model": "adaptive"}),
    ("beta-fields-inside-others-need-their-beta", "updates without their beta", hello(thinking={"type": "adaptive", "display": "updates"}), {"model": "adaptive"}),
    ("beta-fields-inside-others-need-their-beta", "task_budget without its beta", hello(output_config={"task_budget": {}}), {"model": "adaptive"}),
    ("the-model-takes-this-effort", "an effort on a budget model", hello(output_config={"effort": "low"}), {"model": "thinker"}),
    ("the-model-takes-this-effort", "xhigh on a model without it", hello(output_config={"effort": "xhigh"}), {"model": "claude-opus-4-6"}),
    ("the-output-schema-is-json-schema", "an unknown type", hello(output_config={"format": {"type": "json_schema", "schema": {"type": "text"}}}), {}),
    ("the-output-schema-is-within-the-strict-subset", "an open object", hello(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}), {}),
    ("the-output-schema-is-within-the-strict-subset", "a model without structured output", hello(output_config={"format": {"type": "json_schema", "schema": {"type": "string"}}}), {"model": "compatible"}),
    ("a-subscription-login-names-its-beta", "a login without the oauth beta", hello(system=[IDENTITY]), {"login": True}),
    ("a-subscription-login-introduces-itself", "a login without the identity", hello(system="Be brief."), {"login": True, "headers": LOGIN_BETA}),
    ("a-subscription-login-introduces-itself", "the identity glued to more text", hello(system=IDENTITY["text"] + "\nBe brief."), {"login": True, "headers": LOGIN_BETA}),
    ("the-prompt-fits-the-context", "a prompt of 2,500 tokens in a window of 2,000", asked([user("word " * 2_000)]), {"model": "small"}),
    ("there-is-a-message", "no message at all", asked([], system="Be brief."), {}),
    ("messages-are-well-formed", "a name on a message", asked([{**user("Hi"), "name": "bob"}]), {}),
    ("messages-are-well-formed", "null content", asked([{"role": "user", "content": None}]), {}),
    ("messages-are-well-formed", "a message that is a string", asked(["Hi"]), {}),
    ("messages-are-well-formed", "output_config on a system message without its beta", asked([user("Hi"), {"role": "system", "content": [], "output_config": {}}]), {"model": "adaptive"}),
    ("roles-are-user-and-assistant", "a tool role", asked([user("Hi"), {"role": "tool", "content": "x"}]), {}),
    ("roles-are-user-and-assistant", "a developer role", asked([{"role": "developer", "content": "x"}]), {}),
    ("roles-are-user-and-assistant", "a system message for an older model", asked([user("Hi"), {"role": "system", "content": "x"}]), {}),
    ("blocks-are-of-a-kind-their-place-allows", "an OpenAI part", asked([user({"type": "image_url", "image_url": {"url": "x"}})]), {}),
    ("blocks-are-of-a-kind-their-place-allows", "a picture by the assistant", asked([user("Hi"), assistant(image())]), {}),
    ("blocks-are-of-a-kind-their-place-allows", "a call by the user", asked([user(call())]), {}),
    ("blocks-are-of-a-kind-their-place-allows", "a block without a type", asked([user({"text": "x"})]), {}),
    ("blocks-are-of-a-kind-their-place-allows", "a call inside a result", loop(user("x"), first=(call("t2"),)) | {"messages": [user(result(content=[call()]))]}, {}),
    ("blocks-are-well-formed", "an unknown key in a block", asked([user(text("x", annotations=[]))]), {}),
    ("blocks-are-well-formed", "arguments as text", asked([user("Hi"), assistant(call(input="{}")), user(result())]), {}),
    ("blocks-are-well-formed", "a call without an id", asked([user("Hi"), assistant({"type": "tool_use", "name": "f", "input": {}})]), {}),
    ("blocks-are-well-formed", "thinking without a signature", asked([user("Hi"), assistant({"type": "thinking", "thinking": "x"}, text("y"))]), {}),
    ("blocks-are-well-formed", "a cache mark on thinking", loop(first=({**thinking(), "cache_control": MARK},)), {"model": "thinker"}),
    ("cache-marks-stand-on-no-empty-text", "a mark on an empty text", asked([user("Hi"), user(text("x"), text("", cache_control=MARK))]), {}),
    ("content-is-not-empty", "an empty list", asked([user("Hi"), {"role": "user", "content": []}]), {}),
    ("content-is-not-empty", "an empty string", asked([user(""), user("Hi")]), {}),
    ("content-is-not-empty", "an empty assistant message that is not the last", asked([user("Hi"), assistant(""), user("x")]), {}),
    ("text-is-not-blank", "an empty text block", asked([user(text(""), text("x"))]), {}),
    ("text-is-not-blank", "a text block of spaces", asked([user(text("  \n"))]), {}),
    ("text-is-not-blank", "a string of spaces", asked([user("   ")]), {}),
    ("text-is-not-blank", "an empty text inside a result", asked([user("Hi"), assistant(call()), user(result(content=[text("")]))], tools=[WEATHER]), {}),
    ("error-results-hold-only-text", "a picture in an error result", asked([user("Hi"), assistant(call()), user(result(content=[text("x"), image()], is_error=True))], tools=[WEATHER]), {}),
    ("sources-are-well-formed", "an image source without media type", asked([user({"type": "image", "source": {"type": "base64", "data": PNG}})]), {}),
    ("sources-are-well-formed", "an image of plain text", asked([user({"type": "image", "source": {"type": "text", "data": "x", "media_type": "text/plain"}})]), {}),
    ("the-model-can-see", "a picture for a model without eyes", asked([user(image())]), {"model": "text"}),
    ("the-model-can-see", "a picture in a result for a model without eyes", asked([user("Hi"), assistant(call()), user(result(content=[image()]))], tools=[WEATHER]), {"model": "text"}),
    ("pictures-are-what-they-say", "a bitmap", asked([user(image("image/bmp"))]), {}),
    ("pictures-are-what-they-say", "a JPEG called PNG", asked([user(image("image/png", JPEG))]), {}),
    ("pictures-are-what-they-say", "URL-safe base64", asked([user(image("image/jpeg", JPEG.replace("/", "_")))]), {}),
    ("pictures-are-what-they-say", "a whole data URL", asked([user(image(data=f"data:image/png;base64,{PNG}"))]), {}),
    ("pictures-are-what-they-say", "more than 5 MB", asked([user(image(data=base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(5 * 1024 * 1024)).decode()))]), {}),
    ("pictures-are-what-they-say", "a plain http address", asked([user({"type": "image", "source": {"type": "url", "url": "http://x/y.png"}})]), {}),
    ("documents-are-what-they-say", "a text file as base64", asked([user({"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "eA=="}})]), {}),
    ("documents-are-what-they-say", "a PDF that is none", asked([user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "eA=="}})]), {}),
    ("cache-marks-are-well-formed", "a scope", hello(system=[text("x", cache_control={**MARK, "scope": "global"})]), {}),
    ("cache-marks-are-well-formed", "a ttl of 30 minutes", hello(cache_control={**MARK, "ttl": "30m"}), {}),
    ("cache-marks-are-well-formed", "another type", hello(tools=[{**WEATHER, "cache_control": {"type": "persistent"}}]), {}),
    ("cache-marks-are-at-most-four", "five marks", marked(5), {}),
    ("cache-marks-are-at-most-four", "four marks and one at the top", {**marked(4), "cache_control": MARK}, {}),
    ("longer-cache-marks-come-first", "an hour after five minutes", hello(tools=[{**WEATHER, "cache_control": MARK}], system=[text("x", cache_control={**MARK, "ttl": "1h"})]), {}),
    ("the-first-message-is-the-users", "the assistant begins", asked([assistant("Hi"), user("Hello")]), {}),
    ("tool-ids-are-of-the-charset", "an id with a bar", asked([user("Hi"), assistant(call("call_ab|cd")), user(result("call_ab|cd"))], tools=[WEATHER]), {}),
    ("tool-ids-are-of-the-charset", "an id of 65 characters", asked([user("Hi"), assistant(call("t" * 65)), user(result("t" * 65))], tools=[WEATHER]), {}),
    ("tool-ids-are-unique", "one id in two turns", loop(assistant(call()), user(result())), {}),
    ("every-call-is-answered-in-the-next-message", "a call without a result", asked([user("Hi"), assistant(call()), user("And?")], tools=[WEATHER]), {}),
    ("every-call-is-answered-in-the-next-message", "one of two calls answered", asked([user("Hi"), assistant(call("a"), call("b")), user(result("a"))], tools=[WEATHER]), {}),
    ("every-call-is-answered-in-the-next-message", "results in two messages", asked([user("Hi"), assistant(call("a"), call("b")), user(result("a")), user(result("b"))], tools=[WEATHER]), {}),
    ("every-call-is-answered-in-the-next-message", "a call at the very end", asked([user("Hi"), assistant(call())], tools=[WEATHER]), {}),
    ("every-call-is-answered-in-the-next-message", "a system message between call and result", asked([user("Hi"), assistant(call()), {"role": "system", "content": "x"}, user(result())], tools=[WEATHER]), {"model": "adaptive"}),
    ("tool-results-come-first", "a text before the result", asked([user("Hi"), assistant(call()), user(text("Here:"), result())], tools=[WEATHER]), {}),
    ("every-result-answers-a-call", "a result without a call", asked([user("Hi"), assistant("x"), user(result())], tools=[WEATHER]), {}),
    ("every-result-answers-a-call", "a result one turn late", loop(assistant("x"), user(result())), {}),
    ("every-call-has-one-result", "two results for one call", asked([user("Hi"), assistant(call()), user(result(), result())], tools=[WEATHER]), {}),
    ("an-assistant-message-does-not-end-in-thinking", "nothing after the thinking", asked([user("Hi"), assistant(thinking()), user("x")]), {"model": "thinker"}),
    ("signatures-are-not-empty", "an empty signature", asked([user("Hi"), assistant({**thinking(), "signature": ""}, text("x")), user("y")]), {"model": "thinker"}),
    ("thinking-is-replayed-byte-for-byte", "an invented signature", asked([user("Hi"), assistant({**thinking(), "signature": "c2lnbmF0dXJl"}, text("x")), user("y")]), {"model": "thinker"}),
    ("thinking-is-replayed-byte-for-byte", "a gateway's envelope", asked([user("Hi"), assistant({**thinking(), "signature": "gw1.openai.gpt.abc"}, text("x")), user("y")]), {"model": "thinker"}),
    ("thinking-is-replayed-byte-for-byte", "one space more in the text", asked([user("Hi"), assistant({**thinking(), "thinking": THOUGHT + " "}, text("x")), user("y")]), {"model": "thinker"}),
    ("redacted-thinking-is-replayed-byte-for-byte", "altered redacted data", asked([user("Hi"), assistant({"type": "redacted_thinking", "data": "eA=="}, text("x")), user("y")]), {"model": "thinker"}),
    ("thinking-returns-to-its-own-model", "thinking of another model", asked([user("Hi"), assistant(thinking(model="adaptive"), text("x")), user("y")]), {"model": "thinker"}),
    ("thinking-returns-to-its-own-model", "another system prompt than the signature covers", loop(first=(PREFIXED,), system="Be long."), {"model": "adaptive"}),
    ("a-thinking-tool-turn-starts-with-thinking", "a bare call while thinking", loop(thinking=THINK, max_tokens=2000), {"model": "thinker"}),
    ("a-thinking-tool-turn-starts-with-thinking", "a text before the thinking", loop(first=(text("x"), thinking()), thinking=THINK, max_tokens=2000), {"model": "thinker"}),
    ("only-some-models-continue-a-prefill", "a prefill for a model without", asked([user("Hi"), assistant("I")]), {"model": "adaptive"}),
    ("only-some-models-continue-a-prefill", "a prefill while thinking", asked([user("Hi"), assistant("I")], thinking=THINK, max_tokens=2000), {"model": "thinker"}),
    ("a-prefill-does-not-end-in-whitespace", "a prefill with a space", asked([user("Hi"), assistant("I ")]), {}),
    ("tools-are-of-a-known-type", "an OpenAI tool", hello(tools=[{"type": "function", "function": {"name": "f"}}]), {}),
    ("tools-are-of-a-known-type", "an undated server tool", hello(tools=[{"type": "web_search", "name": "web_search"}]), {}),
    ("custom-tools-are-well-formed", "no input_schema", hello(tools=[{"name": "f"}]), {}),
    ("custom-tools-are-well-formed", "parameters", hello(tools=[{**WEATHER, "parameters": {}}]), {}),
    ("tool-names-are-of-the-charset", "a dot in a name", hello(tools=[{**WEATHER, "name": "crm.get"}]), {}),
    ("tool-names-are-of-the-charset", "a name of 129 characters", hello(tools=[{**WEATHER, "name": "n" * 129}]), {}),
    ("tool-names-are-unique", "two tools of one name", hello(tools=[WEATHER, WEATHER]), {}),
    ("a-tools-schema-is-json-schema", "properties as a list", hello(tools=[tool(properties=[])]), {}),
    ("a-tools-schema-is-json-schema", "a property that is a string", hello(tools=[tool(properties={"city": "string"})]), {}),
    ("a-tools-schema-is-json-schema", "an empty anyOf below the root", hello(tools=[tool(properties={"city": {"anyOf": []}})]), {}),
    ("a-tools-schema-describes-an-object", "a schema without a type", hello(tools=[{"name": "f", "input_schema": {"properties": {}}}]), {}),
    ("a-tools-schema-describes-an-object", "the tool's own type in its schema", hello(tools=[{"name": "f", "input_schema": {"type": "custom"}}]), {}),
    ("a-tools-schema-has-no-choice-at-its-root", "anyOf at the root", hello(tools=[tool(anyOf=[{}])]), {}),
    ("a-strict-tools-schema-is-within-the-subset", "a strict schema with a minimum", hello(tools=[{**tool(additionalProperties=False, properties={"n": {"type": "integer", "minimum": 1}}), "strict": True}]), {}),
    ("a-strict-tools-schema-is-within-the-subset", "a strict open object", hello(tools=[{**WEATHER, "strict": True}]), {}),
    ("a-strict-tools-schema-is-within-the-subset", "too many strict tools", hello(tools=strict_tools(21)), {}),
    ("one-tool-is-not-deferred", "every tool deferred", hello(tools=[{**WEATHER, "defer_loading": True}]), {}),
    ("tool-choice-is-well-formed", "OpenAI's required", hello(tools=[WEATHER], tool_choice={"type": "required"}), {}),
    ("tool-choice-is-well-formed", "a flag on none", hello(tools=[WEATHER], tool_choice={"type": "none", "disable_parallel_tool_use": True}), {}),
    ("tool-choice-is-well-formed", "a tool without its name", hello(tools=[WEATHER], tool_choice={"type": "tool"}), {}),
    ("tool-choice-comes-with-tools", "a choice among nothing", hello(tool_choice={"type": "auto"}), {}),
    ("the-chosen-tool-is-offered", "a tool that is not there", hello(tools=[WEATHER], tool_choice={"type": "tool", "name": "other"}), {}),
    ("history-with-tools-comes-with-tools", "calls in history without tools", {**loop(), "tools": []}, {"traits": {"needs_tools_with_history": True}}),
]  # fmt: skip

TAKEN: Final[list[tuple[str, dict[str, Any], dict[str, Any]]]] = [
    ("a plain question", hello(), {}),
    ("the newer version header", hello(), {"headers": {"anthropic-version": "2026-10-21"}}),
    ("every ordinary field at once", hello(system="Be brief.", temperature=0.5, top_k=5, stop_sequences=["END"], stream=True, metadata={"user_id": "u"}, service_tier="auto"), {}),
    ("cache prewarming with max_tokens 0", hello(max_tokens=0), {}),
    ("a budget for all turns of interleaved thinking", hello(thinking=THINK, max_tokens=1024, tools=[WEATHER]), {"model": "thinker", "headers": {"anthropic-beta": "interleaved-thinking-2025-05-14"}}),
    ("an empty system string", hello(system=""), {}),
    ("counting without max_tokens", hello(max_tokens=..., tools=[WEATHER]), {"counting": True}),
    ("a tool loop", loop(), {}),
    ("a loop in which results and words share a message", asked([user("Hi"), assistant(text("I look."), call("a"), call("b")), user(result("b"), result("a"), text("Go on."))], tools=[WEATHER]), {}),
    ("a result with text and picture", asked([user("Hi"), assistant(call()), user(result(content=[text("x"), image()]))], tools=[WEATHER]), {}),
    ("a result without content", asked([user("Hi"), assistant(call()), user({"type": "tool_result", "tool_use_id": "toolu_1"})], tools=[WEATHER]), {}),
    ("an error result of text", asked([user("Hi"), assistant(call()), user(result(is_error=True))], tools=[WEATHER]), {}),
    ("consecutive user messages", asked([user("Hi"), user("Hello?")]), {}),
    ("a prefill for a model that continues it", asked([user("Hi"), assistant("I")]), {}),
    ("an empty last assistant message", asked([user("Hi"), assistant("")]), {}),
    ("pictures and documents", asked([user(image(), image("image/jpeg", JPEG), {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}, {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "T"}, {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}})]), {}),
    ("four cache marks, the long ones first", asked([user(text("a", cache_control=MARK), text("b", cache_control=MARK))], tools=[{**WEATHER, "cache_control": {**MARK, "ttl": "1h"}}], system=[text("x", cache_control=MARK)]), {}),
    ("a cache scope with its beta", hello(system=[text("x", cache_control={**MARK, "scope": "global"})]), {"headers": {"anthropic-beta": "prompt-caching-scope-2026-01-05"}}),
    ("thinking with its signature in a tool loop", loop(first=(thinking(), redacted()), thinking=THINK, max_tokens=2000), {"model": "thinker"}),
    ("thinking with a temperature of 1", hello(thinking=THINK, max_tokens=2000, temperature=1), {"model": "thinker"}),
    ("thinking of earlier turns left out", loop(assistant("Sunny."), user("And tomorrow?"), thinking=THINK, max_tokens=2000), {"model": "thinker"}),
    ("a loop of two steps that began with thinking", loop(assistant(call("t2")), user(result("t2")), first=(thinking(),), thinking=THINK, max_tokens=2000), {"model": "thinker"}),
    ("thinking switched off for a history without it", loop(thinking={"type": "disabled"}), {"model": "thinker"}),
    ("a bare call under adaptive thinking", loop(thinking={"type": "adaptive"}), {"model": "adaptive"}),
    ("adaptive thinking with an effort", hello(thinking={"type": "adaptive", "display": "omitted"}, output_config={"effort": "high"}), {"model": "adaptive"}),
    ("a signature under the system prompt it covers", loop(first=(PREFIXED,), system="Be brief."), {"model": "adaptive"}),
    ("the same system prompt as a block", loop(first=(PREFIXED,), system=[text("Be brief.", cache_control=MARK)]), {"model": "adaptive"}),
    ("block binding with its beta", hello(thinking={"type": "adaptive", "block_binding": {}}), {"model": "adaptive", "headers": {"anthropic-beta": "thinking-binding-controls-2026-08-01"}}),
    ("the same system prompt with a cache mark moved", loop(first=(PREFIXED,), system="Be brief.") | {"tools": [{**WEATHER, "cache_control": MARK}]}, {"model": "adaptive"}),
    ("an empty signature where that is usual", asked([user("Hi"), assistant({"type": "thinking", "thinking": "x", "signature": ""}, text("y")), user("z")]), {"model": "compatible"}),
    ("a system message in the middle for a model that takes it", asked([user("Hi"), assistant("x"), {"role": "system", "content": "Be brief."}, user("y")]), {"model": "claude-opus-4-7"}),
    ("context management with its beta", hello(context_management={"edits": []}), {"headers": {"anthropic-beta": "context-management-2025-06-27"}}),
    ("structured output", hello(output_config={"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}}}), {}),
    ("a named tool, one at a time", hello(tools=[{**WEATHER, "type": "custom"}, {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}], tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}), {}),
    ("no tool at all, please", hello(tools=[STRICT], tool_choice={"type": "none"}), {}),
    ("a choice below the root of a schema", hello(tools=[tool(properties={"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}})]), {}),
    ("a property called type, and one called anyOf", hello(tools=[tool(properties={"type": {"type": "string"}, "anyOf": {"type": "string"}})]), {}),
    ("a subscription login that says who it is", hello(system=[IDENTITY, text("Be brief.")]), {"login": True, "headers": LOGIN_BETA}),
    ("a subscription login that counts", hello(max_tokens=...), {"login": True, "counting": True, "headers": LOGIN_BETA}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "body", "options"),
    [(row[0], row[2], row[3]) for row in REFUSED],
    ids=[f"{row[0]}: {row[1]}" for row in REFUSED],
)
def test_the_messages_api_refuses(rule: str, body: dict[str, Any], options: dict[str, Any]) -> None:
    verdict = judged(body, **options)

    assert verdict is not None, "nobody objected"
    assert verdict.rule == rule, verdict.objection.words


@pytest.mark.parametrize(("body", "options"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_the_messages_api_takes(body: dict[str, Any], options: dict[str, Any]) -> None:
    assert judged(body, **options) is None


def test_every_messages_rule_is_seen_refusing() -> None:
    shown = {row[0] for row in REFUSED}

    assert shown == {rule.id for rule in MESSAGES_RULES.rules}


def test_no_two_messages_rules_share_an_id_and_each_names_its_source() -> None:
    ids = [rule.id for rule in MESSAGES_RULES.rules]

    assert len(ids) == len(set(ids))
    assert all(rule.source for rule in MESSAGES_RULES.rules)
