"""Files on their way to where a vendor said: streamed, without its key, and not just anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from modellix_server.base.external_link import PUBLIC_ONLY, Origins
from modellix_server.base.outbound import AnswerLost, Blocked, NotSent, Outbound
from modellix_server.tasks import VendorAccount
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import MediaFile

FIELDS = {"policy": "cG9s", "key": "dir/ü.png"}


class Host:
    """Where files go; keeps what came."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], dict[str, bytes], list[str]]] = []
        self.status, self.location = 200, ""

    async def answer(self, asked: web.Request) -> web.Response:
        parts, order = {}, []
        async for part in await asked.multipart():
            order.append(part.name)
            parts[part.name] = bytes(await part.read())
        self.came.append((dict(asked.headers), parts, order))
        return web.Response(status=self.status, headers={"Location": self.location} if self.location else {})


@pytest.fixture
async def host() -> AsyncIterator[tuple[Host, str]]:
    here = Host()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/{rest:.*}", here.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield here, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    opened = Outbound()
    yield opened
    await opened.close()


def file(*pieces: bytes, size: int | None = None) -> MediaFile:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return MediaFile("a.png", "image/png", sum(map(len, pieces)) if size is None else size, chunks)


def http(outbound: Outbound, origins: Origins) -> VendorHttp:
    return VendorHttp(VendorAccount("v", "https://v.test", "cn", origins, "sk-secret", None), outbound, 5)


async def test_a_form_with_the_file_last_and_no_key(host, outbound) -> None:
    here, url = host
    pieces = [bytes([number]) * 100_000 for number in range(30)]
    vendor = http(outbound, Origins.of(url))
    for _ in range(2):  # doing it again reads the file anew
        assert (await vendor.upload(f"{url}/oss", FIELDS, file(*pieces))).status == 200
    for headers, parts, order in here.came:
        assert order == ["policy", "key", "file"]
        assert parts == {name: text.encode() for name, text in FIELDS.items()} | {"file": b"".join(pieces)}
        assert "Authorization" not in headers
        assert "Transfer-Encoding" not in headers
        assert int(headers["Content-Length"]) > 3_000_000
    assert "sk-secret" not in str(here.came)


async def test_where_files_do_not_go(host, outbound) -> None:
    here, url = host
    vendor = http(outbound, PUBLIC_ONLY)
    inside = ("https://127.0.0.1/", "https://[::1]/")
    for other in (url, "http://storage.example.com/", *inside, "file:///etc", "nonsense", ""):
        with pytest.raises(Blocked):
            await vendor.upload(other, FIELDS, file(b"x"))
    assert here.came == []


async def test_a_redirect_is_not_followed(host, outbound) -> None:
    here, url = host
    here.status, here.location = 307, f"{url}/elsewhere"
    assert (await http(outbound, Origins.of(url)).upload(url, FIELDS, file(b"x"))).status == 307
    assert len(here.came) == 1


async def test_a_file_that_breaks_off_is_no_upload(host, outbound) -> None:
    here, url = host
    with pytest.raises((AnswerLost, NotSent)):
        await asyncio.wait_for(http(outbound, Origins.of(url)).upload(url, FIELDS, file(b"x", size=100)), 20)
    assert here.came == []
