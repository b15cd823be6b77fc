"""Requests that no dialect translates: embeddings, pictures, sound. They go to their provider as they are.

Only the model's name is exchanged, and the credential added. The provider must speak OpenAI's API; the
model need not be in pi's catalogue, which lists chat models only: any `provider/id` of a provider that
can be used is passed on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from pi_model_proxy.dialects import openai_chat
from pi_model_proxy.dialects.base import Outgoing, Peek
from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.openai_embeddings import as_base64, wants_base64
from pi_model_proxy.dialects.openai_errors import error_words
from pi_model_proxy.dialects.openai_pictures import (
    MODALITIES,
    PictureWish,
    encode_pictures,
    picture_chat,
    read_pictures,
)
from pi_model_proxy.dialects.reading import raw_members
from pi_model_proxy.dialects.table import Dialect
from pi_model_proxy.errors import (
    BadRequest,
    BrokenStream,
    KindNotServed,
    UnsupportedFeature,
    UpstreamError,
    UpstreamTimeout,
)
from pi_model_proxy.gateway.attempts import Attempts, Opened, read_all
from pi_model_proxy.gateway.caller import Call, Caller
from pi_model_proxy.gateway.headers import DROPPED_HEADER, dropped_value, passed_back
from pi_model_proxy.gateway.listing import Entry as Listed
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.timelimit import TimeLimit
from pi_model_proxy.gateway.way import Sending, Way, Ways
from pi_model_proxy.hub import Usage
from pi_model_proxy.ledger import Entry
from pi_model_proxy.providers import RequestTraits, request_headers
from pi_model_proxy.providers.pictures import draws_in_chat
from pi_model_proxy.wire import FrameDecoder, ascii_json, compact_json, edit_object, encode_frame
from pi_model_proxy.wire.multipart import MAX_PARTS, FormPart, boundary_of, find_part, part_names

__all__ = ["Listener", "Passing"]

PREFIXES: Final = {
    "openai-completions": "",
    "openai-responses": "",
    "azure-openai-responses": "",
    "mistral-conversations": "/v1",
}
"""pi's API kinds whose providers have OpenAI's other endpoints, and what stands between base URL and path."""
MAX_WAYS: Final = 256
"""Names as callers write them; beyond this the memory is emptied, not grown."""
_EMBEDDINGS: Final = "/embeddings"
_PICTURES: Final = "/images/generations"
_CHAT: Final = "/chat/completions"
_NOT_FOUND: Final = 404
MAX_TYPE_CHARS: Final = 300
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_PAGES: Final = ("text/html", "application/xhtml")
"""Never an answer of theirs, and nothing that should come from this address into a browser."""
_STREAMED: Final = ("audio/", "video/")
"""What is played while it comes."""
_DIALECT: Final = Dialect(name="openai_passed", server=openai_chat.SERVER)
"""No codec: its errors are OpenAI's, whatever the endpoint."""
_LARGE_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""Longer answers are not searched for their usage."""


class Listener(Caller, Protocol):
    """A caller of sound, which has no words for an error."""

    def abandon(self) -> None:
        """Break the connection off, so that nobody takes what was sent for the whole."""
        ...


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """A request's body and where the model is named in it."""

    model: str
    content_type: str
    members: Mapping[str, bytes] | None = None
    part: FormPart | None = None
    text: bytes = b""
    dropped: tuple[str, ...] = ()
    """Fields that would steer the provider's own transport, and are not passed on."""

    def named(self, model: str) -> bytes:
        """Return the body with another name."""
        if self.part is not None:
            return self.part.replaced(self.text, model.encode())
        return edit_object(self.members or {}, put={"model": compact_json(model)}, remove=self.dropped)


