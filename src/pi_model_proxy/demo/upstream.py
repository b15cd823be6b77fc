"""The demo upstream's HTTP side: one small server on loopback."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import secrets
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from aiohttp import web

from pi_model_proxy.demo import faults
from pi_model_proxy.demo.formats import Format
from pi_model_proxy.demo.messages import Messages
from pi_model_proxy.demo.models import CONTEXT_TOKENS, FORMATS, demo_models, scene_of
from pi_model_proxy.demo.reading import Refused
from pi_model_proxy.demo.scenes import Ask, Script, play

__all__ = ["DemoUpstream"]

PACE_S: Final = 0.02
"""Between two frames of a stream, so that one can see it arrive."""
STALL_S: Final = 3600.0
"""A stalled answer hangs this long unless its reader leaves, which ends it at once."""
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_HOST: Final = "127.0.0.1"

Json = dict[str, Any]


class DemoUpstream:
    """A server to enter and leave: `async with DemoUpstream() as demo: demo.base_url`."""

    def __init__(self, *, pace_s: float = PACE_S) -> None:
        self._pace_s = pace_s
        self._runner: web.AppRunner | None = None
        self._serial = itertools.count(1)
        self.base_url = ""
        """`http://127.0.0.1:port` once entered."""
        self.key = f"demo-{secrets.token_hex(16)}"
        """What requests must carry, as the key of any provider; a new one each time."""

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._runner is not None

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors_as_json])
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        for format_ in FORMATS:
            app.router.add_post(format_.path, self._answerer(format_))
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, _HOST, 0)
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop what is still being answered."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
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
        return _json({"object": "list", "data": models})

    async def _count(self, request: web.Request) -> web.Response:
        format_ = Messages()
        try:
            ask = format_.read(await self._body(format_, request))
        except Refused as refused:
            return _refusal(format_, refused)
        return _json({"input_tokens": ask.input_tokens})

    def _answerer(self, format_: Format) -> Any:  # noqa: ANN401 - aiohttp's own handler type is as loose
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                ask = format_.read(await self._body(format_, request))
                script = _script(format_, ask)
            except Refused as refused:
                return _refusal(format_, refused)
            if ask.stream:
                return await self._stream(format_, request, ask, script)
            return await self._whole(format_, request, ask, script)

        return answer

    async def _body(self, format_: Format, request: web.Request) -> Json:
        """Return the request's JSON object.

        Raises:
            Refused: the key is wrong, a header is missing, or it is no JSON object.
        """
        given = request.headers.get(format_.key_header, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, (format_.key_prefix + self.key).encode()):
            raise faults.no_key(format_.id)
        if format_.required_header and format_.required_header not in request.headers:
            raise Refused(400, "invalid_request_error", f"{format_.required_header}: header is required")
        try:
            return _body_decoder.decode(await request.read())
        except (ValueError, RecursionError) as error:
            raise faults.no_json() from error

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}demo{next(self._serial):08d}"

    async def _stream(
        self, format_: Format, request: web.Request, ask: Ask, script: Script
    ) -> web.StreamResponse:
        frames = list(format_.stream(script, ask, self._new_id))
        if script.fault is not None:
            frames = frames[: len(frames) // 2]
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for frame in frames:
            await response.write(frame)
            await asyncio.sleep(self._pace_s)
        if script.fault is not None:
            if script.fault == "error":
                await response.write(format_.broken(faults.broke_off(format_.id)))
            else:
                await self._fall_silent(request, script)
        return response

    async def _whole(
        self, format_: Format, request: web.Request, ask: Ask, script: Script
    ) -> web.StreamResponse:
        if script.fault == "error":
            return _refusal(format_, faults.broke_off(format_.id))
        data = msgspec.json.encode(format_.whole(script, ask, self._new_id))
        if script.fault is None:
            return web.Response(body=data, content_type="application/json")
        headers = {"content-type": "application/json", "content-length": str(len(data))}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        await self._fall_silent(request, script)
        return response

    async def _fall_silent(self, request: web.Request, script: Script) -> None:
        """Say nothing more: until the reader leaves, or by dropping the connection."""
        if script.fault == "stall":
            await asyncio.sleep(STALL_S)
        if request.transport is not None:
            request.transport.abort()


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


def _json(payload: Json, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(payload), status=status, content_type="application/json")


def _refusal(format_: Format, refused: Refused) -> web.Response:
    response = _json(format_.refusal(refused), status=refused.status)
    if refused.retry_after_s is not None:
        response.headers["retry-after"] = str(refused.retry_after_s)
    return response


@web.middleware
async def _errors_as_json(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401 - aiohttp's own handler type is as loose
    """Answer what aiohttp itself refuses (unknown paths, methods, bodies too large) in JSON, not in its plain text."""
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPException as error:
        return _json(
            {"error": {"message": error.reason, "type": "invalid_request_error"}}, status=error.status
        )
    return response


_body_decoder: Final = msgspec.json.Decoder(Json)
