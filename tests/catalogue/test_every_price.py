"""Every combination that decides a price: it has one or says that it has none, and the charge is what was delivered.

The emulators run here with everything but the drawing, so that what they deliver and bill is their own word.
"""

from __future__ import annotations

import asyncio
import base64
import io
import secrets
import subprocess
import wave
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from PIL import Image

from modellix_server.catalogue import Catalogue, Measurement, Model, Quote, Unpriced, capture
from modellix_server.catalogue.inputs import given
from modellix_server.catalogue.modelfile import TierFile
from modellix_server.sandbox.rendering import ffmpeg, paint, sound
from modellix_server.sandbox.rendering.paint import Picture
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.spool import SandboxSpool
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Done, Order, Pending, Ticket

CATALOGUE = Catalogue.load()
ADAPTERS = load_all()
every_model = pytest.mark.parametrize("model", list(CATALOGUE), ids=lambda model: model.slug)


LINKS = {kind: f"https://files.example.com/{name}" for kind, name in (
    ("image", "{picture}.png"), ("video", "{seconds}.mp4"), ("audio", "{seconds}.wav"))}  # fmt: skip


class Here(Studio):
    """Render processes that are this process."""

    def _new_pool(self) -> Any:
        return None

    async def _run(self, work, *args, **kwargs):
        await asyncio.sleep(0)
        return work(*args, **kwargs)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Iterator[tuple[Studio, Any]]:
    """What emulators are made of: pictures and clips are not drawn, and every link leads to a file of its kind."""

    def paint_nothing(order: Picture, path: Path) -> tuple[int, int]:
        for source in order.sources:
            paint.open_picture(source)
        path.write_bytes(b"a picture")
        return order.size or (64, 64)

    def run_nothing(arguments: list[str], feed: Any = ()) -> None:
        Path(arguments[-1]).write_bytes(pictures["photo"])

    async def fetch(url: str) -> bytes:
        name, _, ending = url.rpartition("/")[2].partition(".")
        seconds = name if name.isdigit() else "5"
        match ending:
            case "mp4":
                return clip(int(seconds))
            case "wav":
                return tone(int(seconds))
        return pictures["cut" if name == "cut" else "photo"]

    noise = Image.effect_noise((800, 600), 40)
    pictures = {"photo": png(noise.convert("RGB")), "cut": png(Image.merge("LA", (noise, noise)).convert("RGBA"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paint, "paint", paint_nothing)
        patch.setattr(ffmpeg, "run", run_nothing)
        patch.setattr(sound, "tune", lambda *_: b"")
        spool = SandboxSpool(tmp_path_factory.mktemp("spool"))
        yield Here(spool), fetch
        spool.close()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@cache
def clip(seconds: int) -> bytes:
    """A real clip, as small as they come."""
    picture = ["-f", "lavfi", "-i", f"color=red:size=640x480:rate=25:duration={seconds}"]
    shape = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    out = ["-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "pipe:1"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *picture, *shape, *out]
    return subprocess.run(command, check=True, capture_output=True).stdout


@cache
def tone(seconds: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16_000 * seconds))
    return file.getvalue()


def micros_of(tier: TierFile) -> int | None:
    return None if tier.usd is None else int(Decimal(tier.usd) * 1_000_000)


def tiers(bodies: Any, params: dict[str, Any]) -> list[TierFile]:
    """The tiers of the model file that fit, by its words alone."""
    found = []
    for tier in bodies.file.price.tier:
        by_value = all(
            params[name] in (wanted if isinstance(wanted, list) else [wanted]) for name, wanted in tier.when.items()
        )
        if by_value and all(given(params, name) == wanted for name, wanted in tier.given.items()):
            found.append(tier)
    return found


def combinations(bodies: Any) -> Iterator[dict[str, Any]]:
    """Every combination of the parameters that decide tier and amount, in a body that is accepted.

    An input that cannot be there with the others is left out; so is a combination that a rule forbids.
    """
    model: Model = bodies.model
    units = {tier.units or bodies.file.price.units for tier in bodies.file.price.tier} - {None}
    choices: dict[str, list[Any]] = {name: list(bodies.inputs[name].choices()) for name in model.price.by}
    choices |= {name: bodies.values[name] for name in units if name not in choices}
    choices |= {name: [None, bodies.telling(name)] for name in model.price.given}
    for values in product(*choices.values()):
        wanted = dict(zip(choices, values, strict=True))
        absent = {name for name, value in wanted.items() if value is None}
        start = {k: v for k, v in {**model.example, **wanted}.items() if k not in absent}
        body = bodies.settle(start, {*wanted})
        if body is not None:
            yield body


@every_model
def test_every_combination_has_a_price_or_says_that_it_has_none(model: Model, allowed) -> None:
    bodies = allowed(model)
    seen = set()
    for body in combinations(bodies):
        params = model.check(body)
        (tier,) = tiers(bodies, params)
        seen.add(tier.label)
        micros = micros_of(tier)
        assert (micros is None) == tier.unpriced
        if micros is None:
            with pytest.raises(Unpriced):
                model.quote(params, None, live=True)
            continue
        quote = model.quote(params, None, live=True)
        assert (quote.tier, quote.unit_micros) == (tier.label, micros)
        assert quote.amount_micros == exact(quote, quote.units)
        for part in (1, quote.units // 3, quote.units - 1, quote.units, quote.units + 1, quote.units * 10):
            if part > 0:
                measured = Measurement(images=part) if quote.unit == "image" else Measurement(milliseconds=part)
                assert capture(quote, measured) == min(exact(quote, part), quote.amount_micros)
    assert seen == {tier.label for tier in bodies.file.price.tier}, "a price that no accepted request can have"


def exact(quote: Quote, units: int) -> int:
    """Price times units in micro-dollars; seconds are counted in milliseconds and rounded up once."""
    return quote.unit_micros * units if quote.unit == "image" else -(-quote.unit_micros * units // 1000)


@every_model
@pytest.mark.parametrize("most", [4, pytest.param(None, marks=pytest.mark.full)], ids=["some", "all"])
async def test_the_charge_is_the_price_of_what_the_vendor_billed(
    model: Model, most: int | None, allowed, parts, emulated
) -> None:
    bodies = allowed(model)
    vendor = emulated(model.routes[0].upstream, *parts)
    found = list(combinations(bodies))
    for body in found[:: max(1, len(found) // (most or len(found)))]:
        for inputs in filled(model, body):
            quote, charge, billed = await run(model, vendor, inputs)
            (tier,) = tiers(bodies, model.check(inputs))
            if not tier.unpriced:  # which is so where nobody knows how much the vendor may bill
                assert billed <= quote.units, f"{body}: the hold is for {quote.units}, the vendor bills {billed}"
            assert charge == min(exact(quote, billed), quote.amount_micros), body


@every_model
async def test_a_vendor_that_bills_too_much_gets_no_more_than_the_quote(model: Model, allowed, parts, emulated) -> None:
    if "prompt" not in model.schema["properties"]:
        pytest.skip("there is no prompt to ask for it")
    vendor = emulated(model.routes[0].upstream, *parts)
    body = dict(model.example) | {"prompt": "[sandbox:overbill]"}
    quote, charge, billed = await run(model, vendor, next(filled(model, body)))
    assert billed > 0
    assert charge <= quote.amount_micros


async def run(model: Model, vendor: Any, body: dict[str, Any]) -> tuple[Quote, int, int]:
    """The quote, the charge, and what the emulator's bill says: pictures, or milliseconds of clip."""
    params = model.check(body)
    quote = model.quote(params, None, live=False)
    if not ADAPTERS[vendor.name].capabilities.fetches_links:
        params = {name: await inline(value, vendor.fetch) for name, value in params.items()}
    adapter, route = ADAPTERS[vendor.name], model.routes[0]
    attempt = f"task-{secrets.token_hex(8)}-1"
    order = Order(attempt, route, params, "sk-test", next(iter(route.models)))
    answer = await adapter.submit(order, vendor)
    if isinstance(answer, Ticket):
        for _ in range(200):
            polled = await adapter.poll(answer.id, order, vendor)
            if not isinstance(polled, Pending):
                break
            await asyncio.sleep(0)
        answer = polled
    assert isinstance(answer, Done), f"{body}: {answer} {vendor.answer and vendor.answer.body[:300]!r}"
    line = await vendor.line(attempt)
    billed = line["images"] if quote.unit == "image" else round(line["seconds"] * 1000)
    return quote, capture(quote, answer.measured), billed


async def inline(value: Any, fetch: Any) -> Any:
    """What the engine makes of links for a vendor that loads none itself."""
    if isinstance(value, list):
        return [await inline(one, fetch) for one in value]
    if not isinstance(value, str) or not value.startswith("https://"):
        return value
    return f"data:image/png;base64,{base64.b64encode(await fetch(value)).decode()}"


def filled(model: Model, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The body with inputs that exist: clips and sounds as short, and as long, as they may be."""
    lengths = {0, 1} if any("image" not in medium.limits and medium.name in body for medium in model.media) else {0}
    for longest in lengths:
        inputs = dict(body)
        for medium in model.media:
            if medium.name in body:
                kind, limits = next(iter(medium.limits.items()))
                seconds = min(max((limits.min_ms or 2000, limits.max_ms or 15_000)[longest] // 1000, 2), 30)
                picture = "cut" if "background" in model.id else "photo"
                link = LINKS[kind].format(picture=picture, seconds=seconds)
                given = body[medium.name]
                inputs[medium.name] = [link] * len(given) if isinstance(given, list) else link
        yield inputs
