"""Forms are taken apart as they were put together, and broken ones are refused."""

from __future__ import annotations

import httpx
import pytest

from modellix_server.base.multipart import Part, encode_form
from modellix_server.sandbox.forms import MOST_PARTS, BrokenForm, Given, read

NOISE = bytes(range(256)) * 30 + b"\r\n--\r\n\r\n--x--"


async def test_what_the_platform_sends() -> None:
    parts = [Part("image[]", NOISE, 'a "b".png', "image/png"), Part("image[]", b"", "c.png"), Part("prompt", "é\r\n")]
    assert read(*await encode_form(parts)) == [
        Given("image[]", NOISE, 'a "b".png'),
        Given("image[]", b"", "c.png"),
        Given("prompt", "é\r\n".encode()),
    ]


def test_what_other_clients_send() -> None:
    request = httpx.Request("POST", "http://a/", files={"image": ("a.png", NOISE, "image/png")}, data={"n": "2"})
    assert sorted(read(request.headers["Content-Type"], request.read()), key=lambda part: part.name) == [
        Given("image", NOISE, "a.png"),
        Given("n", b"2"),
    ]


PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (None, b""),
        ("application/json", b"{}"),
        ("multipart/form-data", PART + b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", PART),
        ("multipart/form-data; boundary=b", PART[:-4]),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", PART * (MOST_PARTS + 1) + b"--b--\r\n"),
    ],
)
def test_broken_forms(kind: str | None, body: bytes) -> None:
    with pytest.raises(BrokenForm):
        read(kind, body)


def test_a_field_that_is_no_text() -> None:
    (part,) = read("multipart/form-data; boundary=b", PART.replace(b"\r\nx\r\n", b"\r\n\xff\r\n") + b"--b--\r\n")
    with pytest.raises(BrokenForm, match="UTF-8"):
        _ = part.text
