"""Where uploaded files are received: small ones on the event loop, unless that could take long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from modellix_server.base.aside import Aside
from modellix_server.results import UploadBody, received_file
from modellix_server.results.spool import Spool

GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
BESIDE = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nx\r\n'
END = b"\r\n--b--\r\n"
WEBM = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d42878104428581021853806701ffffffffffffff")


class WatchedAside(Aside):
    """Notes what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[int] = []

    async def run(self, who: Any, compute: Any, *given: Any, **more: Any) -> Any:
        def noted() -> Any:
            self.ran.append(threading.get_ident())
            return compute(*given, **more)

        return await super().run(who, noted)


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 60_000):
        yield body[at : at + 60_000]
    yield b""


@pytest.mark.parametrize(
    ("body", "beside_the_loop", "in_memory"),
    [
        (PART + GIF + END, False, True),
        (BESIDE + PART + GIF + END, False, True),
        (BESIDE * 40 + PART + GIF + END, True, True),  # a hundred boundaries and headers
        (PART + WEBM + b"\xec\x80" * 5_000 + END, True, True),  # to be walked through
        (PART + b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x08free" * 1_500 + END, True, True),
        (PART + GIF + bytes(20_000) + END, True, False),
        (PART + GIF + bytes(600_000) + END, True, False),
    ],
)
async def test_small_files_stay_on_the_loop(tmp_path, body, beside_the_loop, in_memory) -> None:
    spool, aside = Spool(str(tmp_path)), WatchedAside()
    async with received_file(
        spool, aside, 1, UploadBody("multipart/form-data; boundary=b", None, chunks(body))
    ) as file:
        assert isinstance(file.content, bytes) == in_memory
        content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
        assert content in body
        assert bool(aside.ran) == beside_the_loop
        assert threading.get_ident() not in aside.ran
    assert not list(spool.folder.iterdir())


async def test_who_gives_up_leaves_nothing(tmp_path) -> None:
    spool, held = Spool(str(tmp_path)), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield PART + GIF + bytes(300_000)
        held.set()
        await asyncio.Event().wait()
        yield b""

    async def receive() -> None:
        about = UploadBody("multipart/form-data; boundary=b", None, endless())
        async with received_file(spool, Aside(), 1, about):
            pytest.fail("it is not whole")

    receiving = asyncio.create_task(receive())
    await asyncio.wait_for(held.wait(), 60)
    assert len(list(spool.folder.iterdir())) == 1
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    assert not list(spool.folder.iterdir())
