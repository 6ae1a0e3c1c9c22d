import io
import subprocess
from collections.abc import Callable
from contextlib import asynccontextmanager

import imageio_ffmpeg
import pytest
from aiohttp import web
from PIL import Image

from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import Outbound
from modellix_server.results import Fetcher, Helper, Spool, Storage


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Makes a picture file; `noise` makes it big."""

    def make(format_name: str = "png", size=(40, 30), noise: int = 0) -> bytes:
        image = Image.effect_noise(size, noise).convert("RGB") if noise else Image.new("RGB", size, "teal")
        out = io.BytesIO()
        image.save(out, format_name)
        return out.getvalue()

    return make


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Callable[..., bytes]:
    """Makes a two-second clip or sound of the given extension."""
    folder = tmp_path_factory.mktemp("clips")

    def make(ext: str, *options: str) -> bytes:
        path = folder / f"{abs(hash(options))}.{ext}"
        if not path.exists():
            seen = (
                ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=8:duration=2"] if ext in ("mp4", "mov", "webm") else []
            )
            heard = ["-f", "lavfi", "-i", "sine=duration=2"] if ext not in ("mov", "webm") else []
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *seen, *heard, *options, str(path)]
            subprocess.run(command, check=True)
        return path.read_bytes()

    return make


@pytest.fixture(scope="session")
async def examining(tmp_path_factory):
    """One scratch folder and one pair of helper processes for all tests: starting them is what costs time."""
    spool = Spool(str(tmp_path_factory.mktemp("spool")))
    helper = Helper(spool)
    yield spool, helper
    await helper.close()
    spool.close()


@pytest.fixture
def spool(examining):
    yield examining[0]
    assert list(examining[0].folder.iterdir()) == []  # no test may leave a scratch file behind


@pytest.fixture
def helper(examining, spool):
    return examining[1]


@pytest.fixture(params=["file", "memory"])
def storage(request, tmp_path):
    return Storage((tmp_path / "stored").as_uri() if request.param == "file" else "memory:///")


class Vendor:
    """Serves files by path; `status` and headers per file."""

    def __init__(self):
        self.files: dict[str, tuple[int, bytes]] = {}
        self.url = ""

    async def answer(self, request):
        status, body = self.files[request.path]
        return web.Response(status=status, body=body)

    def put(self, name, body, status=200):
        self.files[f"/{name}"] = (status, body)
        return f"{self.url}/{name}"

    @property
    def origins(self):
        return Origins.of(self.url)

    @asynccontextmanager
    async def serving(self):
        app = web.Application()
        app.router.add_get("/{name:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def vendor():
    async with Vendor().serving() as vendor:
        yield vendor


@pytest.fixture
async def fetcher(helper, storage, spool):
    outbound = Outbound()
    yield Fetcher(outbound, outbound, storage, helper, spool)
    await outbound.close()
