"""A sandbox in a process of its own, as in production, and a place that input files are fetched from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from PIL import Image
from tests.support.craft_checks import worker
from tests.support.media_files import photo, png, tone
from tests.support.sandbox_process import Client, Running, start
from tests.support.web_servers import showing_files

from modellix_server.sandbox.rendering.paint import Picture, paint

_FILES: dict[str, bytes] = {}


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory) -> Iterator[Running]:
    with start(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
async def client(sandbox) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(http, sandbox)


@pytest.fixture(scope="session")
def files() -> Iterator[str]:
    """Origin of a few input files: /red.png, /blue.png, /photo.png, /tone.wav (3 s), /text.txt …"""
    _FILES.update(
        {
            "/photo.png": png(photo(900, 600)),
            "/small.png": png(photo(200, 200)),
            "/red.png": png(Image.new("RGB", (640, 480), (220, 30, 30))),
            "/blue.png": png(Image.new("RGB", (640, 480), (20, 40, 220))),
            "/glass.png": png(Image.new("RGBA", (640, 480), (20, 40, 220, 100))),
            "/tone.wav": tone(3.0),
            "/short.wav": tone(1.0),
            "/text.txt": b"not a picture",
        }
    )
    with showing_files(_FILES) as origin:
        yield origin


class Material:
    """Things to feed the emulators with."""

    png = staticmethod(png)
    photo = staticmethod(photo)
    tone = staticmethod(tone)

    @staticmethod
    def serve(path: str, body: bytes) -> None:
        """Put one more file where `files` are."""
        _FILES[path] = body


@pytest.fixture(scope="session")
def material() -> Material:
    return Material()


@pytest.fixture
def start_sandbox():
    """`with start_sandbox(spool, instant=…, only=…) as running`: one of the test's own."""
    return start


@pytest.fixture
def work(tmp_path):
    """Do a special picture task; its finished files, and the first picture."""
    return worker(tmp_path)


@pytest.fixture(scope="session")
def scenery(tmp_path_factory) -> Image.Image:
    """A picture of ours with a caption and the vendor's mark."""
    path = tmp_path_factory.mktemp("scenery") / "a.png"
    paint(Picture("a lighthouse at dusk, seagulls", 5, "wan2.6-t2i", (800, 600), mark=True), path)
    return Image.open(path).convert("RGB")
