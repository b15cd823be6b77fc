"""Anthropic Messages: the order of turns, calls and their results, replayed thinking, prefill.

Sources: dialects.md §7 (tool results, orphan calls, first message, trailing assistant), §1.3 and §3 (thinking).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.anthropic_words import no
from support.strict_provider.rulebook import Objection, Rulebook
from support.strict_provider.rules_messages_blocks import blocks, turns
from support.strict_provider.rules_messages_body import MessagesCase, thinking_on
from support.strict_provider.traits import MessagesTraits
from support.strict_provider.vault import digest

__all__ = ["TURNS", "prefix_digest"]

TURNS: Final[Rulebook[MessagesTraits]] = Rulebook()

TOOL_ID: Final = re.compile(r"^[a-zA-Z0-9_-]+$")
TOOL_ID_MAX: Final = 64
THOUGHTS: Final = ("thinking", "redacted_thinking")


def prefix_digest(body: dict[str, Any]) -> str:
    """Return what a signature of a prefix-binding model covers besides its text; a string is one block."""
    system = body.get("system") or []
    blocks_of_system = [{"type": "text", "text": system}] if isinstance(system, str) else system
    return digest([blocks_of_system, body.get("tools") or []])


def _content(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _of_kind(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [block for block in _content(message) if block["type"] == kind]


@TURNS.rule(
    "the-first-message-is-the-users",
    "dialects.md §7 Role order: first must be user†; First message assistant",
)
def first_user(case: MessagesCase) -> Iterator[Objection]:
    """System messages, where taken, do not count."""
    first = next((message["role"] for _, message in turns(case) if message["role"] != "system"), "system")
    if first != "user":
        yield Objection(where="messages.0", words='messages: first message must use the "user" role')


@TURNS.rule(
    "tool-ids-are-of-the-charset", "dialects.md §7 Tool id charset: `^[a-zA-Z0-9_-]+$` (≤64 as practised)"
)
def tool_ids(case: MessagesCase) -> Iterator[Objection]:
    """On calls and on results alike."""
    for path, block in blocks(case):
        field = {"tool_use": "id", "tool_result": "tool_use_id"}.get(block["type"])
        if field is None:
            continue
        where = f"{path}.{block['type']}.{field}"
        if not TOOL_ID.match(block[field]):
            yield no(where, f"String should match pattern '{TOOL_ID.pattern}'")
        elif len(block[field]) > TOOL_ID_MAX:
            yield no(where, f"String should have at most {TOOL_ID_MAX} characters")


@TURNS.rule("tool-ids-are-unique", "dialects.md §7 Id uniqueness: in conversation")
def unique_ids(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "`tool_use` ids must be unique"."""
    seen: set[str] = set()
    for path, block in blocks(case, "assistant"):
        if block["type"] == "tool_use":
            if block["id"] in seen:
                yield no(path, "`tool_use` ids must be unique")
            seen.add(block["id"])


@TURNS.rule(
    "every-call-is-answered-in-the-next-message", "dialects.md §7 Tool results, Orphan call; vectors 4, 5"
)
def answered(case: MessagesCase) -> Iterator[Objection]:
    """Also by a message that is there, and is the user's."""
    messages = case.body["messages"]
    for index, message in turns(case):
        calls = [block["id"] for block in _of_kind(message, "tool_use")]
        following = messages[index + 1] if index + 1 < len(messages) else {"role": "user", "content": []}
        results = {block["tool_use_id"] for block in _of_kind(following, "tool_result")}
        open_calls = [call for call in calls if call not in results]
        if open_calls:
            yield no(
                f"messages.{index}",
                f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(open_calls)}. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
            )


@TURNS.rule("tool-results-come-first", "dialects.md §7 Tool results: before any other block; vectors 1, 4")
def results_first(case: MessagesCase) -> Iterator[Objection]:
    """A text before a result breaks the pairing."""
    for index, message in turns(case):
        kinds = [block["type"] for block in _content(message)]
        if "tool_result" in kinds and "tool_result" in kinds[kinds.count("tool_result") :]:
            yield no(
                f"messages.{index}", "`tool_result` blocks must come before any other block of the message."
            )


@TURNS.rule("every-result-answers-a-call", "dialects.md §7 Orphan result: 400 otherwise")
def orphan_results(case: MessagesCase) -> Iterator[Objection]:
    """The call must stand in the message right before."""
    messages = case.body["messages"]
    for index, message in turns(case):
        previous = messages[index - 1] if index else {"role": "user", "content": []}
        calls = {block["id"] for block in _of_kind(previous, "tool_use")}
        for block in _of_kind(message, "tool_result"):
            if block["tool_use_id"] not in calls:
                yield no(
                    f"messages.{index}.content.0",
                    f"unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
                )


@TURNS.rule("every-call-has-one-result", "vendor words: each tool_use must have a single result")
def single_results(case: MessagesCase) -> Iterator[Objection]:
    """Two results for one call are refused."""
    for index, message in turns(case):
        ids = [block["tool_use_id"] for block in _of_kind(message, "tool_result")]
        for twice in sorted({found for found in ids if ids.count(found) > 1}):
            yield no(
                f"messages.{index}.content",
                f"each tool_use must have a single result. Found multiple `tool_result` blocks with id: {twice}",
            )


