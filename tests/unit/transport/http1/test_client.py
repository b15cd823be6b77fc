"""The transport's promises, whatever the event loop."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl

import pytest

from pi_model_proxy.errors import BrokenStream, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from pi_model_proxy.transport import UpstreamHead, UpstreamRequest
from pi_model_proxy.transport.http1 import Http1Transport
from pi_model_proxy.transport.http1.connection import SLICE_BYTES
from unit.transport.raw_upstream import (
    DEADLINES,
    OK,
    Run,
    ask,
    fetch,
    forever,
    keep_alive,
    once,
    post,
    read_request,
    transport,
    upstream,
    whole,
)


def test_an_answer_arrives_as_it_was_sent(run: Run) -> None:
    assert run(fetch(once(OK))) == (200, b"hi")


def test_only_the_headers_we_mean_are_sent(run: Run) -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    run(fetch(script))
    names = {line.split(b":")[0].lower() for line in seen[0].split(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
    assert names == {b"host", b"accept-encoding", b"content-type", b"content-length"}


def test_a_redirect_is_returned_not_followed(run: Run) -> None:
    assert (
        run(fetch(once(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")))[
            0
        ]
        == 302
    )


@pytest.mark.parametrize(
    ("answer", "proxy_error"),
    [
        (b"", "connection_terminated"),
        (b"\x00\x01garbage\r\n\r\n", "http_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * 1024 * 1024 + b"\r\n\r\n", "http_protocol_error"),
    ],
    ids=["closed before the headers", "no HTTP", "an endless header"],
)
def test_no_answer_is_named(run: Run, answer: bytes, proxy_error: str) -> None:
    with pytest.raises(UpstreamUnreachable) as caught:
        run(fetch(once(answer)))
    assert caught.value.proxy_error == proxy_error
    assert caught.value.status == 502


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nXYZ\r\n",
    ],
    ids=["short body", "chunks without an end", "a bad chunk"],
)
def test_a_cut_body_is_broken_never_complete(run: Run, answer: bytes) -> None:
    # A bad chunk in the same packet as the headers is found before there is an answer to read.
    with pytest.raises((BrokenStream, UpstreamUnreachable)):
        run(fetch(once(answer)))


def test_a_refused_connection_is_named(run: Run) -> None:
    async def main() -> None:
        async with transport() as client:
            await client.open(post("http://127.0.0.1:1"), DEADLINES)

    with pytest.raises(UpstreamUnreachable) as caught:
        run(main())
    assert caught.value.proxy_error == "connection_refused"
    assert "127.0.0.1" in caught.value.message


def test_an_unknown_host_is_named(run: Run) -> None:
    async def main() -> None:
        async with transport() as client:
            await client.open(post("http://no-such-host.invalid"), DEADLINES)

    with pytest.raises(UpstreamUnreachable) as caught:
        run(main())
    assert caught.value.proxy_error == "dns_error"


def test_silence_before_the_headers_ends_at_the_deadline(run: Run) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(UpstreamTimeout, match="requestTimeoutMs"):
        run(fetch(silent, headers_s=0.05))


def test_plain_text_on_a_tls_port_is_a_tls_error(run: Run) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 no\r\n\r\n")

    async def main() -> None:
        async with upstream(plain) as url, transport() as client:
            await client.open(post(url.replace("http:", "https:")), DEADLINES)

    with pytest.raises(UpstreamUnreachable) as caught:
        run(main())
    assert caught.value.proxy_error == "tls_protocol_error"


def test_connections_are_pooled(run: Run) -> None:
    script, connections = keep_alive(100)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(5):
                response = await client.open(post(url), DEADLINES)
                while await response.read():
                    pass
                response.release()

    run(main())
    assert connections == [5]


def test_a_stale_pooled_connection_is_replaced_without_a_word(run: Run) -> None:
    script, connections = keep_alive(1)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(5):
                response = await client.open(post(url), DEADLINES)
                assert response.status == 200
                while await response.read():
                    pass
                response.release()

    run(main())
    assert connections == [1, 1, 1, 1, 1]


def test_a_fresh_connection_that_closes_is_not_asked_twice(run: Run) -> None:
    asked: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.append(1)

    with pytest.raises(UpstreamUnreachable):
        run(fetch(script))
    assert asked == [1]


def test_an_aborted_answer_closes_its_connection(run: Run) -> None:
    async def main() -> bool:
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
            await writer.drain()
            await reader.read()
            closed.set()

        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            assert await response.read() == b"hi"
            response.abort()
            response.abort()
            async with asyncio.timeout(1):
                return await closed.wait()

    assert run(main())


def test_a_cancelled_read_loses_nothing(run: Run) -> None:
    async def main() -> bytes:
        go = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            await writer.drain()
            await go.wait()
            writer.write(b"hi")
            await writer.drain()

        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await response.read()
            go.set()
            return await response.read()

    assert run(main()) == b"hi"


def test_compression_nobody_asked_for_is_undone(run: Run) -> None:
    body = gzip.compress(b"hello" * 100)
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    assert run(fetch(once(answer))) == (200, b"hello" * 100)


def test_a_decompression_bomb_is_given_up(run: Run) -> None:
    body = gzip.compress(b"\0" * 64 * 1024 * 1024)
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with pytest.raises(BrokenStream, match="32 MiB"):
        run(fetch(once(answer)))


@pytest.mark.parametrize("encoding", [b"br", b"gzip"])
def test_compression_that_cannot_be_undone_is_broken(run: Run, encoding: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: 4\r\n\r\nabcd" % encoding
    with pytest.raises(BrokenStream):
        run(fetch(once(answer)))


def test_a_proxy_is_used_for_the_hosts_it_is_for(run: Run) -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async def main() -> None:
        async with upstream(script) as proxy:
            async with transport({"HTTP_PROXY": proxy, "NO_PROXY": "direct.invalid"}) as client:
                response = await client.open(post("http://far.invalid"), DEADLINES)
                assert response.status == 200
                response.abort()
                with pytest.raises(UpstreamUnreachable):
                    await client.open(post("http://direct.invalid"), DEADLINES)

    run(main())
    assert seen[0].startswith(b"POST http://far.invalid/x HTTP/1.1\r\n")


def test_control_requests_return_the_whole_answer(run: Run) -> None:
    async def main() -> tuple[int, bytes]:
        async with upstream(once(OK)) as url, transport() as client:
            return await client.post(f"{url}/token", {"content-type": "application/json"}, b"{}", 2)

    assert run(main()) == (200, b"hi")


def test_an_endless_control_answer_is_given_up(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3 * 1024 * 1024)
        await writer.drain()

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            await client.post(f"{url}/token", {}, b"{}", 2)

    with pytest.raises(UpstreamError):
        run(main())


def test_an_untrusted_ca_file_is_an_error_at_first_use(run: Run) -> None:
    async def main() -> None:
        client = Http1Transport({}, ca_file="/nonexistent/ca.pem")
        await client.open(post("https://127.0.0.1:1"), DEADLINES)

    with pytest.raises((UpstreamError, OSError, ssl.SSLError)):
        run(main())


def test_an_answer_without_a_length_ends_with_its_connection(run: Run) -> None:
    assert run(fetch(once(b"HTTP/1.1 200 OK\r\n\r\nall ", b"of it"))) == (200, b"all of it")


def test_a_reset_is_never_the_end_of_an_answer_without_a_length(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall ")
        await writer.drain()
        await read_request(reader)
        reset(writer)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            assert await response.read() == b"all "
            # The script resets when it sees more bytes: written past the client, on its own socket.
            (connection,) = client._connections
            assert connection._transport is not None
            connection._transport.write(b"POST / HTTP/1.1\r\n\r\n")
            with pytest.raises(BrokenStream) as caught:
                await response.read()
            assert caught.value.proxy_error == "http_response_incomplete"

    run(main())


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets a reset, not an end."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


def test_what_arrived_before_the_cut_is_still_delivered(run: Run) -> None:
    async def main() -> bytes:
        async with (
            upstream(once(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhi")) as url,
            transport() as client,
        ):
            response = await client.open(post(url), DEADLINES)
            data = await response.read()
            with pytest.raises(BrokenStream) as caught:
                await response.read()
            assert caught.value.proxy_error == "http_response_incomplete"
            with pytest.raises(BrokenStream):
                await response.read()
            return data

    assert run(main()) == b"hi"


def test_interim_answers_are_skipped(run: Run) -> None:
    script = once(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", OK)
    assert run(fetch(script)) == (200, b"hi")


def test_an_upgrade_nobody_asked_for_is_no_answer(run: Run) -> None:
    switch = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    with pytest.raises(UpstreamUnreachable) as caught:
        run(fetch(once(switch)))
    assert caught.value.proxy_error == "http_protocol_error"


def test_a_long_body_arrives_whole_and_its_connection_serves_again(run: Run) -> None:
    body = bytes(range(256)) * 32 * 1024
    seen: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            request = await read_request(reader)
            seen.append(len(request.partition(b"\r\n\r\n")[2]))
            assert request.endswith(body)
            writer.write(OK)

    async def main() -> None:
        async with upstream(script, limit=16 * 1024 * 1024) as url, transport() as client:
            assert await ask(client, url, body) == (200, b"hi")
            assert await ask(client, url, body) == (200, b"hi")

    run(main())
    assert seen == [len(body)] * 2


def test_others_have_their_turn_while_a_long_body_leaves(run: Run) -> None:
    body = b"x" * 16 * 1024 * 1024

    async def main() -> int:
        async with upstream(forever()[0], limit=2 * len(body)) as url, transport() as client:
            turns = 0
            await ask(client, url)
            (connection,) = client._connections
            asking = asyncio.ensure_future(ask(client, url, body))
            await asyncio.sleep(0)
            assert not connection._sent
            while not connection._sent:
                turns += 1
                await asyncio.sleep(0)
            assert await asking == (200, b"hi")
            return turns

    assert run(main()) >= len(body) // SLICE_BYTES


def test_an_upstream_that_does_not_read_holds_up_a_long_body(run: Run) -> None:
    body = b"x" * 32 * 1024 * 1024

    async def main() -> int:
        go = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await go.wait()
            await reader.readexactly(len(body))
            writer.write(OK)

        async with upstream(script) as url, transport() as client:
            asking = asyncio.ensure_future(ask(client, url, body))
            while not client._connections or not next(iter(client._connections))._congested:
                await asyncio.sleep(0)
            (connection,) = client._connections
            assert connection._transport is not None
            waiting = connection._transport.get_write_buffer_size()
            go.set()
            assert await asking == (200, b"hi")
            return waiting

    assert run(main()) < 1024 * 1024


def test_an_answer_before_the_end_of_a_long_body_counts_and_ends_the_connection(run: Run) -> None:
    async def main() -> bytes:
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            await writer.drain()
            while await reader.read(65536):
                pass
            closed.set()

        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url, b"x" * 64 * 1024 * 1024), DEADLINES)
            assert response.status == 413
            (connection,) = client._connections
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 1024 * 1024
            while connection._transport.get_write_buffer_size():
                await asyncio.sleep(0)
            # Nothing waits to be sent, yet the other side still waits for the rest of the body.
            said = await whole(response)
            async with asyncio.timeout(5):
                await closed.wait()
            return said

    assert run(main()) == b"no"


def test_a_slow_reader_slows_its_upstream(run: Run) -> None:
    size = 64 * 1024 * 1024

    async def main() -> None:
        sent = 0
        full = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            while sent < size:
                writer.write(b"x" * 65536)
                sent += 65536
                if writer.transport.get_write_buffer_size() > 65536:
                    full.set()
                await writer.drain()

        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            await full.wait()
            # It holds what its own buffers, the two sockets and our read-ahead take, and waits.
            for _ in range(1000):
                await asyncio.sleep(0)
            assert sent < size / 2
            assert len(await whole(response)) == size
            assert sent == size

    run(main())


def test_extra_bytes_after_an_answer_never_reach_the_next(run: Run) -> None:
    poison = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
    script, connections = forever(OK + poison)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(3):
                assert await ask(client, url) == (200, b"hi")

    run(main())
    assert connections == [1, 1, 1]


def test_extra_bytes_after_an_answer_that_is_not_let_go_yet_close_its_connection_at_once(run: Run) -> None:
    async def main() -> bytes:
        poison = asyncio.Event()
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(OK)
            await poison.wait()
            writer.write(OK)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(1)
            closed.set()

        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            poison.set()
            async with asyncio.timeout(5):
                await closed.wait()
            assert not client._connections
            return await whole(response)

    assert run(main()) == b"hi"


def test_extra_bytes_on_an_idle_connection_close_it(run: Run) -> None:
    complaints: list[object] = []

    async def main() -> None:
        poison = asyncio.Event()
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(OK)
            await poison.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")
            await writer.drain()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(1)
            closed.set()

        async with upstream(script) as url, transport() as client:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            assert await ask(client, url) == (200, b"hi")
            poison.set()
            async with asyncio.timeout(5):
                await closed.wait()
            assert not client._connections
            assert await ask(client, url) == (200, b"hi")

    run(main())
    assert complaints == []


def test_bytes_the_event_loop_has_not_seen_yet_are_noticed_too(run: Run) -> None:
    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        loop = asyncio.get_running_loop()

        def serve(poison: bytes) -> socket.socket:
            accepted, _ = listener.accept()
            accepted.recv(65536)
            accepted.sendall(OK)
            if poison:
                return accepted
            accepted.close()
            return accepted

        async with transport() as client:
            first = loop.run_in_executor(None, serve, b"poison")
            assert await ask(client, url) == (200, b"hi")
            accepted = await first
            # No turn of the event loop between these two lines: only the kernel knows of the poison.
            accepted.sendall(OK.replace(b"hi", b"no"))
            second = loop.run_in_executor(None, serve, b"")
            assert await ask(client, url) == (200, b"hi")
            await second
        accepted.close()
        listener.close()

    run(main())


def test_an_upstream_that_said_close_is_not_asked_again(run: Run) -> None:
    script, connections = forever(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi")

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(2):
                assert await ask(client, url) == (200, b"hi")

    run(main())
    assert connections == [1, 1]


def test_a_half_closed_connection_finishes_its_answer_and_serves_no_more(run: Run) -> None:
    accepted = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await read_request(reader)
        writer.write(OK)
        writer.write_eof()
        await reader.read()

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(2):
                assert await ask(client, url) == (200, b"hi")

    run(main())
    assert accepted == 2


def test_a_reused_connection_that_breaks_within_the_headers_is_not_asked_again(run: Run) -> None:
    asked = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await read_request(reader)
        asked += 1
        writer.write(OK)
        await read_request(reader)
        asked += 1
        writer.write(b"HTTP/1.1 2")
        await writer.drain()

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            await ask(client, url)
            with pytest.raises(UpstreamUnreachable) as caught:
                await ask(client, url)
            assert caught.value.proxy_error == "connection_terminated"

    run(main())
    assert asked == 2


def test_requests_at_once_have_a_connection_each_and_share_them_later(run: Run) -> None:
    script, connections = forever()

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(3):
                answers = await asyncio.gather(*(ask(client, url) for _ in range(10)))
                assert answers == [(200, b"hi")] * 10

    run(main())
    assert connections == [3] * 10


def test_trailers_are_read_and_left_out(run: Run) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\nx-b: 2\r\n\r\n"
    )
    script, connections = forever(chunked)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(2):
                response = await client.open(post(url), DEADLINES)
                assert await whole(response) == b"hi"
                assert set(response.headers) == {"transfer-encoding"}

    run(main())
    assert connections == [2]


def test_a_header_that_would_break_out_of_its_line_is_not_sent(run: Run) -> None:
    async def main() -> None:
        async with transport() as client:
            head = UpstreamHead("POST", "http://127.0.0.1:1/", {"x-team": "a\r\nx-admin: 1"})
            await client.open(UpstreamRequest(head), DEADLINES)

    with pytest.raises(UpstreamUnreachable, match="x-team") as caught:
        run(main())
    assert "x-admin" not in caught.value.message


def test_a_head_is_prepared_once_and_refused_every_time(run: Run) -> None:
    async def main() -> None:
        async with upstream(forever()[0]) as url, transport() as client:
            head = UpstreamHead("POST", f"{url}/x", {})
            bad = UpstreamHead("POST", f"{url}/x", {"x-a": "\n"})
            prepared = set()
            for body in (b"", b"one", b"two"):
                await whole(await client.open(UpstreamRequest(head, body), DEADLINES))
                prepared.add(head.prepared)
                with pytest.raises(UpstreamUnreachable, match="x-a"):
                    await client.open(UpstreamRequest(bad, body), DEADLINES)
            assert len(prepared) == 1
            assert None not in prepared

    run(main())


def test_a_head_goes_each_transports_own_way(run: Run) -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_request(reader)).split(b"\r\n")[0])
        writer.write(OK)

    async def main() -> None:
        direct, connections = forever()
        async with upstream(direct) as url, upstream(proxy) as by:
            head = UpstreamHead("POST", f"{url}/x", {})
            async with transport() as one, transport({"HTTP_PROXY": by}) as other:
                for _ in range(2):
                    for client in (one, other):
                        await whole(await client.open(UpstreamRequest(head), DEADLINES))
            assert connections == [2]
            assert seen == [f"POST {url}/x HTTP/1.1".encode()] * 2

    run(main())


def test_a_closed_transport_has_closed_everything_and_wakes_its_readers(run: Run) -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            await reader.read()

        async with upstream(script) as url:
            client = Http1Transport({})
            response = await client.open(post(url), DEADLINES)
            reading = asyncio.ensure_future(response.read())
            await asyncio.sleep(0)
            await client.close()
            with pytest.raises(BrokenStream):
                await reading
            assert not client._connections
            with pytest.raises(UpstreamUnreachable, match="stopping"):
                await client.open(post(url), DEADLINES)

    run(main())


def test_small_writes_are_not_held_back(run: Run) -> None:
    async def main() -> int:
        async with upstream(forever()[0]) as url, transport() as client:
            await ask(client, url)
            (connection,) = client._connections
            assert connection._transport is not None
            sock = connection._transport.get_extra_info("socket")
            return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    assert run(main()) != 0


def test_a_control_request_ends_at_its_deadline(run: Run) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with upstream(silent) as url, transport() as client:
            await client.post(f"{url}/token", {}, b"{}", 0.05)

    with pytest.raises(UpstreamTimeout):
        run(main())
