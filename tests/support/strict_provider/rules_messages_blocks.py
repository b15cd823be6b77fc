"""Anthropic Messages: roles, content blocks, pictures, documents and cache marks.

Sources: dialects.md §1.1 AM (param blocks), §1.2 (cache hints, images), §7 (empty text, error results).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.anthropic_words import check_shape, extra, no, required, should_be
from support.strict_provider.rulebook import Objection, Rulebook
from support.strict_provider.rules_messages_body import MessagesCase, has_beta
from support.strict_provider.schema_checks import MAX_IMAGE_BYTES, image_bytes, image_type
from support.strict_provider.shapes import (
    ARRAY,
    BOOLEAN,
    OBJECT,
    STRING,
    Kind,
    Shape,
    either,
    literal,
    nullable,
)
from support.strict_provider.traits import MessagesTraits

__all__ = ["BLOCKS", "blocks", "turns"]

BLOCKS: Final[Rulebook[MessagesTraits]] = Rulebook()

MAX_MARKS: Final = 4
IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")

CACHE: Final[dict[str, Kind]] = {"cache_control": nullable(OBJECT)}
CALL: Final[dict[str, Kind]] = {"id": STRING, "name": STRING, "input": OBJECT}
CALL_EXTRAS: Final[dict[str, Kind]] = {**CACHE, "caller": OBJECT}
TOOLSET: Final[dict[str, Kind]] = {"toolset_name": nullable(STRING)}

SHAPES: Final[dict[str, Shape]] = {
    "text": Shape({"text": STRING}, {**CACHE, "citations": nullable(ARRAY)}),
    "image": Shape({"source": OBJECT}, {**CACHE, "transformations": OBJECT}),
    "document": Shape(
        {"source": OBJECT},
        {**CACHE, "title": nullable(STRING), "context": nullable(STRING), "citations": nullable(OBJECT)},
    ),
    "search_result": Shape(
        {"source": STRING, "title": STRING, "content": ARRAY}, {**CACHE, "citations": OBJECT}
    ),
    "thinking": Shape({"thinking": STRING, "signature": STRING}, {}),
    "redacted_thinking": Shape({"data": STRING}, {}),
    "tool_use": Shape(CALL, {**CALL_EXTRAS, **TOOLSET}),
    "tool_result": Shape(
        {"tool_use_id": STRING},
        {**CACHE, **TOOLSET, "content": either(STRING, ARRAY), "is_error": nullable(BOOLEAN)},
    ),
    "tool_reference": Shape({"tool_name": STRING}, CACHE),
    "container_upload": Shape({"file_id": STRING}, CACHE),
    "server_tool_use": Shape(CALL, CALL_EXTRAS),
    "tool_addition": Shape({"tool": OBJECT}, CACHE),
    "tool_removal": Shape({"tool_name": STRING}, CACHE),
}
SERVER_RESULTS: Final = frozenset({
    "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result", "tool_search_tool_result",
    "bash_code_execution_tool_result", "text_editor_code_execution_tool_result",
})  # fmt: skip
SERVER_RESULT: Final = Shape(
    {"tool_use_id": STRING, "content": either(ARRAY, OBJECT)}, {**CACHE, "caller": OBJECT}
)

PLACES: Final[dict[str, frozenset[str]]] = {
    "user": frozenset({"text", "image", "document", "search_result", "tool_result", "container_upload"}),
    "assistant": frozenset({"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"})
    | SERVER_RESULTS,
    "system": frozenset({"text", "tool_addition", "tool_removal"}),
    "tool_result": frozenset({"text", "image", "document", "search_result", "tool_reference"}),
}

SOURCES: Final[dict[str, Shape]] = {
    "base64": Shape({"media_type": STRING, "data": STRING}, {}),
    "url": Shape({"url": STRING}, {}),
    "file": Shape({"file_id": STRING}, {}),
    "text": Shape({"media_type": literal("text/plain"), "data": STRING}, {}),
    "content": Shape({"content": either(STRING, ARRAY)}, {}),
}
SOURCES_OF: Final[dict[str, tuple[str, ...]]] = {
    "image": ("base64", "url", "file"),
    "document": ("base64", "url", "file", "text", "content"),
}
MESSAGE: Final = Shape({"role": STRING, "content": either(STRING, ARRAY)}, {})
CACHE_CONTROL: Final = Shape({"type": literal("ephemeral")}, {"ttl": literal("5m", "1h")})


def turns(case: MessagesCase) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each message with its place."""
    return enumerate(case.body["messages"])


