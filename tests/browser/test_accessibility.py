"""Every page in both themes: no serious fault that axe finds, nothing too wide or too large, no fault in a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page
from tests.support import tour
from tests.support.platform_processes import Platform, open_platform
from tests.support.tour import Tour

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = ("serious", "critical")
MOST_BYTES = 150_000
OF_THE_PAGE = ("Document", "Stylesheet", "Script")
"""What counts; pictures of tasks are not the page's."""


class Transferred:
    """Bytes that came over the network for a page, with nothing of it in a cache."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._sizes: dict[str, float] = {}

    async def watch(self, page: Page) -> None:
        session = await page.context.new_cdp_session(page)
        session.on("Network.responseReceived", lambda said: self._kinds.update({said["requestId"]: said["type"]}))
        session.on(
            "Network.loadingFinished", lambda said: self._sizes.update({said["requestId"]: said["encodedDataLength"]})
        )
        await session.send("Network.enable")
        await session.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def begin(self) -> None:
        self._kinds.clear()
        self._sizes.clear()

    def total(self) -> float:
        return sum(self._sizes.get(one, 0) for one, kind in self._kinds.items() if kind in OF_THE_PAGE)


@pytest.fixture(scope="module")
async def platform(postgres_server, tmp_path_factory) -> AsyncIterator[Platform]:
    """One of its own: what lives there would be in the way of others."""
    async with open_platform(postgres_server, tmp_path_factory.mktemp("tour")) as opened:
        yield opened


@pytest.fixture(scope="module")
async def lived_in(platform: Platform) -> Tour:
    return await tour.prepare(platform)


@pytest.mark.full
@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1280),
        ("dark", 1280),
        ("light", 390),
    ],
)
async def test_every_page_can_be_used_by_everybody(
    platform: Platform, browser: Browser, lived_in: Tour, theme: Literal["light", "dark"], width: int
) -> None:
    context = await browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
    page = await lived_in.sign_in(context, platform)
    transferred = Transferred()
    await transferred.watch(page)
    faults: list[str] = []
    place = ""
    page.on("console", lambda said: faults.append(f"{place}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(f"{place}: {error}"))
    for place, path in lived_in.places.items():
        transferred.begin()
        answer = await page.goto(platform.origin + path)
        assert answer is not None
        assert answer.status == 200, (place, path)
        assert 0 < transferred.total() < MOST_BYTES, place
        await page.evaluate(AXE)
        found: dict[str, Any] = await page.evaluate("axe.run({resultTypes: ['violations']})")
        for one in found["violations"]:
            if one["impact"] in SERIOUS:
                faults += [f"{place}: {one['id']}: {node['html'][:200]}" for node in one["nodes"][:3]]
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{place}: wider than the window of {width} pixels")
    assert faults == []
    await context.close()
