"""Requests that nobody in his right mind would send, each from one number: structure first, bytes last."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from unit.server.http1.mutations import mutated

__all__ = ["CANARY", "KEY", "Asked", "asked", "kept"]

KEY: Final = "fuzz-gateway-key-0123456789"
CANARY: Final = "canary sentence of a private prompt"
"""Stands in every prompt: it may come back in answers, and must be in no log."""

MAX_DEPTH: Final = 12
"""Deeper nothing is changed."""
_USUAL: Final = ("text", "text", "text", "tools", "thinking", "vision")
_FAULTY: Final = ("rate-limit", "overload", "cut", "error")
_HOSTILE: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1e308, 2**63, 10**400, float("nan"), "", " ", "\0", "\ud800", "\u202e\x1b[31m", "x" * 70_000,
    [], {}, [[]], [None], [{}], {"type": 1}, {"type": "nothing"}, "data:image/png;base64,AAAA", "http://127.0.0.1:9/x",
    "file:///etc/passwd", "../../etc/passwd", "a\r\nx-evil: 1", "auto", "none", "function", "user", "resp_0", "9" * 5000,
)  # fmt: skip
_STEERING: Final = (
    "api_base",
    "base_url",
    "api_key",
    "extra_headers",
    "proxy",
    "__proto__",
    "constructor",
    "",
)
_QUERIES: Final = (
    "a=1&" * 80, "limit=0", f"limit={'9' * 5000}", "limit=%FF", "order=up", "after=x&limit=1", "alt=sse", "alt=%00", "pageSize=-1",
    "pageToken=99999999", "stream=true", "%0d%0ax-evil:1", "include[]=x", "beta=true", "before_id=x", "?" * 500,
)  # fmt: skip
_HEADERS: Final = (
    b"x-request-id: sane-1", b"x-request-id: in sane", b"x-request-id: " + b"y" * 5000, b"origin: http://localhost:3000",
    b"origin: https://evil.example", b"origin: null", b"sec-fetch-site: cross-site", b"x-pi-model-proxy-hop: a,b,c",
    b"x-pi-model-proxy-hop: " + b"a," * 30, b"x-pi-model-proxy-hop: \xff\xfe", b"x-pi-model-proxy-strict: 1",
    b"x-pi-model-proxy-client: \xe9<script>", b"anthropic-version: 2023-06-01", b"anthropic-version: \xff", b"anthropic-beta: a,b,\xe9",
    b"x-goog-api-key: wrong", b"x-api-key: wrong", b"authorization: Bearer wrong", b"authorization: Basic \xff",
    b"content-encoding: gzip", b"expect: 100-continue", b"accept: text/html", b"accept: text/event-stream", b"cookie: a=b",
    b"access-control-request-private-network: true", b"session-id: \xe9\xff", b"session_id: " + b"s" * 900,
    b"x-session-affinity: a b", b"user-agent: \x80agent/1", b"idempotency-key: k", b"openai-organization: o", b"range: bytes=0-1",
)  # fmt: skip
_TYPES: Final = (
    b"text/plain", b"application/json; charset=utf-16", b"application/x-www-form-urlencoded", b"multipart/form-data",
    b"multipart/form-data; boundary=x", b'multipart/form-data; boundary="a b"', b"application/vnd.api+json", b"", b"\xff/\xfe",
)  # fmt: skip
_DEEP: Final = {
    "@lists": b"[" * 700 + b"1" + b"]" * 700,
    "@objects": b'{"type":"object","properties":' * 120 + b"{}" + b"}" * 120,
    "@choices": b'{"anyOf":[' * 200 + b"{}" + b"]}" * 200,
    "@bottomless": b"[" * 100_000,
}
"""Nesting, by what stands for it until the text is written: Python's own tools would not survive it."""
_TOOL: Final = {
    "name": "look", "description": "looks",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}, "n": {"type": "integer"}}},
}  # fmt: skip
_PICTURE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Base:
    """One endpoint, asked as it wants to be asked."""

    method: str
    path: str
    family: str
    """Whose errors it has: `openai`, `anthropic`, `google`, `ollama`, or `any` where the caller's headers tell."""
    body: Mapping[str, Any] | None = None
    form: bool = False


@dataclass(frozen=True)
class Asked:
    """A request in bytes."""

    name: str
    data: bytes
    family: str
    pieces: tuple[int, ...] = ()
    """Where it is split into packets."""
    is_framed: bool = True
    """One request, and exactly one answer to it."""
    method: str = "POST"
    forbidden_page: bool = False
    """It says that a page of a foreign origin sends it."""
    notes: Mapping[str, str] = field(default_factory=dict)


