"""What is kept of a vendor's answer carries no secret, however the vendor spells it."""

from __future__ import annotations

import pytest

from modellix_server.base.outbound import PUBLIC_ONLY, Answer
from modellix_server.tasks import Account
from modellix_server.tasks.vendor_http import VendorHttp


class Echo:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def call(self, *_: object, **__: object) -> Answer:
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
    ],
)
async def test_the_kept_words_carry_no_secret(body: bytes) -> None:
    http = VendorHttp(
        Account("v", "https://v.test", "cn", PUBLIC_ONLY, "SECRET" if b"no such key" in body else "k-1", None),
        Echo(body),
        1,
    )
    assert (http.status, http.words) == (None, None)
    await http.call("POST", "/x", json={})
    assert http.status == 200
    assert "SECRET" not in (http.words or "SECRET")


async def test_the_kept_words_are_few() -> None:
    http = VendorHttp(Account("v", "https://v.test", "cn", PUBLIC_ONLY, "k", None), Echo(b"word " * 10_000), 1)
    await http.call("GET", "/x")
    assert http.words == "word " * 400
