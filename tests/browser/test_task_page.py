"""The page of a running task keeps itself up to date, with script and without."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect
from tests.support.browsers import COOKIE, member
from tests.support.platform_processes import Platform

from modellix_server.identity import Role

PATH = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"


@pytest.mark.parametrize(
    "script",
    [pytest.param(True, id="with script"), pytest.param(False, id="without script", marks=pytest.mark.full)],
)
async def test_a_task_page_shows_its_end(platform: Platform, browser: Browser, script: bool) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.DEVELOPER)
    context = await browser.new_context(java_script_enabled=script)
    host = urlsplit(platform.origin).hostname
    await context.add_cookies(
        [{"name": COOKIE, "value": visitor.cookie or "", "domain": host, "path": "/", "secure": True, "httpOnly": True}]
    )
    page = await context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    task = (await team.post(PATH, {"prompt": "a hat [sandbox:slow=2]"})).data["task_id"]
    await page.goto(f"{platform.origin}/console/tasks/{task}")
    await expect(page.get_by_text("Running", exact=True).or_(page.get_by_text("Starting", exact=True))).to_be_visible()
    await expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("img", name="a hat")).to_be_visible()
    await page.get_by_role("navigation", name="Console").get_by_role("link", name="Tasks").click()
    await page.get_by_role("link", name="Table").click()
    await page.get_by_role("row").nth(1).click()
    await expect(page).to_have_url(f"{platform.origin}/console/tasks/{task}")
    assert faults == []
    await context.close()
