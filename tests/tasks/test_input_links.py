"""Links of clients, for a vendor that loads none itself: fetched, checked and handed over as bytes."""

from __future__ import annotations

import base64
import io
import ipaddress
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiohttp import web
from PIL import Image

from modellix_server.base.outbound import Outbound
from modellix_server.catalogue import Catalogue, samples
from modellix_server.results import Fetcher, Helper, Spool, Storage
from modellix_server.tasks import inputs
from modellix_server.tasks.inputs import BadMedia
from modellix_server.upstreams import load_all

MODEL = Catalogue.load().models["alibaba/qwen-image-edit-plus"]
NETWORK = [ipaddress.ip_network("127.0.0.0/8")]


def png(side: int = 512) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 90).save(buffer, "PNG")
    return buffer.getvalue()


class Shelf:
    """Media handling for such a vendor, and a web server with files; `statuses` come first."""

    def __init__(self, tools: SimpleNamespace, upstream: SimpleNamespace, origin: str) -> None:
        self.tools, self.upstream, self.origin = tools, upstream, origin

    async def resolve(self, *names: str) -> list[str]:
        links = {"images": [f"{self.origin}/{name}" for name in names]}
        return (await inputs.resolve(self.tools, MODEL, self.upstream, links, team_id=1, sandbox=False)).params[
            "images"
        ]

    def needed(self, url: str) -> bool:
        return inputs.needed(self.tools.settings, MODEL, self.upstream, {"images": [url]})


@pytest.fixture
async def shelf(settings, request) -> AsyncIterator[Shelf]:
    left = {"flaky": [503], "down": [503] * 9}

    async def answer(asked: web.Request) -> web.Response:
        name = asked.match_info["name"]
        if left.get(name):
            return web.Response(status=left[name].pop())
        if name == "gone":
            return web.Response(status=404)
        return web.Response(body={"page": b"<html>", "tiny": png(8), "large": bytes(12_000_000)}.get(name, png()))

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    spool, storage = Spool(settings.spool_dir), Storage(settings.storage_url)
    outbound, helper = Outbound(getattr(request, "param", NETWORK)), Helper(spool)
    no_links = SimpleNamespace(capabilities=SimpleNamespace(fetches_links=False))
    fetcher = Fetcher(outbound, outbound, storage, helper, spool)
    tools = SimpleNamespace(settings=settings, storage=storage, helper=helper, fetcher=fetcher)
    yield Shelf(tools, no_links, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await outbound.close()
    await helper.close()
    spool.close()
    await runner.cleanup()


async def test_links_become_bytes(shelf: Shelf) -> None:
    assert shelf.needed("https://example.com/a.png")
    (uri,) = await shelf.resolve("a")
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (512, 512)


async def test_links_stay_for_a_vendor_that_loads_them(shelf: Shelf) -> None:
    shelf.upstream.capabilities.fetches_links = True
    url = f"{shelf.origin}/gone"
    assert not shelf.needed(url)
    assert await shelf.resolve("gone") == [url]


async def test_a_passing_trouble_is_waited_out_for_a_moment(shelf: Shelf, monkeypatch) -> None:
    monkeypatch.setattr(inputs.rules, "retry_in_s", lambda _: 0.01)
    assert len(await shelf.resolve("flaky")) == 1
    with pytest.raises(BadMedia, match="parameter 'images\\[0\\]' could not be loaded: the answer was 503"):
        await shelf.resolve("down")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone", "could not be loaded: the answer was 404"),
        ("page", "is not a supported image, video or audio file"),
        ("tiny", "must have sides between 384 and 3072 pixels, got 8\\*8"),
        ("large", "larger than allowed"),
    ],
)
async def test_what_is_no_input(shelf: Shelf, name: str, why: str) -> None:
    with pytest.raises(BadMedia, match=why):
        await shelf.resolve(name)


async def test_all_of_them_together_are_limited(shelf: Shelf, monkeypatch) -> None:
    monkeypatch.setattr(inputs, "MOST_INLINE_BYTES", len(png()) * 3 // 2)
    await shelf.resolve("a")
    with pytest.raises(BadMedia, match="together"):
        await shelf.resolve("a", "b")


@pytest.mark.parametrize("shelf", [[]], indirect=True)
async def test_no_inner_address_is_reached(shelf: Shelf) -> None:
    with pytest.raises(BadMedia, match="not a public address"):
        await shelf.resolve("a")


async def test_samples_are_read_from_the_package(settings, shelf: Shelf) -> None:
    """Inlined where the model takes bytes, linked or uploaded where it does not."""
    origin, tools = settings.public_origin, shelf.tools
    linking = SimpleNamespace(capabilities=SimpleNamespace(fetches_links=True))
    cat = f"{origin}/samples/cat.jpg"
    edit, dress = (Catalogue.load().models[f"alibaba/{name}"] for name in ("qwen-image-edit-plus", "aitryon"))
    given = {"images": [cat, "https://example.com/samples/cat.jpg"]}
    assert inputs.needed(settings, edit, linking, given)
    resolved = (await inputs.resolve(tools, edit, linking, given, team_id=1, sandbox=False)).params["images"]
    content = (samples.FOLDER / "cat.jpg").read_bytes()
    text = base64.b64encode(content).decode()
    assert resolved == [f"data:image/jpeg;base64,{text}", "https://example.com/samples/cat.jpg"]
    linked = await inputs.resolve(tools, dress, linking, {"person_image_url": cat}, team_id=1, sandbox=True)
    assert linked.params == {"person_image_url": cat}
    with pytest.raises(BadMedia, match="must be a public link"):
        await inputs.resolve(tools, dress, linking, {"person_image_url": cat}, team_id=1, sandbox=False)
    with pytest.raises(BadMedia, match="names a file that has expired"):
        await inputs.resolve(tools, edit, linking, {"images": [f"{origin}/samples/dog.jpg"]}, team_id=1, sandbox=False)
    taking = load_all()[dress.routes[0].upstream]
    uploaded = await inputs.resolve(tools, dress, taking, {"person_image_url": cat}, team_id=1, sandbox=False)
    (file,) = uploaded.files.values()
    assert (file.name, file.mime, file.size) == ("cat.jpeg", "image/jpeg", len(content))
    assert b"".join([chunk async for chunk in file.chunks()]) == content