def _chat() -> dict[str, Any]:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PICTURE}"}}
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"x"}'}}
    return {
        "messages": [
            {"role": "system", "content": CANARY},
            {"role": "user", "content": [{"type": "text", "text": CANARY}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": CANARY},
            {"role": "user", "content": CANARY},
        ],
        "tools": [{"type": "function", "function": _TOOL}],
        "tool_choice": "auto", "max_tokens": 8, "temperature": 0.5, "stop": ["END"], "seed": 1, "reasoning_effort": "low",
        "response_format": {"type": "json_object"}, "stream": True, "stream_options": {"include_usage": True}, "n": 1,
    }  # fmt: skip


def _messages() -> dict[str, Any]:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PICTURE}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "x"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": CANARY}]}
    return {
        "max_tokens": 1100, "system": [{"type": "text", "text": CANARY, "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": CANARY}, image]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "c2ln"}, call]},
            {"role": "user", "content": [result]},
        ],
        "tools": [{"name": "look", "description": "d", "input_schema": _TOOL["parameters"]}],
        "tool_choice": {"type": "auto"}, "thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {"user_id": "u"},
        "stop_sequences": ["END"], "stream": True,
    }  # fmt: skip


def _responses() -> dict[str, Any]:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{_PICTURE}", "detail": "auto"}
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}", "id": "fc_1"}
    return {
        "instructions": CANARY,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": CANARY}, image]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"},
            call,
            {"type": "function_call_output", "call_id": "call_1", "output": CANARY},
            {"type": "item_reference", "id": "msg_unknown"},
        ],
        "tools": [{"type": "function", **_TOOL, "strict": True}],
        "max_output_tokens": 16, "reasoning": {"effort": "low", "summary": "auto"}, "text": {"format": {"type": "text"}},
        "previous_response_id": "resp_unknown", "store": True, "stream": True, "include": ["reasoning.encrypted_content"],
        "metadata": {"a": "b"}, "truncation": "auto",
    }  # fmt: skip


def _gemini() -> dict[str, Any]:
    return {
        "systemInstruction": {"parts": [{"text": CANARY}]},
        "contents": [
            {"role": "user", "parts": [{"text": CANARY}, {"inlineData": {"mimeType": "image/png", "data": _PICTURE}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2ln"}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": CANARY}}}]},
        ],
        "tools": [{"functionDeclarations": [_TOOL]}], "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {"maxOutputTokens": 8, "temperature": 0.5, "stopSequences": ["END"],
                             "thinkingConfig": {"thinkingBudget": 100, "includeThoughts": True}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    }  # fmt: skip


def _ollama() -> dict[str, Any]:
    call = {"function": {"name": "look", "arguments": {"at": "x"}}}
    return {
        "messages": [
            {"role": "system", "content": CANARY},
            {"role": "user", "content": CANARY, "images": [_PICTURE]},
            {"role": "assistant", "content": "", "tool_calls": [call], "thinking": "t"},
            {"role": "tool", "content": CANARY, "tool_name": "look"},
        ],
        "tools": [{"type": "function", "function": _TOOL}], "think": True, "format": "json", "keep_alive": "5m", "stream": True,
        "options": {"num_predict": 8, "temperature": 0.5, "stop": ["END"], "seed": 1},
    }  # fmt: skip


def _generate() -> dict[str, Any]:
    words = {
        "prompt": CANARY,
        "suffix": "",
        "system": CANARY,
        "template": "",
        "context": [1, 2],
        "raw": False,
    }
    return {**words, "images": [_PICTURE], "stream": True, "options": {"num_predict": 8}}


