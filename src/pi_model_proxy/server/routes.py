"""Which path is which endpoint: a table, never a look into the body."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import msgspec

from pi_model_proxy.dialects.google_gemini import read_address
from pi_model_proxy.errors import NotFound
from pi_model_proxy.gateway import Call
from pi_model_proxy.server.completions import answer_completions
from pi_model_proxy.server.conversations import (
    add_items,
    create_conversation,
    delete_conversation,
    delete_item,
    list_items,
    show_conversation,
    show_item,
    update_conversation,
)
from pi_model_proxy.server.door import authenticated
from pi_model_proxy.server.exchange import Exchange
from pi_model_proxy.server.gemini_models import list_gemini_models, one_gemini_model
from pi_model_proxy.server.models import is_google, list_models, one_model
from pi_model_proxy.server.ollama import (
    answer_chat,
    answer_generate,
    list_running,
    list_tags,
    show_model,
    tell_version,
)
from pi_model_proxy.server.page import PAGE
from pi_model_proxy.server.passed import (
    PASSED_FORMS,
    PASSED_JSON,
    answer_embed,
    answer_embeddings,
    pass_on,
)
from pi_model_proxy.server.responses import (
    answer_response,
    compact_response,
    count_input,
    delete_response,
    list_input_items,
    show_response,
)
from pi_model_proxy.server.state import ServerState
from pi_model_proxy.wire import ascii_json

__all__ = ["Handler", "Route", "find_route"]

Handler: TypeAlias = Callable[[ServerState, Call, Exchange], Awaitable[None]]
JSON: Final = {"content-type": "application/json"}


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint."""

    methods: Mapping[str, Handler]
    dialect: str = ""
    """Whose error envelope it uses; empty: the caller's headers tell."""
    takes_forms: bool = False
    """A body may be a form with files instead of JSON."""
    needs_models: bool = False
    """Not served before the catalogue is loaded."""
    key_in_url: bool = False
    """Google's clients send the key as `?key=` or `x-goog-api-key`; nobody else's key is looked for there."""
    takes_google_header: bool = False
    """A path that Google's clients share with others under `/v1`: their header counts, a key in the URL does not."""


async def _health(state: ServerState, call: Call, exchange: Exchange) -> None:
    detailed = authenticated(call.headers, state.api_key())
    exchange.answer(200, ascii_json(state.health(detailed=detailed)), JSON)


async def _root(state: ServerState, call: Call, exchange: Exchange) -> None:
    if "text/html" in call.headers.get("accept", ""):
        headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "x-content-type-options": "nosniff",
            "cache-control": "no-cache",
        }
        exchange.answer(200, PAGE, headers)
        return
    await _health(state, call, exchange)


async def _livez(_: ServerState, __: Call, exchange: Exchange) -> None:
    exchange.answer(200, b'{"status":"ok"}', JSON)


async def _readyz(state: ServerState, _: Call, exchange: Exchange) -> None:
    if state.ready:
        exchange.answer(200, b'{"status":"ok"}', JSON)
        return
    status = b'{"status":"draining"}' if state.draining else b'{"status":"starting"}'
    exchange.answer(503, status, JSON | {"retry-after": "1"})


async def _models(state: ServerState, call: Call, exchange: Exchange) -> None:
    if is_google(call.headers):
        await _gemini_models(state, call, exchange)
        return
    body = list_models(state.gateway, call.headers, call.query, state.settings().aliases)
    exchange.answer(200, body, JSON)


async def _model(state: ServerState, call: Call, exchange: Exchange) -> None:
    name = _endpoint(call.path).removeprefix("models/")
    if is_google(call.headers):
        exchange.answer(200, one_gemini_model(state.gateway, name, state.settings().aliases), JSON)
        return
    exchange.answer(200, one_model(state.gateway, name, state.settings().aliases), JSON)


def _chat(state: ServerState, call: Call, exchange: Exchange) -> Awaitable[None]:
    return state.gateway.answer("openai_chat", call, exchange, exchange.entry)


def _messages(state: ServerState, call: Call, exchange: Exchange) -> Awaitable[None]:
    exchange.extra["request-id"] = exchange.request_id
    return state.gateway.answer("anthropic_messages", call, exchange, exchange.entry)


async def _count_tokens(state: ServerState, call: Call, exchange: Exchange) -> None:
    exchange.extra["request-id"] = exchange.request_id
    exchange.answer(200, await state.gateway.count_tokens("anthropic_messages", call, exchange.entry), JSON)


async def _gemini(state: ServerState, call: Call, exchange: Exchange) -> None:
    address = read_address(call.path, call.query)
    if address is None:
        raise NotFound(f"There is no method at {call.path[:100]!r}; see docs/endpoints.md.")
    gateway, entry = state.gateway, exchange.entry
    if address.form == "count":
        body = await gateway.count_tokens("google_gemini", call, entry, model=address.model)
        exchange.answer(200, body, JSON)
        return
    await gateway.answer(_GEMINI_ROWS[address.form], call, exchange, entry, model=address.model)


async def _gemini_models(state: ServerState, call: Call, exchange: Exchange) -> None:
    exchange.answer(200, list_gemini_models(state.gateway, call.query, state.settings().aliases), JSON)


async def _gemini_model(state: ServerState, call: Call, exchange: Exchange) -> None:
    name = _GEMINI_PATH.sub("", call.path).removeprefix("models/")
    exchange.answer(200, one_gemini_model(state.gateway, name, state.settings().aliases), JSON)


