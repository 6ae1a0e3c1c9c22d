"""SVG from a vendor: what only draws is let through with its size, everything else is refused."""

from __future__ import annotations

import io
import time
from uuid import UUID

import pytest
from PIL import Image, ImageDraw

from modellix_server.base.ids import uuid7
from modellix_server.inspection import Probed, Refused, sniff, vectors
from modellix_server.results import FetchNever, InlineResult, RemoteResult, fetch
from modellix_server.sandbox.rendering.crafts.outline import svg

OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="30">'


def drawing(inside: str = "", start: str = OPEN) -> bytes:
    return f"{start}{inside}</svg>".encode()


def emulated() -> bytes:
    mask = Image.new("L", (320, 200))
    ImageDraw.Draw(mask).ellipse((50, 50, 200, 150), fill=255)
    return svg(mask).encode()


NS = '<svg xmlns="http://www.w3.org/2000/svg"'
W3C = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (emulated(), (320, 200)),
        (drawing('<g fill="#fff"><path d="M0 0L9 9Z"/></g>'), (40, 30)),
        (b'<?xml version="1.0" encoding="UTF-8"?>\n' + W3C.encode() + drawing(), (40, 30)),
        (drawing(start=f'{NS} width="20.4px" height="1in">'), (20, 96)),
        (drawing(start=f'{NS} width="100%" height="100%" viewBox="0 0 640.2, 480">'), (640, 480)),
        (drawing(start=f'{NS} viewBox="-5 -5 64 48">'), (64, 48)),
        (drawing("<style>.a > .b { fill: #fff; }</style>"), (40, 30)),
        (drawing('<defs><clipPath id="a"><rect/></clipPath></defs><g clip-path="url(#a)"/>'), (40, 30)),
        (drawing("<g style=\"fill:url('#a')\"/>"), (40, 30)),
        (drawing('<linearGradient id="b"/><linearGradient xlink:href="#b"/>'), (40, 30)),
        (drawing("<title>Fish &amp; chips</title>"), (40, 30)),
    ],
)
async def test_what_only_draws(helper, data: bytes, size: tuple[int, int]) -> None:
    assert await helper.probe("vector", data) == Probed("svg", *size)


HOSTILE = {
    "script": drawing("<script>alert(1)</script>"),
    "script of another prefix": drawing('<s:script xmlns:s="http://www.w3.org/2000/svg">alert(1)</s:script>'),
    "html": drawing('<h:img xmlns:h="http://www.w3.org/1999/xhtml" onerror="alert(1)" src="x"/>'),
    "foreign object": drawing("<foreignObject/>"),
    "event": drawing('<g onload="alert(1)"/>'),
    "event in capitals": drawing('<g ONLOAD="alert(1)"/>'),
    "link": drawing('<a xlink:href="https://example.com"><path/></a>'),
    "gradient elsewhere": drawing('<linearGradient xlink:href="https://example.com/a.svg#b"/>'),
    "plain href": drawing('<linearGradient href=" data:image/svg+xml,x"/>'),
    "picture": drawing('<image xlink:href="https://example.com/a.png"/>'),
    "use": drawing('<use xlink:href="#a"/>'),
    "animation": drawing('<animate attributeName="href" to="javascript:alert(1)"/>'),
    "set": drawing('<set attributeName="onload" to="alert(1)"/>'),
    "fill elsewhere": drawing('<g fill="url(https://example.com/a)"/>'),
    "fill elsewhere, quoted": drawing("<g style=\"fill:url( '//example.com/a')\"/>"),
    "style that imports": drawing("<style>@import 'https://example.com/a.css';</style>"),
    "style that loads": drawing("<style>.a{fill:url(https://example.com/a)}</style>"),
    "style that hides": drawing("<style>.a{fill:u\\72l(x)}</style>"),
    "style attribute that hides": drawing('<g style="fill:u\\72l(x)"/>'),
    "style split by a comment": drawing("<style>.a{fill:u<!-- -->rl(x)}</style>"),
    "style sheet": b'<?xml-stylesheet href="https://example.com/a.css"?>' + drawing(),
    "entity": b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + drawing("<title>&a;</title>"),
    "external entity": b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + drawing("<title>&a;</title>"),
    "parameter entity": b'<!DOCTYPE svg [<!ENTITY % a SYSTEM "http://169.254.169.254/"> %a;]>' + drawing(),
    "type elsewhere": b'<!DOCTYPE svg SYSTEM "http://169.254.169.254/x.dtd">' + drawing(),
    "unknown entity": W3C.encode() + drawing("<title>&nothing;</title>"),
    "base": drawing('<g xml:base="https://example.com/"/>'),
    "another encoding": b'<?xml version="1.0" encoding="utf-7"?>' + drawing(),
    "latin": b'<?xml version="1.0" encoding="iso-8859-1"?>' + drawing(),
    "no svg": b'<html xmlns="http://www.w3.org/1999/xhtml"/>',
    "no namespace": b'<svg width="40" height="30"/>',
    "another root": b'<g xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>',
    "no size": drawing(start=f"{NS}>"),
    "size of nothing": drawing(start=f'{NS} width="0" height="30">'),
    "huge": drawing(start=f'{NS} width="99999" height="99999">'),
    "not a number": drawing(start=f'{NS} viewBox="0 0 nan inf">'),
    "deep": drawing("<g>" * 70 + "</g>" * 70),
    "cut": drawing("<g>")[:-8],
    "png": b"\x89PNG\r\n\x1a\n",
    "empty": b"",
    "nul": drawing("\0"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_does_more_is_refused(helper, name: str) -> None:
    assert isinstance(await helper.probe("vector", HOSTILE[name]), Refused)


def test_a_billion_laughs_take_no_time() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 20))
    data = f'<!DOCTYPE svg [<!ENTITY l0 "ha">{levels}]>'.encode() + drawing("<title>&l19;</title>")
    begun = time.monotonic()
    with pytest.raises(vectors.Unfit):
        vectors.probe_vector(io.BytesIO(data))
    assert time.monotonic() - begun < 10  # laughed out, they would take years


async def test_too_many_elements(helper) -> None:
    assert isinstance(await helper.probe("vector", drawing("<g/>" * (vectors.MOST_ELEMENTS + 1))), Refused)


async def test_an_svg_is_an_image_of_a_result(fetcher, vendor, storage) -> None:
    task = uuid7()
    got = await fetcher.fetch(
        RemoteResult(task, 1, vendor.put("a.png", emulated()), "vector", "alternative"), vendor.origins
    )
    assert (got.type, got.format, got.width, got.height, got.role) == ("image", "svg", 320, 200, "alternative")
    assert got.path == f"results/{UUID(str(task)).hex}/1.svg"
    assert await storage.read(got.path) == emulated()
    inline = await fetcher.keep(InlineResult(task, 1, emulated(), "vector", "alternative"))
    assert inline == got


async def test_an_svg_that_is_too_large(fetcher, vendor, monkeypatch) -> None:
    monkeypatch.setitem(fetch._MOST_BYTES, "vector", 100)
    with pytest.raises(FetchNever):
        await fetcher.fetch(RemoteResult(uuid7(), 1, vendor.put("a", emulated()), "vector"), vendor.origins)


async def test_an_svg_is_no_input_and_no_picture(helper) -> None:
    assert sniff(emulated()) is None
    assert isinstance(await helper.probe("image", emulated()), Refused)
