"""An announcement is dismissed for as long as the browser is open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from tests.support.browsers import COOKIE, Visitor, member, new_team
from tests.support.platform_processes import Platform, open_platform

from modellix_server.identity import Role

WORDS = "Disks change on Sunday."


@pytest.fixture(scope="module")
async def platform(postgres_server, tmp_path_factory) -> AsyncIterator[Platform]:
    """One of its own: everybody sees an announcement."""
    async with open_platform(postgres_server, tmp_path_factory.mktemp("announcement")) as opened:
        yield opened


async def open_page(context: BrowserContext, platform: Platform, visitor: Visitor) -> Page:
    host = urlsplit(platform.origin).hostname
    await context.add_cookies(
        [{"name": COOKIE, "value": visitor.cookie or "", "domain": host, "path": "/", "secure": True, "httpOnly": True}]
    )
    page = await context.new_page()
    await page.goto(f"{platform.origin}/console/account")
    return page


@pytest.mark.full
async def test_a_dismissed_announcement_stays_away_until_the_browser_is_closed(
    platform: Platform, browser: Browser
) -> None:
    operator = await member(platform, (await new_team(platform)).id, Role.OWNER, operator=True)
    until = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M}"
    made = await operator.post("/operator/announcements", {"text": WORDS, "until": until})
    assert made.status == 303
    viewer = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    context = await browser.new_context()
    page = await open_page(context, platform, viewer)
    await page.get_by_role("button", name="Dismiss this announcement").click()
    await expect(page.get_by_text(WORDS)).to_have_count(0)
    await page.goto(f"{platform.origin}/console/team")
    await expect(page.get_by_text(WORDS)).to_have_count(0)
    await page.goto(f"{platform.origin}/console")
    await expect(page.get_by_text(WORDS)).to_be_visible()
    await context.close()
    again = await browser.new_context()
    page = await open_page(again, platform, viewer)
    await expect(page.get_by_text(WORDS)).to_be_visible()
    await again.close()
    await platform.pool.execute("update announcements.announcement set ends_at = now() + interval '1 microsecond'")