class _PassPlan(Plan):
    """A plan whose request is passed on."""

    __slots__ = ("_body", "_path")

    def __init__(self, call: Call, way: Way, *, path: str, body: _Body) -> None:
        super().__init__(call, Peek(model=body.model, stream=False), way)
        self._path = path
        self._body = body

    def encode(self, sending: Sending) -> Outgoing:  # type: ignore[explicit-override] # typing.override came with 3.12
        """Return the caller's request under the provider's own name for the model."""
        self.target = sending.target
        return Outgoing(
            path=PREFIXES[sending.target.kind] + self._path,
            body=self._body.named(sending.target.model),
            headers={"content-type": self._body.content_type, "accept": "*/*"},
            stream=False,
            dropped=self._body.dropped,
        )

    def mend(self, body: bytes, error: UpstreamError) -> bytes | None:  # type: ignore[explicit-override] # as above
        """Return None: nothing is known of these formats."""
        del body, error
        return None

    def traits(self, sending: Sending) -> Mapping[str, str]:  # type: ignore[explicit-override] # as above
        """Return the headers of a request that continues no conversation."""
        if not sending.wants_traits:
            return {}
        return request_headers(self.target.provider, sending.lease.base_url, RequestTraits())


class Passing:
    """Passes requests on; one object a gateway."""

    def __init__(
        self, attempts: Attempts, clean: Callable[[Mapping[str, str]], dict[str, str]], *, hop: str
    ) -> None:
        """Take what opens upstreams, what takes headers with a live secret out, and our mark against loops."""
        self._attempts = attempts
        self._clean = clean
        self._hop = hop
        self._ways: Ways | None = None
        self._known: dict[str, Way] = {}

    async def pass_on(self, path: str, call: Call, caller: Listener, entry: Entry, ways: Ways) -> None:
        """Answer the request at `path` (below a base URL, `/embeddings`) with the provider's own bytes.

        Raises:
            BadRequest: no model is named.
            UnknownModel, KindNotServed: nobody can be asked.
            GatewayError: nothing of an answer has been sent; the caller gets a status.
        """
        asked = _read(call)
        way = self._way(asked.model, path, ways)
        if path == _PICTURES and draws_in_chat(way.provider, way.entry.offer.model.base_url):
            await self._draw(call, caller, entry, ways, asked.model)
            return
        opened = await self._open(path, call, asked, entry, ways)
        response = opened.response
        media = response.headers.get("content-type", "")[:MAX_TYPE_CHARS]
        if media.lower().startswith(_PAGES):
            response.abort()
            raise BrokenStream(
                "The provider answered with a web page instead of data; correct the provider's base URL."
            )
        headers = self._clean(passed_back(response.headers, upstream="openai_chat", caller="openai_chat"))
        headers["content-type"] = media if media.isascii() and media.isprintable() and media else _JSON
        if opened.outgoing.dropped:
            entry.dropped = opened.outgoing.dropped
            headers[DROPPED_HEADER] = dropped_value(entry.dropped)
        if media.startswith((_EVENTS, *_STREAMED)):
            entry.stream = True
            await self._stream(opened, caller, entry, ways, headers)
            return
        body = await _whole(opened, ways)
        _settle(entry, call)
        if media.startswith(_JSON) and len(body) <= _LARGE_ANSWER_BYTES:
            entry.count(_usage_in(body))
        if path == _EMBEDDINGS and wants_base64(asked.members):
            body = as_base64(body)
        caller.answer(200, body, headers)

    async def _draw(self, call: Call, caller: Listener, entry: Entry, ways: Ways, model: str) -> None:
        """Answer a request for pictures by a chat with a model that draws."""
        wish = read_pictures(call.body)
        if wish.dropped and call.strict:
            path = wish.dropped[0]
            raise UnsupportedFeature(
                f"{path}: {model} cannot be asked for this; remove the field.", param=path
            )
        answer = await self._drawn(wish, call, entry, ways, model)
        told, usage = encode_pictures(answer, created=int(time.time()))
        entry.count(usage)
        headers = {"content-type": _JSON}
        if wish.dropped:
            entry.dropped = wish.dropped
            headers[DROPPED_HEADER] = dropped_value(wish.dropped)
        caller.answer(200, told, headers)

    async def _drawn(self, wish: PictureWish, call: Call, entry: Entry, ways: Ways, model: str) -> bytes:
        for modalities in MODALITIES[:-1]:
            try:
                return await self.fetch(
                    _CHAT, call, entry, ways, model=model, body=picture_chat(wish, modalities)
                )
            except UpstreamError as error:
                # Nothing was drawn: OpenRouter finds no model that answers in all of these.
                if error.status != _NOT_FOUND:
                    raise
        return await self.fetch(
            _CHAT, call, entry, ways, model=model, body=picture_chat(wish, MODALITIES[-1])
        )

    async def fetch(
        self, path: str, call: Call, entry: Entry, ways: Ways, *, model: str | None, body: bytes
    ) -> bytes:
        """Return the provider's answer to `body`, JSON in OpenAI's words for another dialect's request.

        Raises:
            GatewayError: as `pass_on` does.
        """
        if not model:
            raise _unnamed()
        asked = _Body(model=model, content_type=_JSON, members=raw_members(body))
        answer = await _whole(await self._open(path, call, asked, entry, ways), ways)
        _settle(entry, call)
        entry.count(_usage_in(answer))
        return answer

    async def _open(self, path: str, call: Call, body: _Body, entry: Entry, ways: Ways) -> Opened:
        entry.dialect = entry.dialect or "openai"
        entry.model_asked = body.model[:200]
        way = self._way(body.model, path, ways)
        entry.model, entry.provider = f"{way.provider}/{way.target.model}", way.provider
        return await self._attempts.open(_PassPlan(call, way, path=path, body=body), entry, ways.deadlines)

    def _way(self, name: str, path: str, ways: Ways) -> Way:
        if self._ways is not ways:
            self._ways, self._known = ways, {}
        way = self._known.get(name)
        if way is None:
            if len(self._known) >= MAX_WAYS:
                self._known.clear()
            listed, model_id = _find(name, path, ways)
            target = msgspec.structs.replace(listed.target, model=model_id, public_model=name)
            way = self._known[name] = Way(_DIALECT, listed, target, self._hop)
        return way

    async def _stream(
        self, opened: Opened, caller: Listener, entry: Entry, ways: Ways, headers: Mapping[str, str]
    ) -> None:
        """Pass events and sound on as they come.

        Events that break off end with OpenAI's error frame; for sound only the end of the connection can tell.
        """
        response, usage = opened.response, _EventUsage()
        entry.status = 200
        caller.start(200, headers)
        try:
            while True:
                with TimeLimit(ways.silence_s):
                    chunk = await response.read()
                if not chunk:
                    break
                caller.write(chunk)
                usage.feed(chunk)
                if caller.congested:
                    await caller.drain()
        except (BrokenStream, TimeoutError) as error:
            response.abort()
            told = error if isinstance(error, UpstreamError) else _silent(ways.silence_s)
            entry.error, entry.error_kind, entry.ended_by = told.message, told.proxy_error, "upstream"
            if headers["content-type"].startswith(_EVENTS):
                caller.write(encode_frame(ascii_json({"error": error_words(told)})), last=True)
            else:
                caller.abandon()
            return
        except BaseException:
            response.abort()
            raise
        finally:
            entry.count(usage.found)
        response.release()
        caller.write(b"", last=True)


