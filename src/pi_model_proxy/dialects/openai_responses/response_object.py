"""The Response object: what every answer repeats of its request, and what becomes of it.

The object stands in the first events of a stream, in the last one, and alone. Callers' types ask
for all of it (Grok's, Open Responses'), so each member is there, with the specification's default
where the caller said nothing.

Source: openai-python 3.54.0 `types/responses/response.py`; Open Responses' `ResponseResource`
(required: all but a few); dialects.md §2.3 and §2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.openai_responses.native_tools import BY_TYPE, NativeTool
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.hub import ReasoningBlock, Usage
from pi_model_proxy.wire import ascii_json, edit_object, escape_separators, join_array, raw_array, raw_object

__all__ = ["ResponseObject", "Restated", "restated", "usage_json"]

Shows = Literal["summary", "content", "none"]

_NULL: Final = b"null"
_UNSAID: Final = msgspec.Raw(_NULL)
_STRING: Final = b'"'
_NUMBER: Final = b"-0123456789"
_FLAG: Final = b"tf"

_ECHOED: Final[tuple[tuple[str, bytes, bytes], ...]] = (
    ("instructions", _STRING + b"[", _NULL),
    ("max_output_tokens", _NUMBER, _NULL),
    ("max_tool_calls", _NUMBER, _NULL),
    ("parallel_tool_calls", _FLAG, b"true"),
    ("previous_response_id", _STRING, _NULL),
    ("prompt_cache_key", _STRING, _NULL),
    ("safety_identifier", _STRING, _NULL),
    ("temperature", _NUMBER, b"1.0"),
    ("top_p", _NUMBER, b"1.0"),
    ("presence_penalty", _NUMBER, b"0.0"),
    ("frequency_penalty", _NUMBER, b"0.0"),
    ("top_logprobs", _NUMBER, b"0"),
    ("tool_choice", _STRING + b"{", b'"auto"'),
    ("truncation", _STRING, b'"disabled"'),
    ("user", _STRING, _NULL),
    ("metadata", b"{", b"{}"),
)
"""Members repeated as they were said: name, what their JSON may begin with, and the default."""

_ROWS: Final = tuple((name, b',"%b":' % name.encode(), begins, default) for name, begins, default in _ECHOED)
_WHOLE: Final = frozenset({"max_output_tokens", "max_tool_calls", "top_logprobs"})
"""Numbers that callers' types hold without a fraction."""
_NO_REASONING: Final = b'{"effort":null,"summary":null}'
_PLAIN_TEXT: Final = b'{"format":{"type":"text"}}'
_FUNCTION: Final = {"description": _NULL, "parameters": _NULL, "strict": _NULL}
_SILENT: Final = frozenset({_NULL, b'"none"', b'"off"'})


class _Asked(msgspec.Struct):
    """The members of a request that an answer repeats; the others are skipped."""

    instructions: msgspec.Raw = _UNSAID
    max_output_tokens: msgspec.Raw = _UNSAID
    max_tool_calls: msgspec.Raw = _UNSAID
    parallel_tool_calls: msgspec.Raw = _UNSAID
    previous_response_id: msgspec.Raw = _UNSAID
    prompt_cache_key: msgspec.Raw = _UNSAID
    safety_identifier: msgspec.Raw = _UNSAID
    temperature: msgspec.Raw = _UNSAID
    top_p: msgspec.Raw = _UNSAID
    presence_penalty: msgspec.Raw = _UNSAID
    frequency_penalty: msgspec.Raw = _UNSAID
    top_logprobs: msgspec.Raw = _UNSAID
    tool_choice: msgspec.Raw = _UNSAID
    truncation: msgspec.Raw = _UNSAID
    user: msgspec.Raw = _UNSAID
    metadata: msgspec.Raw = _UNSAID
    reasoning: msgspec.Raw = _UNSAID
    text: msgspec.Raw = _UNSAID
    tools: msgspec.Raw = _UNSAID


_asked_decoder: Final = msgspec.json.Decoder(_Asked)


class Restated(msgspec.Struct, frozen=True):
    """What answers repeat of a request, and what of it shapes them."""

    members: bytes
    """Of the Response object, as JSON text that begins with a comma."""
    asks_summary: bool = False
    """Whether the caller asked for a summary of the thinking."""
    native: Mapping[str, NativeTool] = {}
    """By name: tools whose calls are items of their own."""

    def shows(self, block: ReasoningBlock, context: AnswerContext) -> Shows:
        """Return where the text of `block` stands in its item.

        To who asked for a summary any thinking is one: it is what their screens show.
        """
        if not context.shows_reasoning:
            return "none"
        return "summary" if self.asks_summary or block.summary else "content"


