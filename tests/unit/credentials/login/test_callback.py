"""The loopback server at the end of a login, against whatever else may connect to it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from pi_model_proxy.credentials.login.browser import Code, LoginDenied, NotThisLogin
from pi_model_proxy.credentials.login.callback import MAX_HEAD_BYTES, Callback, listening

CODE = Code(code="c", verifier="v", redirect="r")


def check(fields: Mapping[str, str]) -> Code:
    if fields.get("error"):
        raise LoginDenied(f"no: {fields['error']}")
    if fields.get("state") != "right":
        raise NotThisLogin("<script>alert(1)</script>")
    return CODE


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


async def send(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (get("/"), b"404"),
        (get("/callbac?state=right"), b"404"),
        (get("/callback/?state=right"), b"404"),
        (get("http://[::1/"), b"404"),
        (b"POST /callback?state=right HTTP/1.1\r\n\r\n", b"405"),
        (b"nonsense\r\n\r\n", b"404"),
        (b"\r\n\r\n", b"404"),
        (get("/callback"), b"400"),
        (get("/callback?state=%00"), b"400"),
        (b"GET /callback?state=\xff\xfe HTTP/1.1\r\n\r\n", b"400"),
    ],
)
def test_nothing_but_the_right_answer_counts(data: bytes, status: bytes) -> None:
    async def story() -> None:
        callback = Callback("/callback", check)
        async with listening(callback, "127.0.0.1", 0) as port:
            waiting = asyncio.ensure_future(callback.code())
            assert (await send(port, data)).split(b" ")[1] == status
            assert not waiting.done()
            assert (await send(port, get("/callback?state=right"))).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await waiting == CODE
            assert (await send(port, get("/callback?state=right"))).split(b" ")[1] == b"409"

    run(story())


def test_connections_that_say_nothing_or_too_much_hold_nobody_up() -> None:
    async def story() -> None:
        callback = Callback("/callback", check)
        async with listening(callback, "127.0.0.1", 0) as port:
            spare = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
            assert await send(port, b"GET /callback?" + b"x" * (2 * MAX_HEAD_BYTES)) == b""
            assert b" 200 OK" in await send(port, get("/callback?state=right"))
            assert await callback.code() == CODE
        for _, writer in spare:
            writer.close()

    run(story())


def test_what_a_page_shows_cannot_run_there() -> None:
    async def story() -> None:
        callback = Callback("/callback", check)
        async with listening(callback, "127.0.0.1", 0) as port:
            page = await send(port, get("/callback?state=wrong"))
        assert b"&lt;script&gt;" in page
        assert b"<script>" not in page
        assert b"content-security-policy: default-src 'none'" in page

    run(story())


def test_a_refusal_is_handed_on_once() -> None:
    async def story() -> None:
        callback = Callback("/callback", check)
        async with listening(callback, "127.0.0.1", 0) as port:
            assert b" 400 " in await send(port, get("/callback?error=access_denied"))
            with pytest.raises(LoginDenied, match="access_denied"):
                await callback.code()
            assert b" 409 " in await send(port, get("/callback?state=right"))

    run(story())


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    async def story() -> None:
        async with listening(Callback("/callback", check), "127.0.0.1", 0) as port:
            with pytest.raises(OSError, match="in use"):
                async with listening(Callback("/callback", check), "127.0.0.1", port):
                    pass

    run(story())
