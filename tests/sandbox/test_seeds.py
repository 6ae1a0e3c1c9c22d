"""Without a seed every run of every model makes something else; with one the same again.

The emulators run in this process. Clips are compared before they are encoded, and captions, which tell the seed, are
left out: what is compared is the picture itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.support.emulator_in_process import Emulator, emulator

from modellix_server.catalogue import Catalogue, Model, samples
from modellix_server.sandbox.rendering import caption, ffmpeg, sound
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.spool import SandboxSpool
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Done, Failed, Order, Pending, Ticket, UnmappedAnswer

CATALOGUE = Catalogue.load(origin="https://files.example.com")
ADAPTERS = load_all()
FRAMES = 12
"""Frames that are looked at of a drawn clip: one second."""


class Book(Studio):
    """Writes down what is ordered; makes it here where it is asked to, and keeps what the files are like."""

    def __init__(self, spool: SandboxSpool) -> None:
        super().__init__(spool)
        self.orders: list[Any] = []
        self.digests: list[str] = []
        self.draws = False

    def _new_pool(self) -> Any:
        return None

    async def _run(self, work, *args, **kwargs):
        self.orders.append(args[0])
        if not self.draws:
            raise UnusableMedia("parameter", "nothing is made here")
        await asyncio.sleep(0)
        made = work(*args, **kwargs)
        files = made.files if hasattr(made, "files") else [args[1]]
        self.digests += [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        return made


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Iterator[Book]:
    run = ffmpeg.run

    def look(arguments: list[str], feed: Any = ()) -> None:
        if not {"libx264"} & set(arguments):
            run(arguments, feed)
            return
        seen = hashlib.sha256()
        for frame in islice(feed, FRAMES):
            seen.update(frame)
        filters = arguments[arguments.index("-filter_complex") + 1]
        Path(arguments[-1]).write_text(f"{filters} {seen.hexdigest()}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ffmpeg, "run", look)
        patch.setattr(caption, "strip", lambda width, *_: Image.new("RGBA", (width, 8)))
        patch.setattr(sound, "tune", lambda *_: b"")
        spool = SandboxSpool(tmp_path_factory.mktemp("spool"))
        yield Book(spool)
        spool.close()


async def sample(url: str) -> bytes:
    return (samples.FOLDER / url.rpartition("/")[2]).read_bytes()


async def order(model: Model, book: Book, *, draws: bool, **more: Any) -> tuple[list[int], list[str]]:
    """The seeds of what a run of the model's example orders, and digests of what is drawn."""
    vendor = emulator(model.routes[0].upstream, book, sample)
    book.orders, book.digests, book.draws = [], [], draws
    params = model.check(dict(model.example) | more)
    if not ADAPTERS[vendor.name].capabilities.fetches_links:
        params = {name: await inline(value) for name, value in params.items()}
    asked = Order(
        f"task-{secrets.token_hex(8)}-1", model.routes[0], params, "sk-test", next(iter(model.routes[0].models))
    )
    try:
        answer: Any = await ADAPTERS[vendor.name].submit(asked, vendor)
    except UnmappedAnswer:
        answer = None
    if isinstance(answer, Ticket):
        answer = await ended(vendor, answer, asked)
    assert isinstance(answer, Done) or not draws, f"{answer} {vendor.answer and vendor.answer.body[:300]!r}"
    return [seed(one) for one in book.orders], book.digests


async def ended(vendor: Emulator, ticket: Ticket, asked: Order) -> Done | Failed:
    for _ in range(400):
        polled = await ADAPTERS[vendor.name].poll(ticket.id, asked, vendor)
        if not isinstance(polled, Pending):
            return polled
        await asyncio.sleep(0)
    raise AssertionError("it does not end")


async def inline(value: Any) -> Any:
    """What the engine makes of links for a vendor that loads none itself."""
    if isinstance(value, list):
        return [await inline(one) for one in value]
    if not isinstance(value, str) or not value.startswith("https://"):
        return value
    return f"data:image/png;base64,{base64.b64encode(await sample(value)).decode()}"


def seed(made: Any) -> int:
    for inner in ("clip", "picture"):
        made = getattr(made, inner) if hasattr(made, inner) and not callable(getattr(made, inner)) else made
    return made.seed


def takes_seed(model: Model) -> bool:
    """Whether the vendor takes the seed too; for some it is a parameter of ours that ends here."""
    return "seed" in model.schema["properties"] and model.routes[0].to.get("seed", "-") != "-"


@pytest.mark.parametrize("model", list(CATALOGUE), ids=lambda model: model.slug)
async def test_every_run_without_a_seed_has_another_one_and_a_seed_is_kept(model: Model, book: Book) -> None:
    first, _ = await order(model, book, draws=False)
    again, _ = await order(model, book, draws=False)
    assert first
    assert not {*first} & {*again}
    if takes_seed(model):
        kept, _ = await order(model, book, draws=False, seed=7)
        assert {*kept} == {7}


CRAFTS = ("wordart", "aitryon", "mt-image", "imageedit", "video-edit", "videoedit")
"""In the names of models that have a way of their own to make what they make."""
LONG = "animate"
"""Films from films: a quarter of a minute each."""


def kinds() -> list[Any]:
    """All models; those of which one of the same kind comes earlier take too long for every run."""
    seen: set[Any] = set()
    found = []
    for model in CATALOGUE:
        kind = (model.routes[0].upstream, model.type, "special" if not model.example.get("prompt") else "")
        special = model.slug if any(word in model.slug for word in CRAFTS) else ""
        marks = [pytest.mark.full] if (*kind, special) in seen or LONG in model.slug else []
        seen.add((*kind, special))
        found.append(pytest.param(model, id=model.slug, marks=marks))
    return found


@pytest.mark.parametrize("model", kinds())
async def test_no_two_pictures_are_equal_without_a_seed_and_those_with_the_same_are(model: Model, book: Book) -> None:
    _, first = await order(model, book, draws=True)
    _, again = await order(model, book, draws=True)
    assert first
    assert len({*first, *again}) == len(first) + len(again)
    if takes_seed(model):
        runs = [(await order(model, book, draws=True, seed=seed))[1] for seed in (7, 7, 8)]
        assert runs[0] == runs[1]
        assert not {*runs[0]} & {*runs[2]}