def _whole(value: bytes) -> bytes:
    """Return a number written `100.0` or `1e2` as `100`; `null` for what is no whole number."""
    try:
        number = float(value)
    except ValueError:
        return _NULL
    return b"%d" % int(number) if number.is_integer() else _NULL


def restated(body: bytes) -> Restated:
    """Return what answers repeat of the request in `body`; of one that cannot be read, the defaults."""
    try:
        asked = _asked_decoder.decode(mend_body(body))
    except (ValueError, RecursionError):
        asked = _Asked()
    written: list[bytes] = []
    for name, key, begins, default in _ROWS:
        value = bytes(getattr(asked, name))
        if name in _WHOLE and not value.isdigit():
            value = _whole(value)
        written.append(key + (value if value[0] in begins else default))
    reasoning = _object(asked.reasoning)
    tools = _tools(asked.tools)
    written.append(b',"reasoning":' + _with_defaults(_NO_REASONING, reasoning))
    written.append(b',"text":' + _with_defaults(_PLAIN_TEXT, _object(asked.text)))
    written.append(b',"tools":' + join_array(tools))
    return Restated(
        escape_separators(b"".join(written)),
        asks_summary=any(
            reasoning.get(name, _NULL) not in _SILENT for name in ("summary", "generate_summary")
        ),
        native=_native(tools) if tools else {},
    )


def _object(raw: msgspec.Raw) -> dict[str, bytes]:
    if bytes(raw) == _NULL:
        return {}
    try:
        return raw_object(raw)
    except (ValueError, RecursionError):
        return {}


def _with_defaults(defaults: bytes, said: dict[str, bytes]) -> bytes:
    """Return an object with what was said of it; null says nothing."""
    given = {name: value for name, value in said.items() if value != _NULL}
    return edit_object(raw_object(defaults), put=given) if given else defaults


class _Typed(msgspec.Struct):
    type: str | None = None
    environment: msgspec.Raw = _UNSAID


_typed_decoder: Final = msgspec.json.Decoder(_Typed)


def _tools(raw: msgspec.Raw) -> list[bytes]:
    """Return the tools, functions with each member that `FunctionTool` has."""
    if bytes(raw) == _NULL:
        return []
    try:
        tools = raw_array(raw)
        kinds = [_typed_decoder.decode(tool).type for tool in tools]
        return [
            _whole_function(tool) if kind == "function" else tool
            for tool, kind in zip(tools, kinds, strict=True)
        ]
    except (ValueError, RecursionError):
        return []


def _whole_function(tool: bytes) -> bytes:
    if all(b'"%b"' % name.encode() in tool for name in _FUNCTION):  # also where only its schema says so
        members = raw_object(tool)
        return tool if members.keys() >= _FUNCTION.keys() else edit_object(_FUNCTION, put=members)
    return edit_object(_FUNCTION, put=raw_object(tool))


def _native(tools: list[bytes]) -> dict[str, NativeTool]:
    found: dict[str, NativeTool] = {}
    for tool in tools:
        typed = _typed_decoder.decode(tool)
        environment = bytes(typed.environment)
        if typed.type in BY_TYPE and (environment == _NULL or b'"local"' in environment):
            found[typed.type] = BY_TYPE[typed.type]
    return found


class ResponseObject:
    """Writes the object of one answer; what does not change is written once."""

    __slots__ = ("_head", "_tail")

    def __init__(self, response_id: str, context: AnswerContext, echo: Restated) -> None:
        self._head = b'{"id":%b,"object":"response","created_at":%d,"model":%b,"status":"' % (
            ascii_json(response_id),
            context.created,
            ascii_json(context.model),
        )
        store = b"true" if context.stored else b"false"
        self._tail = b',"background":false,"service_tier":"default","store":%b%b}' % (store, echo.members)

    def written(
        self,
        status: str,
        *,
        output: bytes = b"[]",
        usage: bytes = _NULL,
        error: bytes = _NULL,
        incomplete: bytes = _NULL,
        completed_at: bytes = _NULL,
    ) -> bytes:
        """Return the object; every argument but `status` is JSON text."""
        return b"".join((
            self._head, status.encode(), b'","completed_at":', completed_at, b',"error":', error,
            b',"incomplete_details":', incomplete, b',"output":', output, b',"usage":', usage, self._tail,
        ))  # fmt: skip


def usage_json(usage: Usage) -> bytes:
    """Return the counts as this format says them: cached and written tokens are part of the input."""
    return (
        b'{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d},'
        b'"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}'
    ) % (usage.total_input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning, usage.total)