def blocks(case: MessagesCase, role: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each block of array contents (of one role) with its path; results' own blocks follow their result."""
    for index, message in turns(case):
        if role not in {None, message["role"]} or isinstance(message["content"], str):
            continue
        for place, block in enumerate(message["content"]):
            path = f"messages.{index}.content.{place}"
            yield path, block
            if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                for inner, part in enumerate(block["content"]):
                    yield f"{path}.tool_result.content.{inner}", part


def _shape_of(kind: str) -> Shape:
    return SERVER_RESULT if kind in SERVER_RESULTS else SHAPES[kind]


@BLOCKS.rule("there-is-a-message", "dialects.md §7 No user message at all: 400")
def some_message(case: MessagesCase) -> Iterator[Objection]:
    """System alone is no conversation."""
    if not case.body["messages"]:
        yield no("messages", "at least one message is required")


@BLOCKS.rule("messages-are-well-formed", "dialects.md §1.1 AM messages")
def message_shape(case: MessagesCase) -> Iterator[Objection]:
    """A message has a role and content, and nothing else; system messages may carry their beta fields."""
    for index, message in turns(case):
        if not isinstance(message, dict):
            yield should_be(f"messages.{index}", OBJECT)
            continue
        extras: dict[str, Kind] = {}
        if message.get("role") == "system" and has_beta(case, "mid-conversation-output-config"):
            extras["output_config"] = OBJECT
        if message.get("role") == "system" and has_beta(case, "mid-conversation-system-clear-at"):
            extras["clear_at"] = OBJECT
        yield from check_shape(message, Shape(MESSAGE.required, extras), f"messages.{index}")


@BLOCKS.rule(
    "roles-are-user-and-assistant", "dialects.md §1.1 AM message roles; §1.2 mid-conversation instructions"
)
def roles(case: MessagesCase) -> Iterator[Objection]:
    """`system` inside messages only where the model takes it."""
    for _, message in turns(case):
        role = message["role"]
        if role == "system" and not case.traits.mid_system:
            yield Objection(
                where="messages",
                words='messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, '
                'not "system" as an input message role.',
            )
        elif role not in PLACES or role == "tool_result":
            yield no("messages", f'Unexpected role "{role}". Allowed roles are "user" or "assistant".')


@BLOCKS.rule("blocks-are-of-a-kind-their-place-allows", "dialects.md §1.1 AM param blocks")
def block_kinds(case: MessagesCase) -> Iterator[Objection]:
    """Thinking and calls are the assistant's, pictures and results the user's."""
    for index, message in turns(case):
        content = message["content"]
        for place, block in enumerate(content if isinstance(content, list) else []):
            path = f"messages.{index}.content.{place}"
            yield from _kind(block, path, message["role"])
            if isinstance(block, dict) and block.get("type") == "tool_result":
                inner = block.get("content")
                for number, part in enumerate(inner if isinstance(inner, list) else []):
                    yield from _kind(part, f"{path}.tool_result.content.{number}", "tool_result")


def _kind(block: object, path: str, place: str) -> Iterator[Objection]:
    if not isinstance(block, dict):
        yield should_be(path, OBJECT)
    elif "type" not in block:
        yield required(f"{path}.type")
    elif not isinstance(block["type"], str):
        yield should_be(f"{path}.type", STRING)
    elif block["type"] in SHAPES or block["type"] in SERVER_RESULTS:
        if block["type"] not in PLACES[place]:
            yield Objection(
                where=path, words=f"{path}: `{block['type']}` blocks are not permitted in `{place}` content"
            )
    else:
        tags = ", ".join(f"'{name}'" for name in sorted(PLACES[place]))
        yield no(
            path,
            f"Input tag '{block['type']}' found using 'type' does not match any of the expected tags: {tags}",
        )


@BLOCKS.rule("blocks-are-well-formed", "dialects.md §1.1 AM param blocks; §7 Empty args: `input:{}` object")
def block_shape(case: MessagesCase) -> Iterator[Objection]:
    """Unknown keys inside a block are refused, and so is a mark on thinking (dialects.md §1.2 Cache hints)."""
    for path, block in blocks(case):
        kind = block["type"]
        shape = _shape_of(kind)
        yield from check_shape(
            block, Shape({"type": STRING, **shape.required}, shape.optional), f"{path}.{kind}"
        )


def _marked(case: MessagesCase) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield whatever carries a cache mark, in the order the prefix is built: tools, system, messages."""
    for index, tool in enumerate(case.body.get("tools", [])):
        yield f"tools.{index}", tool
    system = case.body.get("system", "")
    for index, block in enumerate(system if isinstance(system, list) else []):
        yield f"system.{index}", block
    for path, block in blocks(case):
        yield f"{path}.{block['type']}", block
    yield "", case.body


def _marks(case: MessagesCase) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path, holder in _marked(case):
        mark = holder.get("cache_control")
        if mark is not None:
            yield f"{path}.cache_control".lstrip("."), holder, mark


@BLOCKS.rule(
    "cache-marks-stand-on-no-empty-text",
    "dialects.md §1.2 Cache hints; anthropics/claude-code#52057; vector 22",
)
def cache_on_empty(case: MessagesCase) -> Iterator[Objection]:
    """Asked before the general rule on blank text, because its words are its own."""
    for path, holder, _ in _marks(case):
        if holder.get("type") == "text" and not str(holder.get("text", "")).strip():
            yield no(path, "cache_control cannot be set for empty text blocks")


@BLOCKS.rule("content-is-not-empty", "dialects.md §7 Empty message: content `[]` → 400 except last assistant")
def empty_content(case: MessagesCase) -> Iterator[Objection]:
    """The last assistant message may be empty; a system message may only carry its configuration."""
    last = len(case.body["messages"]) - 1
    for index, message in turns(case):
        excused = (index == last and message["role"] == "assistant") or "output_config" in message
        if not message["content"] and not excused:
            yield no(
                f"messages.{index}",
                "all messages must have non-empty content except for the optional final assistant message",
            )


@BLOCKS.rule("text-is-not-blank", "dialects.md §7 Empty text; vectors 6, 48")
def blank_text(case: MessagesCase) -> Iterator[Objection]:
    """Empty and whitespace-only texts are refused alike, in strings and in blocks."""
    texts = [block["text"] for _, block in blocks(case) if block["type"] == "text"]
    texts += [
        message["content"]
        for _, message in turns(case)
        if message["content"] and isinstance(message["content"], str)
    ]
    for text in texts:
        if not text:
            yield no("messages", "text content blocks must be non-empty")
        elif not text.strip():
            yield no("messages", "text content blocks must contain non-whitespace text")


@BLOCKS.rule(
    "error-results-hold-only-text", "dialects.md §7 Image in tool result: not with `is_error:true`; vector 46"
)
def error_results(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "all content must be type "text" if "is_error" is true"."""
    for path, block in blocks(case, "user"):
        if (
            block["type"] == "tool_result"
            and block.get("is_error")
            and isinstance(block.get("content"), list)
        ):
            yield from (
                no(f"{path}.tool_result", 'all content must be type "text" if "is_error" is true')
                for part in block["content"]
                if part["type"] != "text"
            )


@BLOCKS.rule("sources-are-well-formed", "dialects.md §1.1 AM image and document sources")
def source_shape(case: MessagesCase) -> Iterator[Objection]:
    """A picture is base64, a URL or a file; a document may also be text or content."""
    for path, block in blocks(case):
        kind = block["type"]
        if kind not in SOURCES_OF:
            continue
        source, where = block["source"], f"{path}.{kind}.source"
        if source.get("type") not in SOURCES_OF[kind]:
            tags = ", ".join(f"'{name}'" for name in SOURCES_OF[kind])
            yield no(
                where,
                f"Input tag '{source.get('type')}' found using 'type' does not match any of the expected tags: {tags}",
            )
            continue
        shape = SOURCES[source["type"]]
        yield from check_shape(
            source, Shape({"type": STRING, **shape.required}, shape.optional), f"{where}.{source['type']}"
        )


@BLOCKS.rule("the-model-can-see", "dialects.md §1.2 Images: target lacks vision")
def vision(case: MessagesCase) -> Iterator[Objection]:
    """A text-only model takes no picture anywhere."""
    for path, block in blocks(case):
        if block["type"] == "image" and not case.traits.vision:
            yield no(f"{path}.image", "image input is not supported for this model")


@BLOCKS.rule(
    "pictures-are-what-they-say", "dialects.md §1.1 AM image media types; clients.md §4.3 standard base64"
)
def pictures(case: MessagesCase) -> Iterator[Objection]:
    """Four formats, standard base64, at most 5 MB, and the bytes must match the media type."""
    for path, block in blocks(case):
        if block["type"] != "image":
            continue
        source, where = block["source"], f"{path}.image.source"
        if source["type"] == "url" and not source["url"].startswith("https://"):
            yield no(f"{where}.url", "Only HTTPS URLs are supported.")
        if source["type"] != "base64":
            continue
        raw = image_bytes(source["data"])
        if source["media_type"] not in IMAGE_TYPES:
            yield should_be(f"{where}.base64.media_type", literal(*IMAGE_TYPES))
        elif raw is None:
            yield no(f"{where}.base64.data", "Invalid base64 data")
        elif len(raw) > MAX_IMAGE_BYTES:
            yield no(
                f"{where}.base64", f"image exceeds 5 MB maximum: {len(raw)} bytes > {MAX_IMAGE_BYTES} bytes"
            )
        elif image_type(raw) != source["media_type"]:
            yield no(
                f"{where}.base64.data",
                f"The image was specified using the {source['media_type']} media type, but the image appears to be "
                f"a {image_type(raw) or 'file of another kind'}",
            )


@BLOCKS.rule("documents-are-what-they-say", "dialects.md §1.1 AM document: base64 pdf")
def documents(case: MessagesCase) -> Iterator[Objection]:
    """Base64 documents are PDF and nothing else."""
    for path, block in blocks(case):
        if block["type"] != "document" or block["source"]["type"] != "base64":
            continue
        where = f"{path}.document.source.base64"
        if block["source"]["media_type"] != "application/pdf":
            yield should_be(f"{where}.media_type", literal("application/pdf"))
        elif not (image_bytes(block["source"]["data"]) or b"").startswith(b"%PDF"):
            yield no(f"{where}.data", "The PDF specified was not valid.")


@BLOCKS.rule(
    "cache-marks-are-well-formed",
    "dialects.md §1.2 Cache hints; vector 21 (`scope`); caozhiyuan/copilot-api#143",
)
def cache_shape(case: MessagesCase) -> Iterator[Objection]:
    """`scope` belongs to a beta of its own."""
    for path, _, mark in _marks(case):
        known = CACHE_CONTROL.known() | ({"scope": STRING} if has_beta(case, "prompt-caching-scope") else {})
        for name in mark:
            if name not in known:
                yield extra(f"{path}.ephemeral.{name}")
        yield from check_shape(mark, Shape(CACHE_CONTROL.required, known), path)


@BLOCKS.rule("cache-marks-are-at-most-four", "dialects.md §1.2 Cache hints: ≤4 marks")
def cache_count(case: MessagesCase) -> Iterator[Objection]:
    """The top-level mark counts too."""
    found = sum(1 for _ in _marks(case))
    if found > MAX_MARKS:
        yield Objection(
            words=f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {found}."
        )


@BLOCKS.rule(
    "longer-cache-marks-come-first", "vendor words †: a ttl='1h' block must not come after a ttl='5m' block"
)
def cache_order(case: MessagesCase) -> Iterator[Objection]:
    """The order is tools, system, messages."""
    short_seen = False
    for path, holder, mark in _marks(case):
        if holder is case.body:
            continue
        if mark.get("ttl") != "1h":
            short_seen = True
        elif short_seen:
            yield no(
                f"{path}.ttl",
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks "
                "are processed in the following order: `tools`, `system`, `messages`.",
            )