_ITEMS: Final = {
    "items": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": CANARY}]}]
}
_BASES: Final = (
    *(4 * (Base("POST", "/v1/chat/completions", "openai", _chat()),)),
    *(4 * (Base("POST", "/v1/messages", "anthropic", _messages()),)),
    *(4 * (Base("POST", "/v1/responses", "openai", _responses()),)),
    *(2 * (Base("POST", "/v1beta/models/{model}:generateContent", "google", _gemini()),)),
    *(2 * (Base("POST", "/v1beta/models/{model}:streamGenerateContent", "google", _gemini()),)),
    *(3 * (Base("POST", "/api/chat", "ollama", _ollama()),)),
    *(2 * (Base("POST", "/api/generate", "ollama", _generate()),)),
    Base("POST", "/v1beta/models/{model}:countTokens", "google", _gemini()),
    Base("POST", "/v1/messages/count_tokens", "anthropic", _messages()),
    Base("POST", "/v1/responses/input_tokens", "openai", _responses()),
    Base("POST", "/v1/responses/compact", "openai", _responses()),
    Base("POST", "/v1/completions", "openai", {"prompt": [CANARY, CANARY], "max_tokens": 8, "stream": True, "logprobs": 1, "echo": True}),
    Base("POST", "/v1/embeddings", "openai", {"input": [CANARY], "dimensions": 8, "encoding_format": "float"}),
    Base("POST", "/v1/images/generations", "openai", {"prompt": CANARY, "n": 1, "size": "1024x1024"}),
    Base("POST", "/v1/audio/speech", "openai", {"input": CANARY, "voice": "alloy"}),
    Base("POST", "/v1/audio/transcriptions", "openai", {"file": "sound", "prompt": CANARY}, form=True),
    Base("POST", "/v1/images/edits", "openai", {"image": "png", "prompt": CANARY}, form=True),
    Base("POST", "/api/embed", "ollama", {"input": [CANARY], "truncate": True, "options": {}}),
    Base("POST", "/api/embeddings", "ollama", {"prompt": CANARY}),
    Base("POST", "/api/show", "ollama", {"verbose": True}),
    Base("POST", "/v1/conversations", "openai", {**_ITEMS, "metadata": {"a": "b"}}),
    Base("POST", "/v1/conversations/conv_unknown", "openai", {"metadata": {"a": "b"}}),
    Base("POST", "/v1/conversations/conv_unknown/items", "openai", _ITEMS),
    Base("GET", "/v1/conversations/conv_unknown/items", "openai"),
    Base("DELETE", "/v1/conversations/conv_unknown/items/msg_1", "openai"),
    Base("DELETE", "/v1/conversations/conv_unknown", "openai"),
    Base("GET", "/v1/responses/resp_unknown", "openai"),
    Base("GET", "/v1/responses/resp_unknown/input_items", "openai"),
    Base("DELETE", "/v1/responses/resp_unknown", "openai"),
    Base("GET", "/v1/models", "any"),
    Base("GET", "/v1/models/{model}", "any"),
    Base("GET", "/v1beta/models", "google"),
    Base("GET", "/v1beta/models/{model}", "google"),
    Base("GET", "/api/tags", "ollama"),
    Base("GET", "/api/ps", "ollama"),
    Base("GET", "/api/version", "ollama"),
    Base("GET", "/", "any"),
    Base("GET", "/health", "any"),
    Base("GET", "/readyz", "any"),
    Base("GET", "/nowhere", "any"),
)  # fmt: skip


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to everything in a JSON value."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, inner in entries:
        yield (*at, name)
        if len(at) < MAX_DEPTH:
            yield from _places(inner, (*at, name))


def _hostile(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(_HOSTILE))


def _spoil(rng: random.Random, body: dict[str, Any]) -> None:
    """Change one thing in a body."""
    at = rng.choice(list(_places(body)))
    holder: Any = body
    for step in at[:-1]:
        holder = holder[step]
    name = at[-1]
    match rng.randrange(9):
        case 0:
            del holder[name]
        case 1:
            holder[name] = [copy.deepcopy(holder[name]) for _ in range(rng.choice((2, 20, 300)))]
        case 2:
            holder[name] = {"value": holder[name], "type": _hostile(rng)}
        case 3 if isinstance(holder, dict):
            holder[rng.choice(_STEERING)] = _hostile(rng)
        case 4 if isinstance(holder, dict):
            holder[f"{name}\u0000"] = holder.pop(name)
        case 5 if isinstance(holder, list):
            holder[:] = holder[::-1]
        case 6:
            holder[name] = rng.choice(list(_DEEP))
        case _:
            holder[name] = _hostile(rng)


def _model(rng: random.Random) -> str:
    scene = rng.choice(_FAULTY if rng.random() < 0.1 else _USUAL)
    return f"demo/{rng.choice(('chat', 'messages', 'responses'))}-{scene}"


def _dumped(body: Any) -> bytes:
    text = json.dumps(body).encode()
    for mark, deep in _DEEP.items():
        text = text.replace(b'"%b"' % mark.encode(), deep)
    return text


def _text(rng: random.Random, body: dict[str, Any]) -> bytes:
    text = _dumped(body)
    match rng.randrange(14):
        case 0:
            return text[: rng.randrange(len(text))]
        case 1:
            return mutated(rng, text.replace(CANARY.encode(), b"words"))  # which may end up in another field
        case 2:
            return text[:-1] + b',"model":"demo/chat-text","stream":false}'
        case 3:
            return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        case 4:
            return rng.choice(
                (b"", b"null", b"[]", b'"x"', b"{}", b"\xff\xfe{}", b"\xef\xbb\xbf" + text, b"[" * 3000)
            )
        case _:
            return text


