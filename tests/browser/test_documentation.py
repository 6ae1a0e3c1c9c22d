"""The documentation in a real browser: for everybody, in both themes, as somebody types, and without script."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser
from tests.support.platform_processes import Platform

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
PLACES = (
    *("/docs", "/docs/zh/alibaba/qwen-image-edit-plus", "/docs/get-started/pricing"),
    *("/docs/api-reference/query-task-result", "/docs/search?q=retry", "/docs/none"),
    *("/docs/ways-to-use/idempotency", "/docs/zh/self-hosting/commands/admin-key-create", "/docs/zh/settings"),
)


@pytest.fixture(scope="module")
async def platform(platform: Platform) -> Platform:
    """One whose documentation has been made, for which a busy machine needs longer than a browser waits."""
    async with platform.http.get(f"{platform.origin}/docs") as answer:
        assert answer.status == 200
    return platform


@pytest.mark.full
@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1280),
        ("dark", 1280),
        ("dark", 390),
    ],
)
async def test_pages_can_be_used_by_everybody(
    platform: Platform, browser: Browser, theme: Literal["light", "dark"], width: int
) -> None:
    faults: list[str] = []
    context = await browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    for place in PLACES:
        await page.goto(platform.origin + place)
        await page.evaluate(AXE)
        found: dict[str, Any] = await page.evaluate("axe.run({resultTypes: ['violations']})")
        for one in found["violations"]:
            if one["impact"] in ("serious", "critical"):
                faults += [f"{place}: {one['id']}: {node['html'][:200]}" for node in one["nodes"][:3]]
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{place}: wider than the window of {width} pixels")
    await context.close()
    assert faults == []


async def test_search_as_somebody_types_and_copy(platform: Platform, browser: Browser) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    await page.goto(f"{platform.origin}/docs/quickstart")
    sample = page.locator(".sample").first
    await sample.hover()
    await sample.get_by_role("button", name="Copy").click()
    await page.wait_for_function("document.querySelector('.sample button').textContent.endsWith('✓')")
    assert await page.evaluate("navigator.clipboard.readText()") == "make up"
    await page.keyboard.press("/")
    await page.keyboard.type("rate lim")
    await page.get_by_role("link", name="Rate limit exceeded").first.click()
    await page.wait_for_url("**/docs/errors/rate-limit-exceeded*")
    await context.close()


@pytest.mark.full
async def test_the_reader_chooses_light_or_dark(platform: Platform, browser: Browser) -> None:
    context = await browser.new_context(color_scheme="light")
    page = await context.new_page()
    ground = "getComputedStyle(document.body).backgroundColor"
    await page.goto(f"{platform.origin}/docs")
    light = await page.evaluate(ground)
    await page.get_by_role("button", name="Light or dark").click()
    dark = await page.evaluate(ground)
    assert dark != light
    await page.goto(f"{platform.origin}/docs/zh/quickstart")
    assert await page.evaluate(ground) == dark, "it is kept"
    await page.emulate_media(media="print")
    assert await page.evaluate(ground) == light, "paper is light"
    assert not await page.locator("#pages").is_visible()
    await page.emulate_media(media="screen")
    await page.get_by_role("button", name="浅色或深色").click()
    assert await page.evaluate(ground) == light
    await context.close()


async def test_it_works_without_script(platform: Platform, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = await context.new_page()
    await page.goto(f"{platform.origin}/docs")
    await page.get_by_label("Search the documentation").fill("webhook signature")
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="Following a task").first.click()
    await page.wait_for_url("**/docs/following-a-task*")
    assert not await page.get_by_role("button", name="Copy").first.is_visible()
    assert not await page.get_by_role("button", name="Light or dark").is_visible()
    await page.get_by_role("link", name="All pages").click()
    assert page.url.endswith("#pages")
    await page.get_by_role("link", name="中文").click()
    assert page.url.endswith("/docs/zh/following-a-task")
    await context.close()
