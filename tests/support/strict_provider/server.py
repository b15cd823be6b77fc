"""The provider itself: takes requests, refuses what a vendor would refuse, answers as scripted, misbehaves on demand.

with StrictProvider.running() as provider:
    provider.queue(say("hi"), FAULTS["reset-mid-body"])
    ask(provider.base_url + "/v1/chat/completions")
    assert provider.diary.last().body["model"] == "text"
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from support.strict_provider.answer import Answer, Ids, Pace
from support.strict_provider.diary import Arrival, Diary
from support.strict_provider.faults import FAULTS, Fault
from support.strict_provider.glimpse import Asked, Dialect, glimpse
from support.strict_provider.http1 import BadHttp, Connection, HttpRequest, PeerLeft
from support.strict_provider.intake import Refused, credential, model_item, model_list, parsed, unknown_model
from support.strict_provider.reply import Exchange, answered, head, json_reply, refused
from support.strict_provider.rulebook import Case, Verdict
from support.strict_provider.rules_chat import CHAT_RULES
from support.strict_provider.rules_messages import MESSAGES_RULES
from support.strict_provider.rules_responses import RESPONSES_RULES
from support.strict_provider.script import DIRECTIVE, SCRIPTS, Script
from support.strict_provider.shapes import estimate_tokens
from support.strict_provider.speech import Speech
from support.strict_provider.steps import Doom, HangUp, Hold, Linger, Pause, Reset, Send, Step
from support.strict_provider.tokens import TokenDesk
from support.strict_provider.traits import MODELS, Catalog, Model
from support.strict_provider.vault import Vault, digest
from support.strict_provider.vendor_errors import for_objection, for_status

__all__ = ["Options", "StrictProvider", "Turn"]

LINGER_LIMIT_S: Final = 600.0
"""When even silence ends, should the peer never leave."""
START_LIMIT_S: Final = 10.0
FAULTY_SCRIPT: Final = "hello"
"""What a fault spoils when nothing else is asked for: long enough to be cut in the middle."""

PATHS: Final[tuple[tuple[str, Dialect], ...]] = (
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/v1/messages", "messages"),
    ("/v1/messages/count_tokens", "messages"),
)
"""Endings of paths and the dialect spoken there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one provider differs from the next."""

    keys: frozenset[str] | None = None
    """Keys that open the door; None: any key, or none at all."""
    echo_key: bool = False
    """Whether a 401 repeats the key it was shown."""
    models: tuple[Model, ...] = MODELS
    counts_tokens: bool = True
    """Whether `count_tokens` exists here."""
    default_script: str = "auto"
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What to do with one request: what to say, and what goes wrong meanwhile."""

    script: Script
    fault: Fault | None = None
    model: str | None = None
    """Only for requests to this model."""
    name: str = ""


Queueable = Answer | Script | Fault | Turn