_GEMINI_ROWS: Final = {"plain": "google_gemini", "sse": "google_gemini_sse", "array": "google_gemini_array"}
_GEMINI_PATH: Final = re.compile(r"/(?:v1/)?v1(?:alpha|beta)\d*/")
"""What only this dialect's clients write before `models`."""
_GEMINI_METHOD: Final = re.compile(r".:(?:generateContent|streamGenerateContent|countTokens)\Z")

_FIXED: Final[Mapping[str, Route]] = {
    "/": Route(methods={"GET": _root}),
    "/health": Route(methods={"GET": _health}),
    "/livez": Route(methods={"GET": _livez}),
    "/readyz": Route(methods={"GET": _readyz}),
    "/api/chat": Route(methods={"POST": answer_chat}, dialect="ollama", needs_models=True),
    "/api/generate": Route(methods={"POST": answer_generate}, dialect="ollama", needs_models=True),
    "/api/tags": Route(methods={"GET": list_tags}, dialect="ollama", needs_models=True),
    "/api/show": Route(methods={"POST": show_model}, dialect="ollama", needs_models=True),
    "/api/embed": Route(methods={"POST": answer_embed}, dialect="ollama", needs_models=True),
    "/api/embeddings": Route(methods={"POST": answer_embeddings}, dialect="ollama", needs_models=True),
    "/api/ps": Route(methods={"GET": list_running}, dialect="ollama"),
    "/api/version": Route(methods={"GET": tell_version}, dialect="ollama"),
}
_ENDPOINTS: Final[Mapping[str, Route]] = {
    "models": Route(methods={"GET": _models}, needs_models=True, takes_google_header=True),
    "chat/completions": Route(methods={"POST": _chat}, dialect="openai_chat", needs_models=True),
    "completions": Route(
        methods={"POST": answer_completions}, dialect="openai_completions", needs_models=True
    ),
    "responses": Route(methods={"POST": answer_response}, dialect="openai_responses", needs_models=True),
    "responses/input_tokens": Route(
        methods={"POST": count_input}, dialect="openai_responses", needs_models=True
    ),
    "responses/compact": Route(
        methods={"POST": compact_response}, dialect="openai_responses", needs_models=True
    ),
    "conversations": Route(methods={"POST": create_conversation}, dialect="openai_responses"),
    "messages": Route(methods={"POST": _messages}, dialect="anthropic_messages", needs_models=True),
    "messages/count_tokens": Route(
        methods={"POST": _count_tokens}, dialect="anthropic_messages", needs_models=True
    ),
}
_PASSED: Final[Mapping[str, Route]] = {
    name: Route(
        methods={"POST": partial(pass_on, name)},
        dialect="openai_chat",
        needs_models=True,
        takes_forms=name in PASSED_FORMS,
    )
    for name in (*PASSED_JSON, *PASSED_FORMS)
}
_GEMINI: Final = Route(methods={"POST": _gemini}, dialect="google_gemini", needs_models=True, key_in_url=True)
_GEMINI_LIST: Final = Route(
    methods={"GET": _gemini_models}, dialect="google_gemini", needs_models=True, key_in_url=True
)
_GEMINI_MODEL: Final = Route(
    methods={"GET": _gemini_model}, dialect="google_gemini", needs_models=True, key_in_url=True
)
_ONE_MODEL: Final = Route(methods={"GET": _model}, needs_models=True, takes_google_header=True)
_KEPT: Final[tuple[tuple[re.Pattern[str], Route], ...]] = (
    (
        re.compile(r"responses/[^/]+"),
        Route(methods={"GET": show_response, "DELETE": delete_response}, dialect="openai_responses"),
    ),
    (
        re.compile(r"responses/[^/]+/input_items"),
        Route(methods={"GET": list_input_items}, dialect="openai_responses"),
    ),
    (
        re.compile(r"conversations/[^/]+"),
        Route(
            methods={
                "GET": show_conversation,
                "POST": update_conversation,
                "DELETE": delete_conversation,
            },
            dialect="openai_responses",
        ),
    ),
    (
        re.compile(r"conversations/[^/]+/items"),
        Route(methods={"GET": list_items, "POST": add_items}, dialect="openai_responses"),
    ),
    (
        re.compile(r"conversations/[^/]+/items/[^/]+"),
        Route(methods={"GET": show_item, "DELETE": delete_item}, dialect="openai_responses"),
    ),
)
"""What is kept, by its id."""


def _endpoint(path: str) -> str:
    """Return the path without its version: `/v1/x`, `/x` and `/v1/v1/x` (an SDK with /v1 in its base URL) are one."""
    rest = path.removeprefix("/")
    for _ in range(2):
        rest = rest.removeprefix("v1/")
    return rest


def _gemini_route(path: str) -> Route | None:
    if _GEMINI_METHOD.search(path):
        return _GEMINI
    match = _GEMINI_PATH.match(path)
    rest = path[match.end() :] if match is not None else ""
    if rest == "models":
        return _GEMINI_LIST
    return _GEMINI_MODEL if rest.startswith("models/") and len(rest) > len("models/") else None


def find_route(path: str) -> Route | None:
    """Return the endpoint at `path`, or None."""
    if path in _FIXED:
        return _FIXED[path]
    if not path.startswith("/"):
        return None
    if (gemini := _gemini_route(path)) is not None:
        return gemini
    rest = _endpoint(path)
    named = _ENDPOINTS.get(rest) or _PASSED.get(rest)
    if named is not None:
        return named
    if rest.startswith("models/") and len(rest) > len("models/"):
        return _ONE_MODEL
    return next((route for pattern, route in _KEPT if pattern.fullmatch(rest)), None)
