"""A stranger's first minute in a real browser: the printed link, a key, a call, the key's end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from playwright.async_api import Browser, expect
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server.base.database import open_pool
from modellix_server.base.settings import load
from modellix_server.operations.context import Context
from modellix_server.operations.first_start import first_start
from modellix_server.operations.principal import system


@pytest.fixture(scope="module")
async def installed(platform: Platform) -> Platform:
    """With its first team, as after `up`."""
    settings = load(platform.env)
    db = await open_pool(settings.database_url, size=1, name="first-start")
    await first_start(Context(settings, db), system("first start", "tests"))
    await db.close()
    return platform


async def sign_in_link(platform: Platform) -> str:
    command = [sys.executable, "-m", "modellix_server.cli.app", "admin", "sign-in-link", "--json"]
    done = await asyncio.to_thread(subprocess.run, command, env=platform.env, capture_output=True, check=True)
    link: str = json.loads(done.stdout)["link"]
    return link


@pytest.mark.full
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
async def test_from_the_printed_link_to_a_key_that_works(installed: Platform, browser: Browser, script: bool) -> None:
    context = await browser.new_context(java_script_enabled=script)
    page = await context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(await sign_in_link(installed))
    if await page.get_by_label("Email").count():  # the first time
        await page.get_by_label("Name").fill("Ada Lovelace")
        await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(installed.origin + "/console")
    await expect(page.locator("#balance")).to_have_text("$100.0000")

    await page.get_by_role("navigation", name="Console").get_by_role("link", name="API keys").click()
    create = page.get_by_role("button", name="Create key")
    if not await page.get_by_role("button", name="Create", exact=True).is_visible():
        await create.click()
    await page.get_by_label("Name").fill("my program")
    await page.get_by_label("Test", exact=True).check()
    await page.get_by_role("button", name="Create", exact=True).click()
    text = await page.locator("#new-key").inner_text()
    assert text.startswith("mdlx-test-")
    program = installed.anyone(f"Bearer {text}")
    assert (await program.get("/api/v1/team/balance")).status == 200

    await page.goto(installed.origin + "/console/api-key")
    assert text not in await page.content()
    row = page.get_by_role("row", name="my program").first
    await row.get_by_text("Revoke", exact=True).click()
    await row.get_by_role("button", name="Revoke this key").click()
    await expect(page.get_by_role("row", name="my program").first).to_contain_text("revoked")

    async def refused() -> bool:
        return (await program.get("/api/v1/team/balance")).status == 401

    await eventually(refused)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(installed.origin + "/sign-in")
    assert faults == []
    await context.close()
