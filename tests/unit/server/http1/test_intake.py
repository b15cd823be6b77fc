"""Bytes in, requests out; no event loop, no socket."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest

from pi_model_proxy.server.http1.heads import MAX_FIELDS, RequestHead
from pi_model_proxy.server.http1.intake import Intake
from pi_model_proxy.server.http1.refusals import Refusal
from unit.server.http1.mutations import mutated
from unit.server.http1.served import CLOSE, chunked, get, post

MAX_HEAD = 4096
Heard = list[tuple[str, str, str, dict[str, str], bytes]]


def hear(intake: Intake, pieces: Iterable[bytes], heard: Heard) -> None:
    """Read all requests, as a server does that asks for each body at once."""
    head: RequestHead | None = None
    body = b""
    for piece in pieces:
        intake.feed(piece)
        while True:
            if head is None:
                head = intake.head()
                if head is None:
                    break
                body = b""
            body += intake.body()
            if not intake.complete:
                break
            heard.append((head.method, head.path, head.query, dict(head.headers), body))
            head = None


def outcome(pieces: Iterable[bytes]) -> tuple[Heard, int | None]:
    """Return every request that was read, and the status of the refusal that ended it."""
    heard: Heard = []
    try:
        hear(Intake(MAX_HEAD), pieces, heard)
    except Refusal as refusal:
        return heard, refusal.status
    return heard, None


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


STREAMS = {
    "one with a length": post(),
    "the same twice": post() + post(),
    "the same with other lengths": post(body=b"a") + post(body=b"b" * 1000) + post(body=b""),
    "different ones": get() + post() + get(b"/other?x=1") + post(body=b"{}"),
    "chunks": chunked(b"/echo", b"he", b"l", b"lo"),
    "chunks and then others": chunked(b"/echo", b"hello") + post() + chunked(b"/x", b"y") + get(),
    "chunks that look like framing": chunked(b"/echo", b"\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\n\r\n") + get(),
    "chunks with blank lines at their edges": chunked(b"/echo", b"a\r\n", b"\r\nb", b"\r\n\r\n\r\n") + get(),
    "chunk extensions": get() + chunked(b"/echo").replace(b"0\r\n", b"3;a=b\r\nxyz\r\n0;end\r\n"),
    "trailers": chunked(b"/echo", b"a", trailers=b"Host: evil\r\nX: y\r\n") + get(),
    "blank lines between requests": b"\r\n" + get() + b"\r\n\r\n" + post() + b"\r\n\r\n",
    "a body that looks like a request": post(body=get(b"/smuggled")) + get(b"/next"),
    "a body of the same head": post(body=post()) * 3,
    "an escaped path": get(b"/v1/models/a%2Fb%20c?q=%41"),
    "repeated headers": get(b"/a", b"Accept: a", b"accept: b", b"X-Empty:"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_how_the_bytes_are_split_changes_nothing(name: str) -> None:
    data = STREAMS[name]
    whole = outcome([data])
    assert whole[1] is None
    assert whole[0], name
    assert outcome(bytewise(data)) == whole
    for at in range(1, len(data)):
        assert outcome([data[:at], data[at:]]) == whole
    for at, then in itertools.pairwise(range(0, len(data), 7)):
        assert outcome([data[:at], data[at:then], data[then:]]) == whole


def test_what_is_read_is_what_was_sent() -> None:
    heard, _ = outcome([STREAMS["different ones"]])
    assert [(method, path, query, body) for method, path, query, _, body in heard] == [
        ("GET", "/echo", "", b""),
        ("POST", "/echo", "", b"hello"),
        ("GET", "/other", "x=1", b""),
        ("POST", "/echo", "", b"{}"),
    ]


def test_a_path_is_decoded_once_and_its_query_never() -> None:
    ((_, path, query, _, _),), _ = outcome([STREAMS["an escaped path"]])
    assert (path, query) == ("/v1/models/a/b c", "q=%41")
    ((_, path, *_),), _ = outcome([get(b"/%2525")])
    assert path == "/%25"


def test_repeated_headers_are_joined_and_names_are_in_lower_case() -> None:
    ((*_, headers, _),), _ = outcome([STREAMS["repeated headers"]])
    assert headers == {"host": "localhost", "accept": "a, b", "x-empty": ""}


def test_the_framing_stays_out_of_the_headers_that_are_passed_on() -> None:
    ((*_, headers, _),), _ = outcome([post()])
    assert "content-length" not in headers


def test_trailers_are_no_headers_of_this_request_or_the_next() -> None:
    heard, _ = outcome([STREAMS["trailers"]])
    assert [headers["host"] for *_, headers, _ in heard] == ["localhost", "localhost"]
    assert all("x" not in headers for *_, headers, _ in heard)


def test_an_equal_head_is_the_same_object_and_its_length_is_the_new_one() -> None:
    intake = Intake(MAX_HEAD)
    intake.feed(post(body=b"12345"))
    first = intake.head()
    assert first is not None
    first.prepared = "known"
    assert intake.body() == b"12345"
    intake.feed(post(body=b"12345678901"))
    second = intake.head()
    assert second is first
    assert (second.length, second.prepared, intake.body()) == (11, "known", b"12345678901")


@pytest.mark.parametrize(
    "other",
    [
        get(b"/echo"),
        post(b"/echo", b"hello", b"Authorization: Bearer b"),
        post(b"/echo", b"hello", b"authorization: Bearer a"),
        post(b"/ech0", b"hello", b"Authorization: Bearer a"),
        post(b"/echo", b"hello", b"Authorization: Bearer a", b"X: y"),
        post(b"/echo", b"hello", b"Authorization: Bearer a", CLOSE),
        chunked(b"/echo", b"hello"),
    ],
)
def test_a_head_that_differs_in_anything_else_is_another_head(other: bytes) -> None:
    intake = Intake(MAX_HEAD)
    intake.feed(post(b"/echo", b"hello", b"Authorization: Bearer a"))
    first = intake.head()
    intake.body()
    intake.feed(other)
    second = intake.head()
    assert second is not None
    assert second is not first
    assert second.prepared is None


@pytest.mark.parametrize("digits", [b"+5", b"5 5", b"", b"-1", b"0x5", b"5,5", b"9" * 30, b"\xb2", b"5\n"])
def test_a_known_head_with_something_else_than_a_length_is_refused_like_an_unknown_one(digits: bytes) -> None:
    bad = post().replace(b"Content-Length: 5", b"Content-Length: " + digits)
    assert outcome([bad])[1] == 400
    heard, status = outcome([post() + bad])
    assert (len(heard), status) == (1, 400)


def test_a_known_get_does_not_hide_a_length() -> None:
    heard, _ = outcome([get() + get(b"/echo", b"Content-Length: 3") + b"abc" + get()])
    assert [body for *_, body in heard] == [b"", b"abc", b""]


REFUSED = {
    "length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "one length twice": b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "a list of lengths": b"POST / HTTP/1.1\r\nContent-Length: 2, 2\r\n\r\nab",
    "a signed length": b"POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nab",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nContent-Length: 0x2\r\n\r\nab",
    "an empty length": b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\nab",
    "an endless length": b"POST / HTTP/1.1\r\nContent-Length: 9999999999999999999999\r\n\r\nab",
    "a length of 16 digits": b"POST / HTTP/1.1\r\nContent-Length: 1000000000000000\r\n\r\nab",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "one host twice": b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding before chunked": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
    "an empty coding": b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a quoted coding": b'POST / HTTP/1.1\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a tab in the coding's name": b"POST / HTTP/1.1\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "a bare CR in a header": b"GET / HTTP/1.1\r\nX: a\rY: b\r\n\r\n",
    "a bare CR at a line's end": b"GET / HTTP/1.1\r\nX: a\r\r\n\r\n",
    "bare LFs": b"GET / HTTP/1.1\nX: a\n\n",
    "a bare LF in the end": b"GET / HTTP/1.1\r\nX: a\r\n\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
    "NUL in the path": b"GET /\0 HTTP/1.1\r\n\r\n",
    "a control character": b"GET / HTTP/1.1\r\nX: a\x0bb\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
    "a space before the name": b"GET / HTTP/1.1\r\n X: a\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nX\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\n: a\r\n\r\n",
    "a name in another script": b"GET / HTTP/1.1\r\nX\xe9: a\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "http/1.1": b"GET / http/1.1\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an absolute target": b"GET http://evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "an authority": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "raw bytes in the target": b"GET /\xff HTTP/1.1\r\n\r\n",
    "an unknown method": b"FOO / HTTP/1.1\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100,
    "a chunk without a size": chunked(b"/") [:-5] + b"\r\nabc\r\n",
    "a chunk size that is none": chunked(b"/")[:-5] + b"zz\r\n",
    "a negative chunk": chunked(b"/")[:-5] + b"-1\r\n",
    "a chunk size in C": chunked(b"/")[:-5] + b"0x3\r\nabc\r\n0\r\n\r\n",
    "an endless chunk size": chunked(b"/")[:-5] + b"fffffffffffffffff\r\n",
    "a space after a chunk size": chunked(b"/")[:-5] + b"3 \r\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": chunked(b"/")[:-5] + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk shorter than it says": chunked(b"/")[:-5] + b"3\r\nab\r\n0\r\n\r\n",
    "bare LF after a chunk size": chunked(b"/")[:-5] + b"3\nabc\r\n0\r\n\r\n",
    "bare LF after a chunk": chunked(b"/")[:-5] + b"3\r\nabc\n0\r\n\r\n",
    "a length in a trailer": chunked(b"/", b"a", trailers=b"Content-Length: 5\r\n"),
    "a folded trailer": chunked(b"/", b"a", trailers=b"X: a\r\n b\r\n"),
}  # fmt: skip
TOO_LONG = {
    "a header": get(b"/", b"X: " + b"y" * MAX_HEAD),
    "a target": get(b"/" + b"y" * MAX_HEAD),
    "an endless header": b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD,
    "many headers": get(b"/", *(b"X-%d: y" % number for number in range(MAX_FIELDS))),
    "an endless chunk extension": chunked(b"/")[:-5] + b"1;" + b"y" * (MAX_HEAD + 1),
    "an endless trailer": chunked(b"/")[:-2] + b"X: " + b"y" * (MAX_HEAD + 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_ambiguous_is_refused_however_it_is_split(name: str) -> None:
    for before in (b"", get()):
        data = before + REFUSED[name] + get(b"/smuggled")
        heard, status = outcome([data])
        assert (len(heard), status) == (bool(before), 400)
        assert outcome(bytewise(data))[1] == 400


@pytest.mark.parametrize("name", TOO_LONG)
def test_what_is_too_long_is_refused_with_431(name: str) -> None:
    assert outcome([TOO_LONG[name]]) == ([], 431)
    assert outcome(bytewise(TOO_LONG[name])) == ([], 431)


def test_as_many_headers_as_are_allowed_are_allowed() -> None:
    heard, status = outcome([get(b"/", *(b"X-%d: y" % number for number in range(MAX_FIELDS - 1)))])
    assert (len(heard[0][3]), status) == (MAX_FIELDS, None)


def test_a_head_of_exactly_the_limit_is_read() -> None:
    spare = MAX_HEAD - len(get(b"/", b"X: "))
    assert outcome([get(b"/", b"X: " + b"y" * spare)])[1] is None
    assert outcome([get(b"/", b"X: " + b"y" * (spare + 1))])[1] == 431


def test_the_overhead_of_many_small_chunks_is_no_endless_header() -> None:
    heard, status = outcome(bytewise(chunked(b"/", *[b"a"] * MAX_HEAD)))
    assert (heard[0][4], status) == (b"a" * MAX_HEAD, None)


def test_bytes_that_nobody_asked_for_are_not_read() -> None:
    intake = Intake(MAX_HEAD)
    intake.feed(post() + b"\0 no request")
    assert intake.head() is not None
    assert intake.waiting_bytes == len(b"hello\0 no request")
    assert (intake.body(), intake.complete) == (b"hello", True)
    with pytest.raises(Refusal):
        intake.head()


@pytest.mark.parametrize("seed", range(40))
def test_no_mutation_is_read_differently_when_it_is_split_or_follows_its_like(seed: int) -> None:
    """What differs by packet boundaries is what smuggling is made of; a `Refusal` is the only thing ever raised."""
    rng = random.Random(seed)
    names = list(STREAMS)
    for _ in range(60):
        data = mutated(rng, STREAMS[rng.choice(names)] + STREAMS[rng.choice(names)])
        whole = outcome([data])
        assert outcome(bytewise(data)) == whole
        cuts = sorted(rng.sample(range(len(data)), min(3, len(data))))
        assert outcome([data[at:then] for at, then in itertools.pairwise([0, *cuts, len(data)])]) == whole
        known = post() + chunked(b"/echo", b"x") + get()
        heard, status = outcome([known + data])
        assert (heard[3:], status) == whole
