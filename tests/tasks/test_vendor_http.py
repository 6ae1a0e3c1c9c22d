"""What is kept of a vendor's answer carries no secret, however the vendor spells it."""

from __future__ import annotations

import asyncio

import pytest

from modellix_server.base.external_link import PUBLIC_ONLY
from modellix_server.base.outbound import Answer
from modellix_server.tasks import VendorAccount
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import QUICK_ANSWER_BYTES, Part


class Echo:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.sent: dict = {}

    async def call(self, *_: object, **sent: object) -> Answer:
        self.sent = sent
        turn = sent["turn"]
        if len(self._body) > turn.after_bytes:
            await turn.wait()
        return Answer(200, self._body, {})


@pytest.mark.parametrize(
    "body",
    [
        b'{"url": "https://oss.test/a.png?Signature=SECRET&Expires=1"}',
        rb'{"url": "https:\/\/oss.test\/a.png?Signature=SECRET"}',
        rb'{"url": "https://oss.test/a.png\u003fSignature=SECRET"}',
        b'{"url": "https://me:SECRET@oss.test/a.png"}',
        b'{"message": "no such key SECRET"}',
        b'{"image": "data:image/png;base64,SECRET"}',
        b'{"b64_json": "' + 50 * b"SECRET" + b'"}',
        b'{"data": [{"b64_json": "' + 100_000 * b"SECRET" + b'"}]}',
        b'{"data": {"image_base64": ["/9j/' + 5_000 * b"SECRET" + b'"]}}',
    ],
)
async def test_the_kept_words_carry_no_secret(body: bytes) -> None:
    http = VendorHttp(
        VendorAccount("v", "https://v.test", "cn", PUBLIC_ONLY, "SECRET" if b"no such key" in body else "k-1", None),
        Echo(body),
        1,
    )
    assert (http.status, http.words) == (None, None)
    answer = await http.call("POST", "/x", json={})
    assert http.status == 200
    if b"no such key" in body:
        assert answer.body == b'{"message": "no such key ***"}', "an adapter that quotes the vendor quotes no key"
    assert "SECRET" not in (http.words or "SECRET")


async def test_the_kept_words_are_few() -> None:
    http = VendorHttp(VendorAccount("v", "https://v.test", "cn", PUBLIC_ONLY, "k", None), Echo(b"word " * 10_000), 1)
    await http.call("GET", "/x")
    assert http.words == "word " * 400


async def test_a_form_or_json_or_neither() -> None:
    echo = Echo(b"{}")
    http = VendorHttp(VendorAccount("v", "https://v.test/", "cn", PUBLIC_ONLY, "k", None), echo, 1)
    await http.call("POST", "/x", form=[Part("prompt", "hi"), Part("image", b"\x89PNG", "a.png", "image/png")])
    kind = echo.sent["headers"]["Content-Type"]
    assert kind.startswith("multipart/form-data; boundary=")
    assert kind.partition("boundary=")[2].encode() in echo.sent["body"]
    await http.call("POST", "/x", json={}, headers={"A": "b"})
    assert (echo.sent["headers"], echo.sent["body"]) == ({"Content-Type": "application/json", "A": "b"}, b"{}")
    await http.call("GET", "/x")
    assert (echo.sent["headers"], echo.sent["body"]) == ({}, None)


async def test_few_long_answers_are_in_memory_at_once() -> None:
    room = asyncio.Semaphore(2)
    account = VendorAccount("v", "https://v.test", "cn", PUBLIC_ONLY, "k", None)
    long, short = Echo(bytes(QUICK_ANSWER_BYTES + 1)), Echo(b"{}")
    first, second, third = (VendorHttp(account, long, 1, most_bytes=10**8, room=room) for _ in range(3))
    await first.call("POST", "/x")
    await second.call("POST", "/x")
    assert long.sent["max_bytes"] == 10**8
    waiting = asyncio.create_task(third.call("POST", "/x"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await VendorHttp(account, short, 1, room=room).call("POST", "/x")
    first.close()
    await asyncio.wait_for(waiting, 60)
    for http in (first, second, third, third):  # twice is as good as once
        http.close()
    assert room._value == 2
