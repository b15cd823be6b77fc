"""A form's part is found and exchanged, and nothing else of the form changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_model_proxy.wire.multipart import MAX_PARTS, boundary_of, find_part, part_names

LAWS = settings(max_examples=150, deadline=None, derandomize=True)


def form(*parts: tuple[bytes, bytes], boundary: bytes = b"XX", before: bytes = b"") -> bytes:
    body = before
    for head, value in parts:
        body += b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + value + b"\r\n"
    return body + b"--" + boundary + b"--\r\n"


def named(name: bytes, more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"' + more


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b:c"', b"a b:c"),
        ("multipart/form-data;boundary=----WebKit7MA4", b"----WebKit7MA4"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/mixed; boundary=abc", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_a_boundary_is_read_from_the_type(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "head",
    [
        named(b"model"),
        b"content-disposition: form-data; name=model",
        b'Content-Type: text/plain\r\nContent-Disposition: form-data; name="model"',
        b'Content-Disposition: form-data; filename="name=x"; name="model"',
    ],
)
def test_a_part_is_known_by_its_name_however_it_is_written(head: bytes) -> None:
    body = form(
        (named(b"file", b'; filename="model"'), b"\x00\xff"), (head, b"acme/m"), before=b"preamble\r\n"
    )
    part = find_part(body, b"XX", "model")
    assert part is not None
    assert part.value(body) == b"acme/m"


def test_a_name_that_is_part_of_another_and_a_part_without_one_are_passed_over() -> None:
    body = form((named(b"mode"), b"x"), (b"Content-Type: text/plain", b"y"), (named(b"model"), b"good"))
    part = find_part(body, b"XX", "model")
    assert part is not None
    assert part.value(body) == b"good"


def test_what_looks_like_a_part_inside_a_file_is_none() -> None:
    trap = b'\r\n--X\r\nContent-Disposition: form-data; name="model"\r\n\r\nevil\r\n'
    body = form((named(b"file", b'; filename="a"'), trap), (named(b"model"), b"good"))
    part = find_part(body, b"XX", "model")
    assert part is not None
    assert part.value(body) == b"good"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--XX--\r\n",
        b"--XX\r\n",
        b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nnever ends',
        b"--XX\r\nno head end",
        form((named(b"file"), b"x")),
        form((named(b"model"), b"x"), boundary=b"YY"),
        form(*[(named(b"a"), b"x")] * MAX_PARTS, (named(b"model"), b"x")),
    ],
)
def test_a_form_without_the_part_has_none(body: bytes) -> None:
    assert find_part(body, b"XX", "model") is None


@LAWS
@given(
    before=st.lists(st.binary(max_size=40), max_size=3),
    after=st.lists(st.binary(max_size=40), max_size=3),
    value=st.binary(max_size=20),
    other=st.binary(max_size=20),
)
def test_only_the_value_changes(before: list[bytes], after: list[bytes], value: bytes, other: bytes) -> None:
    boundary = b"a-boundary-that-no-part-has"
    head, tail = [(named(b"f"), each) for each in before], [(named(b"g"), each) for each in after]
    body = form(*head, (named(b"model"), value), *tail, boundary=boundary)
    part = find_part(body, boundary, "model")
    assert part is not None
    assert part.value(body) == value
    assert part.replaced(body, other) == form(*head, (named(b"model"), other), *tail, boundary=boundary)


@LAWS
@given(
    st.lists(
        st.sampled_from([b"--XX", b"\r\n", b"--", b'name="model"', b"Content-Disposition: form-data;", b"x"]),
        max_size=14,
    )
)
def test_no_bytes_crash_it(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    part = find_part(body, b"XX", "model")
    assert part is None or 0 <= part.start <= part.end <= len(body)


def test_the_names_of_parts_are_told_in_order_and_are_bounded() -> None:
    body = form((named(b"model"), b"m"), (b"X: y", b"no name"), (named(b"api_base"), b"u"))
    assert part_names(body, b"XX") == ["model", "api_base"]
    assert len(part_names(form(*[(named(b"a"), b"")] * (MAX_PARTS + 5)), b"XX")) == MAX_PARTS
