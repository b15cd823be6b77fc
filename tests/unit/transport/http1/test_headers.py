"""Headers found in the raw text are those that llhttp finds."""

from __future__ import annotations

import contextlib

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_model_proxy.transport.http1 import headers as headers_module
from pi_model_proxy.transport.http1.headers import MAX_MARKS, Framing, Headers, end_of_head, framing_of

STATUS = b"HTTP/1.1 200 OK"


def head(*lines: bytes, end: bytes = b"\r\n") -> bytes:
    return end.join((STATUS, *lines, b"", b""))


def test_a_header_is_found_by_its_whole_name_whatever_its_case() -> None:
    headers = Headers(head(b"X-Request-Id: Abc", b"not-content-type: no", b"Content-Type:  a/b; c=D \t"))
    assert headers["content-type"] == "a/b; c=D"
    assert headers.get("x-request-id") == "Abc"
    assert "request-id" not in headers
    assert headers.get("type") is None
    assert headers.get("type", "none") == "none"
    with pytest.raises(KeyError, match="request-id"):
        headers["request-id"]


def test_repeated_headers_are_joined_in_their_order() -> None:
    headers = Headers(head(b"a: 1", b"b: x", b"A: 2", b"a:", b"a: 3"))
    assert headers["a"] == "1,2,,3"
    assert dict(headers) == {"a": "1,2,,3", "b": "x"}
    assert list(headers) == ["a", "b"]
    assert len(headers) == 2


def test_nothing_is_found_within_values_or_the_status_line() -> None:
    headers = Headers(b"HTTP/1.1 200 x: y\r\na: b: c\r\nd: \te:f\r\n\r\n")
    assert dict(headers) == {"a": "b: c", "d": "e:f"}
    assert headers.get("b") is None
    assert headers.get("e") is None
    assert headers.get("http/1.1 200 x") is None


@pytest.mark.parametrize(
    ("lines", "framing"),
    [
        ((b"Content-Length: 10",), (True, "", "")),
        ((b"transfer-encoding: Chunked ",), (True, "chunked", "")),
        ((b"x: y",), (False, "", "")),
        ((b"transfer-encoding: identity", b"content-length: 1"), (False, "identity", "")),
        ((b"transfer-encoding: gzip", b"Transfer-Encoding: chunked"), (False, "gzip,chunked", "")),
        ((b"content-encoding: GZip", b"content-length: 1"), (True, "", "gzip")),
        ((b"content-encoding: gzip", b"content-encoding: br"), (False, "", "gzip,br")),
        ((b"content-encoding: identity",), (False, "", "")),
        ((b"x-content-length: 1", b"x: transfer-encoding: gzip"), (False, "", "")),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_framing_is_what_the_headers_say(
    lines: tuple[bytes, ...], framing: tuple[bool, str, str], end: bytes
) -> None:
    assert framing_of(head(*lines, end=end)) == Framing(*framing)


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
@pytest.mark.parametrize("before", [b"", b"\r\n\r\n", b"\n"])
def test_a_head_ends_at_its_first_empty_line(before: bytes, end: bytes) -> None:
    first = before + STATUS + b"\r\na: b" + end
    assert end_of_head(first + b"body\r\n\r\n\n\n", 0) == len(first)
    assert end_of_head(first + first, len(first)) == 2 * len(first)


def test_a_head_without_an_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="without an end"):
        end_of_head(STATUS + b"\r\na: b\r\n", 0)


def test_only_so_many_names_are_remembered() -> None:
    headers = Headers(head(b"a: b"))
    for number in range(2 * MAX_MARKS):
        assert f"x-{number}" not in headers
    assert len(headers_module._marks) <= MAX_MARKS
    assert headers["a"] == "b"


class Said:
    """What llhttp says of an answer."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.bodies: list[bytes] = []
        self.has_head = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, data: bytes) -> None:
        self.bodies.append(data)


NAMES = st.sampled_from([
    b"content-type", b"Content-Length", b"transfer-encoding", b"Content-Encoding", b"X-A", b"x-a", b"x-request-id",
    b"length", b" x", b"", b"x-a ",
])  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([b"3", b"chunked", b"gzip", b"", b"a: b", b"x-a: 1", b"\t"]),
    st.binary(max_size=8),
)
LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n ", b"\n\n"])


@settings(derandomize=True, max_examples=400, deadline=None, database=None)
@given(data=st.data())
def test_what_llhttp_accepts_is_read_as_llhttp_reads_it(data: st.DataObject) -> None:
    mostly = st.one_of(st.just(b"\r\n"), st.just(b"\n"), LINE_ENDS)
    text = data.draw(st.sampled_from([b"", b"", b"\r\n"])) + STATUS + data.draw(mostly)
    for name, value in data.draw(st.lists(st.tuples(NAMES, VALUES), max_size=5)):
        text += name + b":" + data.draw(st.sampled_from([b" ", b""])) + value + data.draw(mostly)
    text += data.draw(mostly) + data.draw(st.sampled_from([b"", b"abc", b"x-a: body\r\n\r\n"]))
    said = Said()
    parser = httptools.HttpResponseParser(said)
    parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)
    with contextlib.suppress(httptools.HttpParserError):
        parser.feed_data(text)
    if not said.has_head:
        return
    end = end_of_head(text, 0)
    expected: dict[str, list[str]] = {}
    for raw_name, raw_value in said.fields:
        expected.setdefault(raw_name.decode().lower(), []).append(raw_value.decode("latin-1").strip(" \t"))
    headers = Headers(text[:end])
    assert dict(headers) == {name: ",".join(values) for name, values in expected.items()}
    for asked in ("content-type", "content-length", "x-a", "x", "length"):
        assert headers.get(asked) == (",".join(expected[asked]) if asked in expected else None)
    if said.bodies and "transfer-encoding" not in expected:
        assert text[end:].startswith(b"".join(said.bodies))