class StrictProvider:
    """One provider on one loopback port."""

    def __init__(
        self, options: Options | None = None, *, desk: TokenDesk | None = None, diary: Diary | None = None
    ) -> None:
        self.options = options or Options()
        self.diary = diary or Diary()
        self.desk = desk or TokenDesk()
        self.vault = Vault()
        self.crashes: list[Exception] = []
        """Errors of the provider's own; `running` raises the first at its end."""
        self.port = 0
        self._catalog = Catalog(self.options.models, names=[*SCRIPTS, *FAULTS])
        self._ids = Ids()
        self._turns: deque[Turn] = deque()
        self._gates: dict[str, asyncio.Event] = {}
        self._current: dict[Connection, Arrival] = {}
        self._connections: set[Connection] = set()
        self._accepted = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._tasks: asyncio.TaskGroup | None = None

    # ── for tests ──

    @classmethod
    @contextmanager
    def running(
        cls, options: Options | None = None, *, desk: TokenDesk | None = None
    ) -> Iterator[StrictProvider]:
        """Run a provider in a thread of its own until the block ends.

        Raises:
            Exception: whatever crashed inside the provider; that is a bug of the test or of this package.
        """
        provider = cls(options, desk=desk)
        listening = threading.Event()
        serve = provider.serve(lambda _: listening.set())
        thread = threading.Thread(target=asyncio.run, args=(serve,), daemon=True)
        thread.start()
        if not listening.wait(START_LIMIT_S):
            raise TimeoutError("the strict provider did not start")
        try:
            yield provider
        finally:
            provider.stop()
            thread.join()
            if provider.crashes:
                raise provider.crashes[0]

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`: the base URL of Anthropic's clients."""
        scheme = "https" if self.options.tls else "http"
        return f"{scheme}://{self.options.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The origin and `/v1`: the base URL of OpenAI's clients."""
        return f"{self.origin}/v1"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def accepted(self) -> int:
        """How many connections were ever accepted."""
        return self._accepted

    def queue(
        self,
        *turns: Queueable,
        fault: Fault | None = None,
        pace: Pace | None = None,
        model: str | None = None,
    ) -> None:
        """Line up what the next requests (to `model`, if given) get, one each; refused requests take none."""
        with self._lock:
            self._turns.extend(_turn(turn, fault, pace, model) for turn in turns)

    def queued(self) -> int:
        """Return how many turns have not been taken."""
        return len(self._turns)

    def drop_turns(self) -> int:
        """Forget what is queued, so that one test's leftovers do not reach the next; return how many there were."""
        with self._lock:
            dropped = len(self._turns)
            self._turns.clear()
            return dropped

    def open_gate(self, gate: str = "gate") -> None:
        """Let answers pass that wait at this gate, now and later."""
        assert self._loop is not None, "the provider is not running"
        self._loop.call_soon_threadsafe(lambda: self._gate(gate).set())

    def hang_up_idle(self) -> None:
        """Close every connection that is not in the middle of an answer, as a server restart would."""
        assert self._loop is not None, "the provider is not running"

        def close() -> None:
            for connection in [found for found in self._connections if not self._busy(found)]:
                connection.close()

        self._loop.call_soon_threadsafe(close)

    def stop(self) -> None:
        """Close the port and every connection."""
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)

    # ── serving ──

    async def serve(self, announce: Callable[[StrictProvider], None]) -> None:
        """Serve until `stop`; `announce` is called once the port is open."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            server = await self._loop.create_server(
                lambda: Connection(self._began, self._left),
                self.options.host,
                self.options.port,
                ssl=self.options.tls,
            )
            self.port = server.sockets[0].getsockname()[1]
            announce(self)
            await self._stopping.wait()
            server.close()
            for connection in list(self._connections):
                connection.reset()

    def _began(self, connection: Connection) -> None:
        assert self._tasks is not None, "a connection before the server began"
        self._accepted += 1
        connection.number = self._accepted
        self._connections.add(connection)
        self._tasks.create_task(self._converse(connection))

    def _left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        arrival = self._current.pop(connection, None)
        if arrival is not None and not connection.closed_here:
            self.diary.note(arrival, peer_left_after_s=connection.gone_at - arrival.at)

    def _busy(self, connection: Connection) -> bool:
        arrival = self._current.get(connection)
        return arrival is not None and arrival.finished_after_s is None

    async def _converse(self, connection: Connection) -> None:
        """Answer one request after the other until either side has had enough."""
        try:
            while True:
                request = await connection.read_request()
                arrival = self._arrive(connection, request)
                keep = await self._perform(connection, arrival, self._plan(request, arrival))
                if not keep or request.header("connection").lower() == "close":
                    connection.close()
                    return
        except PeerLeft:
            return
        except BadHttp as error:
            connection.close()
            self.diary.add(
                connection=connection.number,
                method="?",
                target="?",
                headers=(),
                raw=str(error).encode(),
                at=time.monotonic(),
            )
        except Exception as error:
            self.crashes.append(error)
            connection.reset()

    def _arrive(self, connection: Connection, request: HttpRequest) -> Arrival:
        arrival = self.diary.add(
            connection=connection.number,
            method=request.method,
            target=request.target,
            headers=request.headers,
            raw=request.body,
            at=time.monotonic(),
        )
        self._current[connection] = arrival
        return arrival

    async def _perform(self, connection: Connection, arrival: Arrival, plan: Iterable[Step]) -> bool:
        """Do what the plan says; return whether the connection may be used again."""
        for step in plan:
            match step:
                case Send(data):
                    if arrival.status is None and data.startswith(b"HTTP/1.1 "):
                        self.diary.note(arrival, status=int(data[9:12]))
                    await connection.write(data)
                    arrival.bytes_sent += len(data)
                case Pause(seconds):
                    await connection.pause(seconds)
                case Hold(gate):
                    self.diary.note(arrival, holding=gate)
                    await connection.pause(LINGER_LIMIT_S, self._gate(gate))
                    self.diary.note(arrival, holding="")
                case Linger():
                    await connection.pause(LINGER_LIMIT_S)
                case Reset() | HangUp():
                    self._finish(connection, arrival)
                    connection.reset() if isinstance(step, Reset) else connection.close()
                    return False
                case Doom():
                    connection.doom()
        self._finish(connection, arrival)
        return True

    def _finish(self, connection: Connection, arrival: Arrival) -> None:
        if not connection.gone.is_set():
            self.diary.note(arrival, finished_after_s=time.monotonic() - arrival.at)

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    # ── deciding ──

    def _plan(self, request: HttpRequest, arrival: Arrival) -> Iterator[Step]:
        """Return what happens to a request."""
        path = arrival.path
        request_id = self._ids.new("req_")
        dialect = next((found for ending, found in PATHS if path.endswith(ending)), None)
        if dialect is not None and request.method == "POST":
            self.diary.note(arrival, dialect=dialect)
            try:
                return self._answer(request, arrival, dialect, request_id)
            except Refused as refusal:
                self.diary.note(arrival, told="refused", verdict=refusal.verdict)
                return refused(dialect, refusal.error, request_id)
        if path.endswith("/oauth/token") and request.method == "POST":
            return self._tokens(request, arrival)
        return self._elsewhere(request, arrival, path)

    def _elsewhere(self, request: HttpRequest, arrival: Arrival, path: str) -> Iterator[Step]:
        ids = self._catalog.ids()
        prefix, _, wanted = path.partition("/models")
        if request.method == "GET" and prefix in {"/v1", "", "/api/v1"} and "/models" in path:
            self.diary.note(arrival, told="models")
            anthropic = bool(request.header("anthropic-version"))
            if not wanted:
                yield Send(json_reply(200, model_list(ids, anthropic=anthropic), {}))
                return
            name = unquote(wanted.removeprefix("/"))
            if name in ids:
                yield Send(json_reply(200, model_item(name, anthropic=anthropic), {}))
                return
            yield from refused("messages" if anthropic else "chat", unknown_model("chat", name), "req_none")
            return
        trap = path == "/redirected"
        self.diary.note(arrival, told="trap" if trap else "nothing here")
        body = b"this place must never be visited" if trap else b"404 page not found\n"
        yield Send(
            head(200 if trap else 404, {"content-type": "text/plain", "content-length": str(len(body))})
            + body
        )

    def _answer(
        self, request: HttpRequest, arrival: Arrival, dialect: Dialect, request_id: str
    ) -> Iterator[Step]:
        """Return the plan for a model's answer.

        Raises:
            Refused: the request is not in order.
        """
        key = credential(request)
        login = self.desk.knows(key)
        self._authorize(dialect, key, login=login)
        body = parsed(request, dialect)
        self.diary.note(arrival, body=body)
        counting = arrival.path.endswith("/count_tokens")
        if counting and not self.options.counts_tokens:
            raise Refused(replace(for_status(dialect, 404), message="Not Found"))
        model = self._model(dialect, body)
        verdict = self._judge(request, arrival, body, model=model, login=login)
        if verdict is not None:
            raise Refused(for_objection(verdict.objection), verdict)
        if counting:
            self.diary.note(arrival, told="counted")
            return iter(
                [Send(json_reply(200, {"input_tokens": estimate_tokens(body)}, {"request-id": request_id}))]
            )
        asked = glimpse(dialect, body)
        turn = self._next_turn(asked)
        self.diary.note(arrival, told=turn.name)
        speech = Speech(
            asked=asked,
            answer=turn.script(asked),
            model=model,
            vault=self.vault,
            ids=self._ids,
            account=digest(key),
            created=int(time.time()),
        )
        exchange = Exchange(
            dialect=dialect, stream=asked.stream, request_id=request_id, key=key, speech=speech
        )
        return turn.fault.plan(exchange) if turn.fault else answered(exchange)

    def _authorize(self, dialect: Dialect, key: str, *, login: bool) -> None:
        keys = self.options.keys
        if keys is None or key in keys or login:
            return
        error = for_status(dialect, 401)
        if self.options.echo_key:
            error = replace(error, message=f"Incorrect API key provided: {key}.")
        raise Refused(error)

    def _model(self, dialect: Dialect, body: dict[str, Any]) -> Model:
        name = body.get("model")
        if not isinstance(name, str) or not name:
            return Model(pattern="")
        model = self._catalog.find(name)
        if model is None:
            raise Refused(unknown_model(dialect, name))
        return model

    def _judge(
        self, request: HttpRequest, arrival: Arrival, body: dict[str, Any], *, model: Model, login: bool
    ) -> Verdict | None:
        facts: dict[str, Any] = {
            "body": body,
            "vault": self.vault,
            "headers": dict(request.headers),
            "account": digest(credential(request)),
            "login": login,
            "counting": arrival.path.endswith("/count_tokens"),
        }
        if arrival.dialect == "chat":
            return CHAT_RULES.judge(Case(traits=model.chat, **facts))
        if arrival.dialect == "messages":
            return MESSAGES_RULES.judge(Case(traits=model.messages, **facts))
        codex = arrival.path.endswith("/codex/responses")
        return RESPONSES_RULES.judge(Case(traits=replace(model.responses, codex=codex), **facts))

    def _next_turn(self, asked: Asked) -> Turn:
        """Return the queued turn, or what prompt or model name ask for, or the default."""
        with self._lock:
            for turn in self._turns:
                if turn.model in {None, asked.model}:
                    self._turns.remove(turn)
                    return turn
        named = dict(DIRECTIVE.findall(asked.prompt))
        fault = FAULTS.get(named.get("fault", asked.model))
        default = FAULTY_SCRIPT if fault else self.options.default_script
        script = named.get("script", asked.model)
        script = script if script in SCRIPTS else default
        return Turn(script=SCRIPTS[script], fault=fault, name=fault.name if fault else script)

    def _tokens(self, request: HttpRequest, arrival: Arrival) -> Iterator[Step]:
        reply = self.desk.answer(request.header("content-type"), request.body)
        self.diary.note(arrival, told="tokens")
        if reply.trouble.gate:
            yield Hold(reply.trouble.gate)
        if reply.trouble.lost:
            yield Reset()
        yield Send(json_reply(reply.status, reply.body, {}))


def _turn(found: Queueable, fault: Fault | None, pace: Pace | None, model: str | None) -> Turn:
    if isinstance(found, Turn):
        return found
    if isinstance(found, Fault):
        return Turn(script=SCRIPTS[FAULTY_SCRIPT], fault=found, model=model, name=found.name)
    if isinstance(found, Answer):
        answer = replace(found, pace=pace) if pace else found
        return Turn(script=lambda _: answer, fault=fault, model=model, name="queued answer")

    def script(asked: Asked) -> Answer:
        answer = found(asked)
        return replace(answer, pace=pace) if pace else answer

    return Turn(script=script, fault=fault, model=model, name=getattr(found, "__name__", "queued script"))
