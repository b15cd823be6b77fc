"""OpenAI Responses: input items, their parts, calls and outputs, and reasoning that comes back.

Sources: dialects.md §1.1 RS (input items), §3.1–§3.2 (reasoning), §7 (ids, pairing).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from support.strict_provider.openai_common import check_image, check_name
from support.strict_provider.openai_words import (
    check_shape,
    empty_array,
    invalid,
    missing,
    too_long,
    wrong_type,
    wrong_value,
)
from support.strict_provider.rulebook import Objection, Rulebook
from support.strict_provider.rules_responses_body import ResponsesCase
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
from support.strict_provider.traits import ResponsesTraits
from support.strict_provider.vault import digest

__all__ = ["ITEMS", "items"]

ITEMS: Final[Rulebook[ResponsesTraits]] = Rulebook()

ID_MAX: Final = 64
STATUS: Final = nullable(literal("in_progress", "completed", "incomplete"))
TYPE: Final[dict[str, Kind]] = {"type": STRING}
OUTPUT: Final = either(STRING, ARRAY)

SHAPES: Final[dict[str, Shape]] = {
    "message": Shape(
        {"role": STRING, "content": either(STRING, ARRAY)},
        {**TYPE, "id": STRING, "status": STATUS, "phase": nullable(literal("commentary", "final_answer"))},
    ),
    "reasoning": Shape(
        {**TYPE, "id": STRING, "summary": ARRAY},
        {"content": nullable(ARRAY), "encrypted_content": nullable(STRING), "status": STATUS},
    ),
    "function_call": Shape(
        {**TYPE, "call_id": STRING, "name": STRING, "arguments": STRING},
        {"id": STRING, "namespace": nullable(STRING), "caller": OBJECT, "async": BOOLEAN, "status": STATUS},
    ),
    "function_call_output": Shape(
        {**TYPE, "call_id": STRING, "output": OUTPUT},
        {"id": STRING, "name": STRING, "namespace": nullable(STRING), "caller": OBJECT, "status": STATUS},
    ),
    "custom_tool_call": Shape(
        {**TYPE, "call_id": STRING, "name": STRING, "input": STRING},
        {"id": STRING, "namespace": nullable(STRING), "caller": OBJECT, "async": BOOLEAN, "status": STATUS},
    ),
    "custom_tool_call_output": Shape(
        {**TYPE, "call_id": STRING, "output": OUTPUT}, {"id": STRING, "caller": OBJECT, "status": STATUS}
    ),
    "item_reference": Shape({"id": STRING}, TYPE),
    "compaction": Shape({**TYPE, "encrypted_content": STRING}, {"id": STRING}),
}
HOSTED: Final = frozenset({
    "compaction_trigger", "configuration_update", "additional_tools", "tool_search_call", "tool_search_output",
    "program", "program_output", "web_search_call", "file_search_call", "computer_call", "computer_call_output",
    "code_interpreter_call", "image_generation_call", "local_shell_call", "local_shell_call_output",
    "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output", "mcp_list_tools",
    "mcp_approval_request", "mcp_approval_response", "mcp_call",
})  # fmt: skip

PREFIXES: Final = {
    "message": ("msg",),
    "reasoning": ("rs",),
    "function_call": ("fc",),
    "function_call_output": ("fc",),
    "custom_tool_call": ("ctc",),
    "custom_tool_call_output": ("ctc",),
}
ROLES: Final = ("assistant", "system", "developer", "user")
ASKED: Final = ("input_text", "input_image", "input_file")
SAID: Final = ("output_text", "refusal")

PARTS: Final[dict[str, Shape]] = {
    "input_text": Shape({**TYPE, "text": STRING}, {"prompt_cache_breakpoint": OBJECT}),
    "input_image": Shape(
        TYPE,
        {
            "image_url": nullable(STRING),
            "file_id": nullable(STRING),
            "detail": literal("auto", "low", "high", "original"),
            "prompt_cache_breakpoint": OBJECT,
        },
    ),
    "input_file": Shape(
        TYPE,
        {
            "file_id": nullable(STRING),
            "file_data": STRING,
            "file_url": STRING,
            "filename": STRING,
            "detail": STRING,
            "prompt_cache_breakpoint": OBJECT,
        },
    ),
    "output_text": Shape({**TYPE, "text": STRING}, {"annotations": ARRAY, "logprobs": nullable(ARRAY)}),
    "refusal": Shape({**TYPE, "refusal": STRING}, {}),
}
SUMMARY: Final = Shape({"type": literal("summary_text"), "text": STRING}, {})
CALLS: Final = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
CALLED: Final = {"function_call_output": "function call", "custom_tool_call_output": "custom tool call"}


def items(case: ResponsesCase, *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each input item (of some kinds) with its path; a string input has none."""
    found = case.body["input"]
    for index, item in enumerate(found if isinstance(found, list) else []):
        if not kinds or kind_of(item) in kinds:
            yield f"input[{index}]", item