def _form(rng: random.Random, body: dict[str, Any]) -> tuple[bytes, bytes]:
    mark = rng.choice((b"mark", b"-", b"a" * 70))
    parts = b""
    for name, value in body.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        head = b'Content-Disposition: form-data; name="%b"' % str(name).encode("utf-8", "replace").replace(
            b'"', b""
        )
        parts += b"--%b\r\n%b\r\n\r\n%b\r\n" % (mark, head, shown.encode("utf-8", "replace"))
    whole = parts + b"--%b--\r\n" % mark
    if rng.random() < 0.2:
        whole = mutated(rng, whole.replace(CANARY.encode(), b"words"))
    return whole, b"multipart/form-data; boundary=" + mark


def _path(rng: random.Random, base: Base, model: str) -> tuple[str, str]:
    path, family = base.path.replace("{model}", model), base.family
    if rng.random() < 0.1:
        at = rng.randrange(1, len(path) + 1)
        path = (
            path[:at]
            + rng.choice(("%0d%0a", "%00", "/..", "%2e%2e%2f", "//", "%ff", "%1b[31m", ":", "/v1"))
            + path[at:]
        )
        family = "any"
    elif rng.random() < 0.1 and family == "openai":
        path = rng.choice(("/v1" + path, path.removeprefix("/v1")))
    if rng.random() < 0.15:
        path += "?" + rng.choice(_QUERIES)
    elif path.endswith(":streamGenerateContent") and rng.random() < 0.5:
        path += "?alt=sse"
    return path.replace(" ", "%20"), family


def _chunked(rng: random.Random, data: bytes) -> bytes:
    out, at = b"", 0
    while at < len(data):
        size = rng.choice((1, 7, 100, 5000))
        piece = data[at : at + size]
        at += size
        if len(data) > 5000 and size < 100:
            piece, at = data[at - size :], len(data)
        out += b"%x\r\n%b\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


def asked(seed: int) -> Asked:
    """Return the request that belongs to a number."""
    rng = random.Random(seed)
    base, model = rng.choice(_BASES), _model(rng)
    path, family = _path(rng, base, model)
    method = base.method
    if rng.random() < 0.05:
        method = rng.choice(("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"))
    body, content_type = b"", b"application/json"
    if base.body is not None:
        value = json.loads(json.dumps(base.body))
        if "{model}" not in base.path:
            value["model"] = model
        if "stream" in value and rng.random() < 0.5:
            value["stream"] = False
        if value.get("previous_response_id") and rng.random() < 0.8:
            del value["previous_response_id"]
            value["input"].pop()
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            _spoil(rng, value)
            if not value:
                break
        body, content_type = _form(rng, value) if base.form else (_text(rng, value), content_type)
    headers = [b"host: 127.0.0.1", b"authorization: Bearer " + KEY.encode()]
    strange = [line for line in rng.sample(_HEADERS, 2) if rng.random() < 0.3]
    if rng.random() < 0.03:
        content_type = rng.choice(_TYPES)
    headers += [
        b"content-type: " + content_type,
        *(line for line in strange if not line.startswith(b"authorization")),
    ]
    if any(line.startswith(b"authorization") for line in strange):
        headers[1] = next(line for line in strange if line.startswith(b"authorization"))
    if family == "google" and rng.random() < 0.3:
        headers[1] = b"x-goog-api-key: " + KEY.encode()
        path += ("&" if "?" in path else "?") + f"key={KEY}"
    version = b"1.0" if rng.random() < 0.03 else b"1.1"
    framed = body
    if rng.random() < 0.15 and version == b"1.1" and b"expect: 100-continue" not in headers:
        headers.append(b"transfer-encoding: chunked")
        framed = _chunked(rng, body)
    elif body or method in {"POST", "PUT", "PATCH"}:
        headers.append(b"content-length: %d" % len(body))
    first = b"%b %b HTTP/%b" % (method.encode(), path.encode("ascii", "replace"), version)
    data = b"\r\n".join((first, *headers, b"", b"")) + framed
    is_framed = rng.random() >= 0.06
    if not is_framed:
        # Nothing secret where a changed byte would make it a part of the path or of a name.
        data = data.replace(b"key=" + KEY.encode(), b"key=wrong").replace(CANARY.encode(), b"words")
        data = mutated(rng, data)
    splits = sorted(rng.sample(range(1, len(data)), min(len(data) - 1, rng.choice((0, 0, 1, 2)))))
    return Asked(
        name=f"{seed}: {method} {base.path}",
        data=data,
        family=family,
        pieces=tuple(splits),
        is_framed=is_framed,
        method=method,
        forbidden_page=is_framed
        and any(line in {b"origin: https://evil.example", b"origin: null"} for line in headers),
    )


def kept(name: str, data: bytes) -> Asked:
    """Return a request of the corpus: whole, and one."""
    return Asked(name=name, data=data, family="any", method=data.split(b" ", 1)[0].decode("ascii", "replace"))