@TURNS.rule("an-assistant-message-does-not-end-in-thinking", "vendor words: final block cannot be `thinking`")
def ends_in_thinking(case: MessagesCase) -> Iterator[Objection]:
    """Thinking leads to something."""
    for index, message in turns(case):
        if (
            message["role"] == "assistant"
            and message["content"]
            and _content(message)[-1]["type"] in THOUGHTS
        ):
            yield no(f"messages.{index}", "The final block in an assistant message cannot be `thinking`.")


@TURNS.rule("signatures-are-not-empty", 'dialects.md §3.2: never send `signature:""` to Anthropic; vector 44')
def empty_signatures(case: MessagesCase) -> Iterator[Objection]:
    """Some compatible backends take them; see the trait."""
    for path, block in blocks(case, "assistant"):
        if block["type"] == "thinking" and not block["signature"] and not case.traits.empty_signature:
            yield no(f"{path}.thinking.signature", "Invalid `signature` in `thinking` block")


@TURNS.rule(
    "thinking-is-replayed-byte-for-byte", "dialects.md §3.1: any byte change → Invalid `signature`; vector 43"
)
def signatures(case: MessagesCase) -> Iterator[Objection]:
    """Catches invented signatures and altered text, with the same words."""
    for path, block in blocks(case, "assistant"):
        if block["type"] != "thinking" or not block["signature"]:
            continue
        claims = case.vault.open("thinking", block["signature"])
        if claims is None or claims["text"] != digest(block["thinking"]):
            yield no(f"{path}.thinking.signature", "Invalid `signature` in `thinking` block")


@TURNS.rule("redacted-thinking-is-replayed-byte-for-byte", "dialects.md §3.1 redacted_thinking.data")
def redactions(case: MessagesCase) -> Iterator[Objection]:
    """The data is a token of ours."""
    for path, block in blocks(case, "assistant"):
        if block["type"] == "redacted_thinking" and case.vault.open("thinking", block["data"]) is None:
            yield no(f"{path}.redacted_thinking.data", "Invalid `data` in `redacted_thinking` block")


@TURNS.rule(
    "thinking-returns-to-its-own-model",
    "dialects.md §3.1 scope of validity; §3.2 Same provider, different model",
)
def same_model(case: MessagesCase) -> Iterator[Objection]:
    """Prefix-binding models also want the same system and tools back."""
    for path, claims in _claims(case):
        if claims["model"] != case.traits.model:
            yield no(path, "Invalid `signature` in `thinking` block: it was created by a different model")
        elif case.traits.binds_prefix and claims["prefix"] != prefix_digest(case.body):
            yield no(
                path,
                "Invalid `signature` in `thinking` block: it is bound to a different `system` or `tools`",
            )


def _claims(case: MessagesCase) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, block in blocks(case, "assistant"):
        token = {"thinking": "signature", "redacted_thinking": "data"}.get(block["type"])
        if token and block[token]:
            claims = case.vault.open("thinking", block[token])
            if claims is not None:
                yield f"{path}.{block['type']}.{token}", claims


@TURNS.rule(
    "a-thinking-tool-turn-starts-with-thinking",
    "dialects.md §1.3: Expected `thinking` …, but found `tool_use`",
)
def starts_with_thinking(case: MessagesCase) -> Iterator[Objection]:
    """Budget models look at the tool loop in progress; earlier turns may have been stripped."""
    if case.body.get("thinking", {}).get("type") != "enabled":
        return
    messages = case.body["messages"]
    prompts = [
        index
        for index, message in turns(case)
        if message["role"] == "user" and not _of_kind(message, "tool_result")
    ]
    start = max(prompts, default=-1) + 1
    for index, message in list(turns(case))[start:]:
        if message["role"] != "assistant":
            continue
        first = _content(messages[index])[0]["type"] if message["content"] else "text"
        if first not in THOUGHTS and _of_kind(message, "tool_use"):
            yield no(
                f"messages.{index}.content.0.type",
                f"Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final "
                "`assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and "
                "`tool_result` blocks). To avoid this requirement, disable `thinking`.",
            )
        return


@TURNS.rule(
    "only-some-models-continue-a-prefill", "dialects.md §7 Trailing assistant (prefill): models without → 400"
)
def prefill(case: MessagesCase) -> Iterator[Objection]:
    """And none while thinking."""
    if case.body["messages"][-1]["role"] != "assistant":
        return
    if not case.traits.prefill:
        yield Objection(
            words="This model does not support assistant message prefill. The conversation must end with a user message."
        )
    elif thinking_on(case):
        yield Objection(words="Assistant message prefill is not supported when thinking is enabled.")


@TURNS.rule("a-prefill-does-not-end-in-whitespace", "dialects.md §7 Empty text: final assistant text†")
def prefill_whitespace(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "final assistant content cannot end with trailing whitespace"."""
    last = case.body["messages"][-1]
    if last["role"] != "assistant" or not last["content"]:
        return
    final = _content(last)[-1]
    if final["type"] == "text" and final["text"] != final["text"].rstrip():
        yield no("messages", "final assistant content cannot end with trailing whitespace")
