"""JSON of very many values is refused before it is read."""

from __future__ import annotations

import msgspec
import pytest

from modellix_server.base import json_body
from modellix_server.base.errors import InvalidFormat


@pytest.mark.parametrize("part", [b"1,", b'"a",', b"{},", b"[],", b'{"a":[]},'])
def test_many_small_values_are_refused_whatever_they_are(part: bytes) -> None:
    with pytest.raises(InvalidFormat, match="more than 10,000 parts"):
        json_body.read(b"[" + part * 10_001 + b"1]")


def test_what_people_send_is_read() -> None:
    long = {"prompt": "a lake, a boat, and a hill; " * 4_000, "images": ["data:image/png;base64," + "A" * 90_000] * 10}
    assert json_body.read(msgspec.json.encode(long)) == long
    assert json_body.read(b"[" + b"1," * 9_999 + b"1]") == [1] * 10_000


def test_a_mapped_body_may_have_any_number() -> None:
    body = b"[" + b"1," * 20_000 + b"1]"
    assert json_body.read(memoryview(body)) == [1] * 20_001