def _find(name: str, path: str, ways: Ways) -> tuple[Listed, str]:
    """Return an entry of the provider that `name` means, to be leased from, and the id it knows the model by.

    Raises:
        UnknownModel, BadRequest: no provider, or several, are meant; or this one cannot be used.
        KindNotServed: it does not speak OpenAI's API.
    """
    settings, listing = ways.settings, ways.listing
    meant = settings.aliases.get(name, name)
    exact = listing.directory.find(meant)
    if exact is not None:
        provider, model_id = exact.offer.model.provider, exact.offer.model.id
    else:
        provider, _, model_id = meant.partition("/")
    of_provider = [entry for entry in listing.entries if entry.offer.model.provider == provider and model_id]
    if not of_provider:
        exact = listing.directory.resolve(name, aliases=settings.aliases, default=None).entry
        provider, model_id = exact.offer.model.provider, exact.offer.model.id
        of_provider = [entry for entry in listing.entries if entry.offer.model.provider == provider]
    if exact is not None:
        of_provider.insert(0, exact)
    fitting = [entry for entry in of_provider if entry.offer.model.api in PREFIXES]
    if not fitting:
        raise KindNotServed(
            f"model: {provider} has no endpoint like OpenAI's {path}; name a model of another provider.",
            param="model",
        )
    usable = next((entry for entry in fitting if entry.usable), None)
    if usable is None:
        fitting[0].client()  # says why not
    return usable or fitting[0], model_id


