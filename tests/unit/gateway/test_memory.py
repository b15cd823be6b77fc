"""Before the caller of a response that is kept: its end waits until it is kept, however its events were cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_responses import State
from pi_model_proxy.errors import BadRequest, StorageFailed
from pi_model_proxy.gateway.memory_caller import KeepingCaller
from pi_model_proxy.gateway.memory_paths import InputPaths

DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"event: x"}\n\n'
)
PING = b": keep-alive\n\n"


def response(status: str, output: list[Any] | None = None) -> dict[str, Any]:
    return {
        "id": "upstream",
        "status": status,
        "store": False,
        "previous_response_id": None,
        "output": output or [],
    }


def event(name: str, held: dict[str, Any]) -> bytes:
    data = json.dumps({"type": name, "response": held, "sequence_number": 1})
    return f"event: {name}\ndata: {data}\n\n".encode()


CREATED = event("response.created", response("in_progress"))
STARTED = event("response.in_progress", response("in_progress"))
ITEM = {"type": "message", "id": "msg_1"}
COMPLETED = event("response.completed", response("completed", [ITEM]))
FAILED = event("response.failed", response("failed"))


class Caller:
    congested = False

    def __init__(self) -> None:
        self.written = b""
        self.ended = 0
        self.answered: list[bytes] = []
        self.headers: Mapping[str, str] = {}

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def write(self, data: bytes, *, last: bool = False) -> None:
        self.written += data
        self.ended += last

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.answered.append(body)

    async def drain(self) -> None: ...

    def events(self) -> list[dict[str, Any]]:
        lines = self.written.decode().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


class Desk:
    """Takes what is to be kept, and says when it is."""

    def __init__(self) -> None:
        self.caller = Caller()
        self.kept: list[tuple[bytes, list[bytes]]] = []
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        state = State(previous_response_id="resp_before")
        self.keeping = KeepingCaller(self.caller, state, "resp_own", self._keep, InputPaths(2))

    def _keep(self, body: bytes, output: list[bytes]) -> asyncio.Future[None]:
        self.kept.append((body, output))
        return self.future


def run(story: Callable[[Desk], Awaitable[None]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(asyncio.ensure_future(story(Desk())), 30)

    asyncio.run(told())


@pytest.mark.parametrize(
    "pieces",
    [
        [CREATED + STARTED + DELTA + COMPLETED],
        [CREATED, STARTED, DELTA, COMPLETED],
        [PING, CREATED, PING + STARTED, DELTA + PING, DELTA[:0], COMPLETED],
        [CREATED + STARTED + DELTA, DELTA + COMPLETED],
        [CREATED + COMPLETED],
    ],
)
@pytest.mark.parametrize("closes_with_the_last", [True, False])
def test_the_end_is_told_once_it_is_kept(pieces: list[bytes], closes_with_the_last: bool) -> None:
    async def story(desk: Desk) -> None:
        for piece in pieces[:-1]:
            desk.keeping.write(piece)
        desk.keeping.write(pieces[-1], last=closes_with_the_last)
        if not closes_with_the_last:
            desk.keeping.write(b"", last=True)
        assert b"response.completed" not in desk.caller.written
        assert desk.caller.ended == 0
        desk.future.set_result(None)
        await desk.keeping.settled()
        assert desk.caller.ended == 1
        told = desk.caller.events()
        whole = [each["response"] for each in told if "response" in each]
        assert {(each["id"], each["store"], each["previous_response_id"]) for each in whole} == {
            ("resp_own", True, "resp_before")
        }
        assert told[-1]["response"]["output"] == [ITEM]
        ((body, output),) = desk.kept
        assert json.loads(body) == whole[-1] | {"output": []}
        assert [json.loads(item) for item in output] == [ITEM]
        assert desk.caller.written.count(DELTA) == b"".join(pieces).count(DELTA)

    run(story)


def test_an_answer_that_cannot_be_kept_is_told_all_the_same() -> None:
    async def story(desk: Desk) -> None:
        desk.keeping.write(CREATED + COMPLETED, last=True)
        desk.future.set_exception(StorageFailed("the disk is full"))
        await desk.keeping.settled()
        assert desk.caller.events()[-1]["type"] == "response.completed"
        assert desk.caller.ended == 1

    run(story)


def test_an_answer_that_failed_is_told_at_once_and_not_kept() -> None:
    async def story(desk: Desk) -> None:
        desk.keeping.write(CREATED)
        desk.keeping.write(FAILED, last=True)
        assert desk.caller.ended == 1
        assert desk.caller.events()[-1]["response"]["id"] == "resp_own"
        await desk.keeping.settled()
        assert not desk.kept

    run(story)


def test_a_whole_answer_waits_too() -> None:
    async def story(desk: Desk) -> None:
        desk.keeping.answer(200, json.dumps(response("completed", [ITEM])).encode(), {})
        assert not desk.caller.answered
        desk.future.set_result(None)
        await desk.keeping.settled()
        (body,) = desk.caller.answered
        assert json.loads(body)["id"] == "resp_own"

    run(story)


def test_paths_are_those_of_the_callers_own_input() -> None:
    paths = InputPaths(2)
    assert paths.own("input[2].content[0], input[13].x") == "input[0].content[0], input[11].x"
    assert paths.own("input[1].content") == "(earlier) input[1].content"
    assert paths.own("tools[2]") == "tools[2]"
    error = BadRequest("input[3]: is wrong.", param="input[3]")
    paths.mend(error)
    assert (error.message, error.param) == ("input[1]: is wrong.", "input[1]")

    async def story(desk: Desk) -> None:
        desk.keeping.start(200, {"x-pi-model-proxy-dropped": "input[2].x, seed"})
        assert desk.caller.headers == {"x-pi-model-proxy-dropped": "input[0].x, seed"}

    run(story)
