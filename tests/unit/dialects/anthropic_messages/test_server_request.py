"""A caller's Messages request, read into the hub."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.anthropic_messages import SERVER
from pi_model_proxy.dialects.anthropic_messages.envelope import wrap
from pi_model_proxy.errors import BadRequest, ThreadNotFound
from pi_model_proxy.hub import (
    Block,
    CacheMark,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    Opaque,
    OutputFormat,
    RawBlock,
    ReasoningBlock,
    ReasoningWish,
    Request,
    Sampling,
    TextBlock,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    UrlSource,
)

USER = {"role": "user", "content": "hi"}


def read(**fields: Any) -> Request:
    return SERVER.decode_request(
        json.dumps({"model": "m", "max_tokens": 10, "messages": [USER], **fields}).encode()
    )


def block_of(block: dict[str, Any], role: str = "user") -> Block:
    (turn,) = read(messages=[{"role": role, "content": [block]}]).turns
    return turn.blocks[0]


def test_peek_tells_model_and_stream() -> None:
    seen = SERVER.peek(b'{"model":"a/b","stream":true,"messages":[{"deep":[1]}]}')
    assert (seen.model, seen.stream, seen.wants_usage) == ("a/b", True, True)
    assert SERVER.peek(b"{}").model is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'{"model":1}', "model: must be a string"),
        (b'{"stream":"yes"}', "stream: must be true or false"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (rb'{"a":"\ud83d",}', "not valid JSON"),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_its_place(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        SERVER.peek(body)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        SERVER.decode_request(b'{"model":"\xff"}')


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "tape"}}]}]},
            "messages[0].content[0].source.type",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "a",
                                "content": [{"type": "tool_use", "id": "x", "name": "y"}],
                            }
                        ],
                    }
                ]
            },
            "messages[0].content[0].content[0]",
        ),
        ({"system": 5}, "system"),
        ({"system": [{"type": "text"}]}, "system[0].text"),
        ({"max_tokens": "100"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": 1}, "stream"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences[1]"),
        ({"thinking": "on"}, "thinking"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"tools": [{"name": "t", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_wrong_types_are_refused_with_their_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


def test_null_means_absent() -> None:
    names = (
        "system",
        "max_tokens",
        "stream",
        "temperature",
        "thinking",
        "tools",
        "tool_choice",
        "metadata",
        "output_config",
    )
    request = read(**dict.fromkeys(names))
    assert (request.max_output, request.stream, request.reasoning, request.tools) == (None, False, None, ())


def test_scalars_find_their_place() -> None:
    request = read(
        stop_sequences=["END", ""],
        temperature=0.5,
        top_p=1,
        top_k=4.0,
        stream=True,
        metadata={"user_id": "u", "other": "x", "number": 1},
        service_tier="standard_only",
    )
    assert request.stop == ("END",)
    assert request.sampling == Sampling(temperature=0.5, top_p=1, top_k=4)
    assert (request.stream, request.max_output, request.model) == (True, 10, "m")
    assert (request.end_user, request.service_tier) == ("u", "default")
    assert request.dropped == ("metadata.other", "metadata.number")


@pytest.mark.parametrize(("tier", "dropped"), [("auto", ()), ("priority", ("service_tier",))])
def test_a_tier_that_only_anthropic_has_is_listed(tier: str, dropped: tuple[str, ...]) -> None:
    request = read(service_tier=tier)
    assert (request.service_tier, request.dropped) == (None, dropped)


def test_unknown_fields_are_kept_to_be_listed_and_so_are_unknown_keys_inside() -> None:
    message: dict[str, Any] = {**USER, "provider_specific_fields": {"a": 1}, "tags": [], "id": None}
    request = read(context_management={"edits": []}, messages=[message])
    assert request.extra == {"context_management": {"edits": []}}
    assert request.dropped == ("messages[0].provider_specific_fields",)


def test_a_limit_of_nothing_becomes_the_least_and_is_listed() -> None:
    request = read(max_tokens=0)
    assert (request.max_output, request.dropped) == (1, ("max_tokens",))


def test_system_is_text_or_blocks_with_marks() -> None:
    assert read(system="s").instructions == (TextBlock(text="s", at="system"),)
    blocks = [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert read(system=blocks).instructions == (
        TextBlock(text="a", at="system[0]"),
        TextBlock(text="b", cache=CacheMark(ttl="1h", at="system[1].cache_control"), at="system[1]"),
    )


def test_the_body_s_own_mark_goes_to_the_last_block() -> None:
    request = read(cache_control={"type": "ephemeral", "ttl": "5m"})
    assert request.turns[0].blocks[0] == TextBlock(
        text="hi", cache=CacheMark(ttl="5m", at="cache_control"), at="messages[0].content"
    )
    marked = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    request = read(
        cache_control={"type": "ephemeral", "ttl": "1h"}, messages=[{"role": "user", "content": marked}]
    )
    assert request.turns[0].blocks[0].cache == CacheMark(at=f"{AT}.cache_control")  # type: ignore[union-attr]  # a text
    assert request.dropped == ("cache_control",)
    drawn = [{"type": "image", "source": {"type": "url", "url": "https://x"}}]
    request = read(cache_control={"type": "ephemeral"}, messages=[{"role": "user", "content": drawn}])
    assert request.turns[0].blocks[0].cache == CacheMark(at="cache_control")  # type: ignore[union-attr]  # a picture


AT = "messages[0].content[0]"


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            ImageBlock(source=DataSource(media_type="image/png", data="AA=="), at=AT),
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x"}, "cache_control": {"type": "ephemeral"}},
            ImageBlock(source=UrlSource(url="https://x"), cache=CacheMark(at=f"{AT}.cache_control"), at=AT),
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            ImageBlock(source=FileSource(file_id="f"), at=AT),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                "title": "t",
                "context": "c",
                "citations": {"enabled": True},
            },
            DocumentBlock(source=TextSource(text="d"), name="t", context="c", citations=True, at=AT),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}},
            DocumentBlock(source=TextSource(text="a\nb"), at=AT),
        ),
        (
            {"type": "search_result", "title": "T", "source": "https://x", "content": [{"type": "text", "text": "found"}]},
            TextBlock(text="Search result: T (https://x)\nfound", at=AT),
        ),
        (
            {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": [{"type": "tool_reference", "tool_name": "grep"}]},
            ToolResultBlock(
                call_id="a", content=(TextBlock(text="Tool found: grep", at=f"{AT}.content[0]"),), is_error=True, at=AT
            ),
        ),
        ({"type": "tool_result", "tool_use_id": "a"}, ToolResultBlock(call_id="a", at=AT)),
        ({"type": "compaction", "content": "so far"}, TextBlock(text="so far", at=AT)),
        (
            {"type": "container_upload", "file_id": "f"},
            RawBlock(
                dialect="anthropic_messages",
                type_name="container_upload",
                data='{"type":"container_upload","file_id":"f"}',
                at=AT,
            ),
        ),
    ],
)  # fmt: skip
def test_what_a_user_sends_is_read(block: dict[str, Any], expected: Block) -> None:
    assert block_of(block) == expected


FOREIGN = Opaque(kind="openai_encrypted", data="e", item_id="rs_1")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"type": "thinking", "thinking": "t", "signature": "s"},
            ReasoningBlock(text="t", opaque=Opaque(kind="anthropic_signature", data="s"), at=AT),
        ),
        ({"type": "thinking", "thinking": "t", "signature": ""}, ReasoningBlock(text="t", at=AT)),
        (
            {"type": "thinking", "thinking": "", "signature": wrap(FOREIGN, "openai/gpt")},
            ReasoningBlock(
                opaque=Opaque(kind="openai_encrypted", data="e", item_id="rs_1", origin="openai/gpt"), at=AT
            ),
        ),
        (
            {"type": "redacted_thinking", "data": "r"},
            ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data="r"), at=AT),
        ),
        (
            {"type": "tool_use", "id": "i", "name": "n", "input": {"a": "é"}},
            ToolCallBlock(id="i", name="n", arguments='{"a":"é"}', at=AT),
        ),
        ({"type": "tool_use", "id": "i", "name": "n"}, ToolCallBlock(id="i", name="n", at=AT)),
        (
            {"type": "tool_use", "id": "i", "name": "n", "input": "{"},
            ToolCallBlock(id="i", name="n", arguments="{", at=AT),
        ),
    ],
)
def test_what_an_assistant_said_is_read(block: dict[str, Any], expected: Block) -> None:
    assert block_of(block, "assistant") == expected


def test_what_has_no_place_is_listed_by_its_path() -> None:
    picture = {
        "type": "image",
        "source": {"type": "url", "url": "u"},
        "transformations": {"oversized_image": "error"},
    }
    nested = {
        "type": "document",
        "source": {"type": "content", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]},
    }
    request = read(
        messages=[{"role": "user", "content": [picture, nested, {"type": "compaction"}]}],
        output_config={"task_budget": {"type": "tokens"}},
        thread={"type": "create"},
    )
    assert set(request.dropped) == {
        "messages[0].content[0].transformations",
        "messages[0].content[1].source.content[0]",
        "messages[0].content[2]",
        "output_config.task_budget",
        "thread",
    }
    assert len(request.turns[0].blocks) == 2


def test_sampling_beside_thinking_is_left_out_and_listed() -> None:
    """Anthropic refuses it, and so does whoever else thinks; values that change nothing are not worth a word."""
    asked = {"temperature": 0.3, "top_p": 1, "top_k": 5}
    thinking = read(thinking={"type": "enabled", "budget_tokens": 2000}, **asked)
    assert (thinking.sampling, thinking.dropped) == (Sampling(), ("temperature", "top_k"))
    disabled = read(thinking={"type": "disabled"}, **asked)
    assert disabled.sampling == Sampling(temperature=0.3, top_p=1, top_k=5)


def test_a_conversation_kept_at_anthropic_cannot_go_elsewhere() -> None:
    with pytest.raises(ThreadNotFound, match="thread"):
        read(thread={"type": "continue", "previous_message_id": "msg_1"})


def test_tools_are_read_and_deferred_ones_are_ordinary() -> None:
    request = read(
        tools=[
            {
                "name": "a",
                "description": "d",
                "input_schema": {"type": "object"},
                "strict": True,
                "defer_loading": True,
            },
            {"type": "mcp_toolset", "mcp_server_name": "s", "cache_control": {"type": "ephemeral"}},
            {"type": "computer_toolset_20260801"},
            {"name": "bare"},
        ]
    )
    first, second, third, fourth = request.tools
    assert (first.kind, first.description, first.schema, first.strict) == (
        "function",
        "d",
        {"type": "object"},
        True,
    )
    assert (second.kind, second.name, second.cache) == ("server", "s", CacheMark(at="tools[1].cache_control"))
    assert third.name == "computer_toolset_20260801"
    assert fourth.schema is None


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        ({"type": "tool", "name": "f"}, ToolChoice(mode="named", names=("f",)), None),
        (None, None, None),
    ],
)
def test_tool_choice_is_read(choice: Any, expected: ToolChoice | None, parallel: bool | None) -> None:
    request = read(tool_choice=choice)
    assert (request.tool_choice, request.parallel_tools) == (expected, parallel)


@pytest.mark.parametrize(
    ("fields", "wish", "shows"),
    [
        ({}, None, False),
        ({"thinking": {"type": "disabled"}}, ReasoningWish(mode="off"), False),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            ReasoningWish(mode="budget", budget=2000, visible="summary"),
            True,
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}},
            ReasoningWish(mode="auto", level="high", visible="none"),
            True,
        ),
        ({"output_config": {"effort": "low"}}, ReasoningWish(mode="level", level="low"), False),
    ],
)
def test_thinking_is_read_and_shown_only_to_those_who_asked(
    fields: Any, wish: ReasoningWish | None, shows: bool
) -> None:
    request = read(**fields)
    assert request.reasoning == wish
    assert SERVER.shows_reasoning(request) is shows
    assert request.paths["reasoning"] == ("thinking" if "thinking" in fields else "output_config.effort")


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_an_answer_s_schema_is_read_in_both_spellings(place: str) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    request = read(
        **({"output_config": {"format": wanted}} if place == "output_config" else {"output_format": wanted})
    )
    assert request.output == OutputFormat(kind="schema", schema={"type": "object"}, strict=True)
    assert request.paths["output"].startswith(place)


def test_a_late_system_message_sets_effort_and_brings_tools() -> None:
    added = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "new"}}}
    removed = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "old"}}
    late = {
        "role": "system",
        "content": [{"type": "text", "text": "now"}, added, removed],
        "output_config": {"effort": "max"},
        "clear_at": 1,
    }
    request = read(
        messages=[USER, late, {"role": "developer", "content": "x"}], output_config={"effort": "low"}
    )
    assert request.reasoning == ReasoningWish(mode="level", level="max")
    assert request.tools[0] == Tool(
        name="new",
        dialect="anthropic_messages",
        words={"schema": "input_schema"},
        at="messages[1].content[1].tool.definition",
    )
    assert [turn.role for turn in request.turns] == ["user", "system", "system"]
    assert len(request.turns[1].blocks) == 1
    assert request.dropped == ("messages[1].clear_at", "messages[1].content[2]")


def test_an_empty_assistant_turn_is_no_turn() -> None:
    request = read(messages=[USER, {"role": "assistant", "content": []}, {"role": "assistant"}])
    assert len(request.turns) == 1


def test_claude_code_s_first_request_is_taken() -> None:
    request = read(
        system=[{"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}],
            },
            {"role": "system", "content": [{"type": "text", "text": "reminder"}]},
        ],
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "medium"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": '{"device_id":"d"}'},
        tools=[
            {
                "name": "Read",
                "input_schema": {"type": "object"},
                "defer_loading": True,
                "eager_input_streaming": True,
            }
        ],
        stream=True,
    )
    assert [turn.role for turn in request.turns] == ["user", "system"]
    assert (len(request.tools), list(request.extra)) == (1, ["context_management"])


def test_nesting_that_only_the_reader_cannot_follow_is_a_bad_request() -> None:
    inner: Any = {"type": "text", "text": "x"}
    for _ in range(400):
        inner = {"type": "tool_result", "tool_use_id": "a", "content": [inner]}
    with pytest.raises(BadRequest):
        read(messages=[{"role": "user", "content": [inner]}])
