"""The demo upstream's HTTP side: one small server on loopback."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import msgspec

from pi_model_proxy.demo import faults
from pi_model_proxy.demo.formats import Format
from pi_model_proxy.demo.messages import Messages
from pi_model_proxy.demo.models import CONTEXT_TOKENS, FORMATS, demo_models, scene_of
from pi_model_proxy.demo.reading import Refused
from pi_model_proxy.demo.scenes import LABEL, Ask, Script, play
from pi_model_proxy.errors import CallerError
from pi_model_proxy.server.http1 import Http1Server, Limits
from pi_model_proxy.server.line import Line

__all__ = ["DemoUpstream"]

PACE_S: Final = 0.02
"""Between two frames of a stream, so that one can see it arrive."""
STALL_S: Final = 3600.0
"""A stalled answer hangs this long unless its reader leaves, which ends it at once."""
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
MAX_CONNECTIONS: Final = 10_000
_HOST: Final = "127.0.0.1"
_JSON: Final = {"content-type": "application/json"}

Json: TypeAlias = dict[str, Any]
Answerer: TypeAlias = Callable[[Line], Awaitable[None]]


class DemoUpstream:
    """A server to enter and leave: `async with DemoUpstream() as demo: demo.base_url`."""

    def __init__(self, *, pace_s: float = PACE_S) -> None:
        self._pace_s = pace_s
        self._server: asyncio.Server | None = None
        self._connections: Http1Server | None = None
        self._serial = itertools.count(1)
        self._routes: dict[str, dict[str, Answerer]] = {
            "/v1/models": {"GET": self._models},
            "/v1/messages/count_tokens": {"POST": self._count},
            **{format_.path: {"POST": self._answerer(format_)} for format_ in FORMATS},
        }
        self.base_url = ""
        """`http://127.0.0.1:port` once entered."""
        self.key = f"demo-{secrets.token_hex(16)}"
        """What requests must carry, as the key of any provider; a new one each time."""

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._connections = Http1Server(
            self._handle,
            limits=Limits,
            most_connections=lambda: MAX_CONNECTIONS,
            request_id=lambda: self._new_id("req_"),
        )
        self._server = await asyncio.get_running_loop().create_server(self._connections, _HOST, 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.base_url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop what is still being answered."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._connections is not None:
            await self._connections.close()

    async def _handle(self, line: Line) -> None:
        methods = self._routes.get(line.head.path)
        answerer = methods.get(line.head.method) if methods else None
        if methods is None:
            what = (
                f"{LABEL} The demo upstream answers chats only, not {line.head.method} {line.head.path[:60]}."
            )
            _refuse(line, HTTPStatus.NOT_FOUND, what)
        elif answerer is None:
            _refuse(line, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.METHOD_NOT_ALLOWED.phrase)
        else:
            try:
                await answerer(line)
            except CallerError as error:
                _refuse(line, error.status, error.message)

    async def _models(self, line: Line) -> None:
        models = [
            {
                "id": model.id,
                "object": "model",
                "created": 0,
                "owned_by": "scripted-demo",
                "description": model.name,
            }
            for model in demo_models(self.base_url)
        ]
        _answer(line, {"object": "list", "data": models})

    async def _count(self, line: Line) -> None:
        format_ = Messages()
        try:
            ask = format_.read(await self._body(format_, line))
        except Refused as refused:
            _say_no(format_, line, refused)
        else:
            _answer(line, {"input_tokens": ask.input_tokens})

    def _answerer(self, format_: Format) -> Answerer:
        async def answer(line: Line) -> None:
            try:
                ask = format_.read(await self._body(format_, line))
                script = _script(format_, ask)
            except Refused as refused:
                _say_no(format_, line, refused)
                return
            if ask.stream:
                await self._stream(format_, line, ask, script)
            else:
                await self._whole(format_, line, ask, script)

        return answer

    async def _body(self, format_: Format, line: Line) -> Json:
        """Return the request's JSON object.

        Raises:
            Refused: the key is wrong, a header is missing, or it is no JSON object.
            CallerError: it is far too long, or does not arrive.
        """
        headers = line.head.headers
        given = headers.get(format_.key_header, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, (format_.key_prefix + self.key).encode()):
            raise faults.no_key(format_.id)
        if format_.required_header and format_.required_header not in headers:
            raise Refused(400, "invalid_request_error", f"{format_.required_header}: header is required")
        try:
            return _body_decoder.decode(await line.body(MAX_BODY_BYTES))
        except (ValueError, RecursionError) as error:
            raise faults.no_json() from error

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}demo{next(self._serial):08d}"

    async def _stream(self, format_: Format, line: Line, ask: Ask, script: Script) -> None:
        frames = list(format_.stream(script, ask, self._new_id))
        if script.fault is not None:
            frames = frames[: len(frames) // 2]
        line.start(200, {"content-type": "text/event-stream; charset=utf-8"})
        for frame in frames:
            line.write(frame)
            await line.drain()
            await asyncio.sleep(self._pace_s)
        if script.fault is None:
            line.write(b"", last=True)
        elif script.fault == "error":
            line.write(format_.broken(faults.broke_off(format_.id)), last=True)
        else:
            await _fall_silent(script)

    async def _whole(self, format_: Format, line: Line, ask: Ask, script: Script) -> None:
        if script.fault == "error":
            _say_no(format_, line, faults.broke_off(format_.id))
            return
        data = msgspec.json.encode(format_.whole(script, ask, self._new_id))
        if script.fault is None:
            line.answer(200, data, _JSON)
            return
        line.start(200, {**_JSON, "content-length": str(len(data))})
        line.write(data[: len(data) // 2])
        await _fall_silent(script)


async def _fall_silent(script: Script) -> None:
    """Say nothing more: until the reader leaves, or by returning, which drops a connection in mid-answer."""
    if script.fault == "stall":
        await asyncio.sleep(STALL_S)


def _script(format_: Format, ask: Ask) -> Script:
    """Return the answer to a request.

    Raises:
        Refused: there is no such model in this format, it refuses by its script, or the request is too long.
    """
    scene = scene_of(ask.model)
    if scene is None or not ask.model.startswith(f"{format_.id}-"):
        raise faults.no_model(format_.id, ask.model[:100])
    if scene.fault == "rate-limit":
        raise faults.rate_limited(format_.id)
    if scene.fault == "overload":
        raise faults.overloaded(format_.id)
    if ask.input_tokens > CONTEXT_TOKENS:
        raise faults.too_long(format_.id, tokens=ask.input_tokens, maximum=CONTEXT_TOKENS)
    return play(scene, ask)


def _answer(line: Line, payload: Json, *, status: int = 200) -> None:
    line.answer(status, msgspec.json.encode(payload), _JSON)


def _say_no(format_: Format, line: Line, refused: Refused) -> None:
    headers = _JSON
    if refused.retry_after_s is not None:
        headers = {**_JSON, "retry-after": str(refused.retry_after_s)}
    line.answer(refused.status, msgspec.json.encode(format_.refusal(refused)), headers)


def _refuse(line: Line, status: int, message: str) -> None:
    """Answer what no format knows: unknown paths and methods, bodies too large."""
    _answer(line, {"error": {"message": message, "type": "invalid_request_error"}}, status=status)


_body_decoder: Final = msgspec.json.Decoder(Json)