def kind_of(item: dict[str, Any]) -> str:
    """Return the item's type; an easy message may leave it out (vector 39)."""
    return str(item.get("type") or ("message" if "role" in item else "item_reference"))


def _parts(case: ResponsesCase) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Yield path, allowed types and part, of messages and of outputs."""
    for path, item in items(case, "message", *CALLED):
        field = "content" if kind_of(item) == "message" else "output"
        allowed = SAID if item.get("role") == "assistant" else ASKED
        for place, part in enumerate(item[field] if isinstance(item[field], list) else []):
            yield f"{path}.{field}[{place}]", allowed, part


@ITEMS.rule("the-input-is-not-empty", "dialects.md §1.1 RS `input`")
def some_input(case: ResponsesCase) -> Iterator[Objection]:
    """Neither an empty list nor an empty string."""
    if case.body["input"] == []:
        yield empty_array("input")
    if case.body["input"] == "":
        yield invalid(
            "input",
            "Invalid 'input': empty string. Expected a string with minimum length 1, but got an empty string instead.",
        )


@ITEMS.rule("items-are-of-a-known-type", "dialects.md §1.1 RS input items")
def known_items(case: ResponsesCase) -> Iterator[Objection]:
    """A message may leave its type out, nothing else may."""
    found = case.body["input"]
    for index, item in enumerate(found if isinstance(found, list) else []):
        path = f"input[{index}]"
        if not isinstance(item, dict):
            yield wrong_type(path, OBJECT, item)
        elif "type" not in item and "role" not in item and "id" not in item:
            yield missing(f"{path}.type")
        elif kind_of(item) not in HOSTED | set(SHAPES):
            yield wrong_value(f"{path}.type", item["type"], tuple(sorted(HOSTED | set(SHAPES))))


@ITEMS.rule("items-are-well-formed", "dialects.md §1.1 RS; §3.2: `summary` key required, `id` non-empty")
def item_shape(case: ResponsesCase) -> Iterator[Objection]:
    """Each type has its own fields; hosted items are taken as they come."""
    for path, item in items(case, *SHAPES):
        yield from check_shape(item, SHAPES[kind_of(item)], path)


@ITEMS.rule("roles-are-known", "dialects.md §1.1 RS easy message roles; CX: role `system` → `developer`")
def roles(case: ResponsesCase) -> Iterator[Objection]:
    """`tool` is chat's."""
    for path, item in items(case, "message"):
        if item["role"] not in ROLES:
            yield wrong_value(f"{path}.role", item["role"], ROLES)
        elif item["role"] == "system" and case.traits.codex:
            yield invalid(path, "System messages are not allowed")
        elif item["role"] == "developer" and not case.traits.takes_developer:
            yield wrong_value(f"{path}.role", "developer", ("assistant", "system", "user"))


@ITEMS.rule(
    "parts-fit-their-role",
    "vendor words: Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'",
)
def part_kinds(case: ResponsesCase) -> Iterator[Objection]:
    """The assistant says output_text, everyone else input_text."""
    for path, allowed, part in _parts(case):
        if not isinstance(part, dict):
            yield wrong_type(path, OBJECT, part)
        elif part.get("type") not in allowed:
            yield wrong_value(f"{path}.type", part.get("type"), allowed)


@ITEMS.rule(
    "parts-are-well-formed", "dialects.md §1.1 RS `input_image{image_url|file_id, detail}`, `input_file{…}`"
)
def part_shape(case: ResponsesCase) -> Iterator[Objection]:
    """`image_url` is a string here, an object in chat."""
    for path, _, part in _parts(case):
        yield from check_shape(part, PARTS[part["type"]], path)
        if case.traits.codex and "prompt_cache_breakpoint" in part:
            yield invalid(path, "Unsupported parameter: prompt_cache_breakpoint")


@ITEMS.rule("pictures-are-pictures", "dialects.md §1.2 Images: `input_image` url/data/file_id")
def pictures(case: ResponsesCase) -> Iterator[Objection]:
    """Four formats, and only for models that see."""
    for path, _, part in _parts(case):
        if part["type"] != "input_image":
            continue
        if not case.traits.vision:
            yield invalid(path, "Image input is not supported with this model.")
        if part.get("image_url"):
            yield from check_image(part["image_url"], f"{path}.image_url")
        elif not part.get("file_id"):
            yield missing(f"{path}.image_url")