def _read(call: Call) -> _Body:
    """Return the body and where its model is named.

    Raises:
        BadRequest: it is not what its type says, or names no model.
    """
    content_type = call.headers.get("content-type", "")
    boundary = boundary_of(content_type)
    if boundary is None:
        return _read_json(call)
    _check_names(part_names(call.body, boundary))
    part = find_part(call.body, boundary, "model")
    if part is None or len(content_type) > MAX_TYPE_CHARS or not content_type.isprintable():
        raise _unnamed()
    try:
        model = part.value(call.body).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("model: must be text.", param="model") from error
    if not model:
        raise _unnamed()
    return _Body(model=model, content_type=content_type, part=part, text=call.body)


def _check_names(names: Sequence[str]) -> None:
    """Let in forms with nothing in them that would steer a provider's own transport; out of JSON it is taken.

    Raises:
        BadRequest: there is such a part, or are so many parts that there may be one.
    """
    for name in names:
        if name in STEERING_FIELDS:
            raise BadRequest(f"{name}: not passed on to any provider; remove the field.", param=name)
    if len(names) >= MAX_PARTS:
        raise BadRequest(f"The form has {MAX_PARTS} parts or more; send fewer.")


def _read_json(call: Call) -> _Body:
    members = raw_members(call.body)
    try:
        model = msgspec.json.decode(members.get("model", b"null"), type=str | None)
    except (ValueError, RecursionError) as error:
        raise BadRequest("model: must be a string.", param="model") from error
    if not model:
        raise _unnamed()
    dropped = tuple(name for name in members if name in STEERING_FIELDS)
    if dropped and call.strict:
        raise UnsupportedFeature(
            f"{dropped[0]}: not passed on to any provider; remove the field.", param=dropped[0]
        )
    return _Body(model=model, content_type=_JSON, members=members, dropped=dropped)


def _unnamed() -> BadRequest:
    return BadRequest(
        "model: missing; name one as provider/id, such as openai/text-embedding-3-small.", param="model"
    )


async def _whole(opened: Opened, ways: Ways) -> bytes:
    try:
        with TimeLimit(ways.whole_s):
            return await read_all(opened.response)
    except TimeoutError as error:
        opened.response.abort()
        raise _silent(ways.whole_s) from error
    except BaseException:
        opened.response.abort()
        raise


def _silent(limit_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"The answer was not complete within {limit_s:g} s (requestTimeoutMs).")


def _settle(entry: Entry, call: Call) -> None:
    entry.status = 200
    entry.first_byte_ms = (time.monotonic() - call.arrived_s) * 1000


class _Counts(msgspec.Struct):
    """Counts under either of OpenAI's names; sound and some servers count otherwise."""

    prompt_tokens: int | None = None
    input_tokens: int | None = None
    completion_tokens: int | None = None
    output_tokens: int | None = None


class _Counted(msgspec.Struct):
    usage: _Counts | None = None


_counted_decoder: Final = msgspec.json.Decoder(_Counted)


def _usage_in(answer: bytes) -> Usage | None:
    """Return the counts that an answer or an event names; None when it names none."""
    try:
        counts = _counted_decoder.decode(answer).usage
    except (ValueError, RecursionError):
        return None
    if counts is None:
        return None
    fresh, output = (
        counts.prompt_tokens or counts.input_tokens,
        counts.completion_tokens or counts.output_tokens,
    )
    if fresh is None and output is None:
        return None
    return Usage(input=max(0, fresh or 0), output=max(0, output or 0))


class _EventUsage:
    """Watches events pass for the counts in one of them; never in their way."""

    def __init__(self) -> None:
        self.found: Usage | None = None
        self._frames: FrameDecoder | None = FrameDecoder()

    def feed(self, chunk: bytes) -> None:
        if self._frames is None:
            return
        try:
            frames = self._frames.feed(chunk)
        except BrokenStream:
            # Longer than any event with counts: they stay unknown, the bytes pass.
            self._frames = None
            return
        for frame in frames:
            if b'"usage"' in frame.data:
                self.found = _usage_in(frame.data) or self.found
