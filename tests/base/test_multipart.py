"""Forms are read by another parser as they were meant, and nothing breaks out of a header."""

from __future__ import annotations

import email.parser
import email.policy
from types import SimpleNamespace

import pytest

from modellix_server.base.errors import BodyTooLarge
from modellix_server.base.multipart import FormParser, Part, encode_form


async def test_a_form_arrives_as_it_was_meant() -> None:
    noise = bytes(range(256)) * 40 + b"\r\n--x\r\n"
    kind, body = await encode_form(
        [
            Part("image[]", noise, filename="a.png", content_type="image/png"),
            Part("image[]", b"", filename="b.png", content_type="image/png"),
            Part("prompt", "héllo\r\n--\u2028"),
        ]
    )
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    parts = list(message.iter_parts())
    assert [part.get_param("name", header="content-disposition") for part in parts] == ["image[]", "image[]", "prompt"]
    assert [part.get_filename() for part in parts] == ["a.png", "b.png", None]
    assert [part.get_content_type() for part in parts] == ["image/png", "image/png", "text/plain"]
    assert parts[0].get_payload(decode=True) == noise
    assert parts[2].get_payload(decode=True).decode() == "héllo\r\n--\u2028"


@pytest.mark.parametrize(
    "part",
    [
        Part("a\r\nX-Evil: 1", "x"),
        Part("a", b"x", filename="a\r\nX-Evil: 1"),
        Part("a", b"x", filename="a", content_type="image/png\r\nX-Evil: 1"),
    ],
)
async def test_a_name_cannot_break_out_of_its_header(part: Part) -> None:
    with pytest.raises(ValueError, match=r"[Hh]eader|type"):
        await encode_form([part])


async def test_quotes_stay_inside_the_name() -> None:
    _, body = await encode_form([Part('a"; filename="b', "x")])
    assert b'name="a\\"; filename=\\"b"\r\n' in body


def test_a_form_of_many_parts_is_refused_at_the_first_too_many() -> None:
    begun: list[str] = []
    parts = SimpleNamespace(begin=lambda name, *_: begun.append(name), data=bytes, end=bool)
    parser = FormParser("multipart/form-data; boundary=b", parts)
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    parser.feed(part * 128)
    with pytest.raises(BodyTooLarge, match="at most 128 parts"):
        parser.feed(part * 100_000)
    assert len(begun) == 128