@ITEMS.rule("files-have-one-source", "dialects.md §1.1 RS `input_file{file_id|file_data|file_url, filename}`")
def files(case: ResponsesCase) -> Iterator[Objection]:
    """Data needs a name and is a data URL."""
    for path, _, part in _parts(case):
        if part["type"] != "input_file":
            continue
        sources = [name for name in ("file_id", "file_data", "file_url") if part.get(name)]
        if len(sources) != 1:
            yield invalid(path, f"Expected exactly one of 'file_id', 'file_data' and 'file_url' in {path}.")
        elif sources == ["file_data"] and not part.get("filename"):
            yield missing(f"{path}.filename")
        elif sources == ["file_data"] and not part["file_data"].startswith("data:"):
            yield invalid(
                f"{path}.file_data", f"Invalid '{path}.file_data'. Expected a base64-encoded data URL."
            )


@ITEMS.rule(
    "ids-have-their-prefix",
    "dialects.md §7: item `id` ≤64 and typed prefix (`fc_`, `ctc_`, `rs_`, `msg_`) or omitted",
)
def prefixes(case: ResponsesCase) -> Iterator[Objection]:
    """Real words: "Expected an ID that begins with 'fc'"."""
    for path, item in items(case, *PREFIXES):
        found, where = item.get("id"), f"{path}.id"
        if found is None:
            continue
        begins = PREFIXES[kind_of(item)][0]
        if len(found) > ID_MAX:
            yield too_long(where, limit=ID_MAX, length=len(found))
        elif not found.startswith(begins):
            yield invalid(where, f"Invalid '{where}': '{found}'. Expected an ID that begins with '{begins}'.")


@ITEMS.rule("ids-are-distinct", "dialects.md §3.2: do not resend items the server stored (duplicate id)")
def distinct(case: ResponsesCase) -> Iterator[Objection]:
    """Neither twice in the input nor again after `previous_response_id`."""
    seen = set(case.vault.stored_items(case.body.get("previous_response_id") or "") or ())
    for path, item in items(case, *PREFIXES):
        found = item.get("id")
        if found in seen:
            yield invalid(
                path,
                f"Duplicate item found with id {found}. Remove duplicate items from your input and try again.",
            )
        if found is not None:
            seen.add(found)


@ITEMS.rule("call-ids-are-at-most-64", "dialects.md §7 Tool id charset: `call_id` ≤64")
def call_ids(case: ResponsesCase) -> Iterator[Objection]:
    """On calls and outputs, and never empty."""
    for path, item in items(case, *CALLS, *CALLED):
        if len(item["call_id"]) > ID_MAX:
            yield too_long(f"{path}.call_id", limit=ID_MAX, length=len(item["call_id"]))
        elif not item["call_id"]:
            yield invalid(f"{path}.call_id", f"Invalid '{path}.call_id': empty string.")


@ITEMS.rule("called-names-are-of-the-charset", "dialects.md §1.4 Names")
def call_names(case: ResponsesCase) -> Iterator[Objection]:
    """The same pattern as for tools."""
    for path, item in items(case, *CALLS):
        yield from check_name(item["name"], f"{path}.name")


@ITEMS.rule("call-ids-are-distinct", "dialects.md §7 Id uniqueness: distinct; vector 30")
def distinct_calls(case: ResponsesCase) -> Iterator[Objection]:
    """Two calls never share a `call_id`."""
    seen: set[str] = set()
    for path, item in items(case, *CALLS):
        if item["call_id"] in seen:
            yield invalid(path, f"Duplicate call_id found: {item['call_id']}.")
        seen.add(item["call_id"])


@ITEMS.rule(
    "every-output-follows-its-call",
    "dialects.md §7 Orphan result: No tool call found for function call output",
)
def orphans(case: ResponsesCase) -> Iterator[Objection]:
    """The call may have been stored with the previous response."""
    if case.body.get("previous_response_id"):
        return
    waiting: set[tuple[str, str]] = set()
    for _, item in items(case, *CALLS, *CALLED):
        kind = kind_of(item)
        if kind in CALLS:
            waiting.add((CALLS[kind], item["call_id"]))
        elif (kind, item["call_id"]) not in waiting:
            yield invalid(
                "input", f"No tool call found for {CALLED[kind]} output with call_id {item['call_id']}."
            )


@ITEMS.rule("every-call-has-its-output", "dialects.md §7 Tool results: every call must be answered")
def answered(case: ResponsesCase) -> Iterator[Objection]:
    """Anywhere after the call."""
    outputs = [(kind_of(item), item["call_id"]) for _, item in items(case, *CALLED)]
    for _, item in items(case, *CALLS):
        wanted = CALLS[kind_of(item)]
        if (wanted, item["call_id"]) not in outputs:
            yield invalid("input", f"No tool output found for {CALLED[wanted]} {item['call_id']}.")
        elif outputs.count((wanted, item["call_id"])) > 1:
            yield invalid("input", f"Duplicate tool outputs found for call_id {item['call_id']}.")


@ITEMS.rule("a-reasoning-summary-is-summary-text", "dialects.md §1.1 RS `reasoning{summary[]}`")
def summaries(case: ResponsesCase) -> Iterator[Objection]:
    """Each part is `summary_text`."""
    for path, item in items(case, "reasoning"):
        for place, part in enumerate(item["summary"]):
            if not isinstance(part, dict):
                yield wrong_type(f"{path}.summary[{place}]", OBJECT, part)
            else:
                yield from check_shape(part, SUMMARY, f"{path}.summary[{place}]")


@ITEMS.rule(
    "plain-reasoning-is-not-taken-back", "dialects.md §3.2: plaintext `content` refused, array too long"
)
def plain_reasoning(case: ResponsesCase) -> Iterator[Objection]:
    """Only open-weight servers show it, and they do not speak through this provider."""
    for path, item in items(case, "reasoning"):
        if item.get("content"):
            yield too_long(f"{path}.content", limit=0, length=len(item["content"]), what="array")


@ITEMS.rule("bare-reasoning-needs-a-store", "dialects.md §3.2: Item with id rs_… not found; vector 31")
def bare_reasoning(case: ResponsesCase) -> Iterator[Objection]:
    """Without its blob an item can only be looked up, if it was stored."""
    for _, item in items(case, "reasoning", "item_reference"):
        if not item.get("encrypted_content") and not case.vault.has_item(item["id"]):
            words = (
                f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set to false. Try again "
                "with `store` set to true, or remove this item from your input."
            )
            yield Objection(where="input", words=words, status=404)


@ITEMS.rule(
    "sealed-reasoning-returns-unchanged", "dialects.md §3.1 RS scope: account, model, item id; vectors 31, 32"
)
def sealed(case: ResponsesCase) -> Iterator[Objection]:
    """Invented blobs, cleaned summaries, foreign accounts and models, and swapped ids are all found out."""
    for _, item in items(case, "reasoning"):
        blob = item.get("encrypted_content")
        if not blob:
            continue
        prefix = f"The encrypted content {blob[:4]}...{blob[-4:]} could not be verified. Reason: "
        claims = case.vault.open("reasoning", blob)
        expected = {"account": case.account, "model": case.traits.model}
        if claims is None or claims["summary"] != digest(item["summary"]):
            reason = "Encrypted content could not be decrypted or parsed."
        elif claims["id"] != item["id"]:
            reason = "Encrypted content item_id did not match the target item id."
        elif any(claims[name] != value for name, value in expected.items()):
            reason = "Encrypted content belongs to another organization or model."
        else:
            continue
        yield invalid("input", prefix + reason, "invalid_encrypted_content")


@ITEMS.rule(
    "reasoning-is-followed-by-its-item",
    "dialects.md §3.2: reasoning item last in input, or not followed by its item",
)
def followed(case: ResponsesCase) -> Iterator[Objection]:
    """Something the assistant said or called."""
    found = [item for _, item in items(case)]
    nothing: dict[str, Any] = {}
    for item, following in zip_longest(found, found[1:], fillvalue=nothing):
        if kind_of(item) != "reasoning":
            continue
        spoken = following and (
            kind_of(following) in {*CALLS, "reasoning", *HOSTED} or following.get("role") == "assistant"
        )
        if not spoken:
            words = (
                f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
            )
            yield invalid("input", words)


@ITEMS.rule(
    "an-item-comes-with-its-reasoning",
    "dialects.md §3.2: item was provided without its required reasoning item",
)
def companions(case: ResponsesCase) -> Iterator[Objection]:
    """Unless its id is left out."""
    present = {item.get("id") for _, item in items(case, "reasoning")}
    for _, item in items(case, *CALLS, "message"):
        wanted = case.vault.companion(item.get("id") or "")
        stored = case.body.get("previous_response_id")
        if wanted and wanted not in present and not stored:
            words = (
                f"Item '{item['id']}' of type '{kind_of(item)}' was provided without its required 'reasoning' item: "
                f"'{wanted}'."
            )
            yield invalid("input", words)
