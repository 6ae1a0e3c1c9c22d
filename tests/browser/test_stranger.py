"""A stranger's path in a real browser: from the printed link to the end of a key, with money and a colleague."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect
from tests.support.inbox import Inbox, open_inbox
from tests.support.platform_processes import Platform, open_platform
from tests.support.ports import free_port
from tests.support.waiting import eventually

from modellix_server.base.database import open_pool
from modellix_server.base.settings import load
from modellix_server.operations.context import Context
from modellix_server.operations.first_start import first_start
from modellix_server.operations.principal import system

COLLEAGUE = "grace@example.com"


@pytest.fixture(scope="module")
async def installed(postgres_server, tmp_path_factory) -> AsyncIterator[tuple[Platform, Inbox]]:
    """A platform with its first team, as after `up`, that sends its mail to a real server."""
    port = free_port()
    folder = tmp_path_factory.mktemp("stranger")
    mail = {"smtp_url": f"smtp://127.0.0.1:{port}", "mail_from": "Modellix <no-reply@example.com>"}
    with open_inbox(port) as inbox:
        async with open_platform(postgres_server, folder, **mail) as platform:
            settings = load(platform.env)
            db = await open_pool(settings.database_url, size=1, name="first-start")
            await first_start(Context(settings, db), system("first start", "tests"))
            await db.close()
            yield platform, inbox
            await platform.books_are_clean()


async def admin(platform: Platform, *arguments: str) -> dict[str, object]:
    command = [sys.executable, "-m", "modellix_server.cli.app", "admin", *arguments, "--json"]
    done = await asyncio.to_thread(subprocess.run, command, env=platform.env, capture_output=True, check=True)
    said: dict[str, object] = json.loads(done.stdout)
    return said


async def go(page: Page, name: str) -> None:
    await page.get_by_role("navigation", name="Console").get_by_role("link", name=name, exact=True).click()


async def run_a_model(page: Page) -> None:
    """In the playground: the price before, the picture, the charge after."""
    await go(page, "Models")
    await page.get_by_label("Search models").fill("qwen-image-plus")
    await page.locator("#found").get_by_role("link", name="Qwen Image Plus alibaba/qwen-image-plus", exact=True).click()
    await page.get_by_label("Prompt", exact=False).first.fill("A lighthouse at dusk")
    await expect(page.locator("#quote")).to_contain_text("$0.0172")
    await expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    await page.keyboard.press("Control+Enter")
    card = page.locator("#runs article").first
    await expect(card.locator("img")).to_be_visible(timeout=30_000)
    assert await card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 1328
    await expect(card).to_contain_text("$0.0172 charged")
    await expect(page.locator("#balance")).to_have_text("$99.9828")  # without a new page
    await go(page, "Billing")
    await expect(page.get_by_role("row").filter(has_text="0.0172").first).to_be_visible()


async def create_key(page: Page) -> str:
    await go(page, "API keys")
    await page.get_by_role("button", name="Create key").click()
    await page.get_by_label("Name").fill("my program")
    await page.get_by_label("Test", exact=True).check()
    await page.get_by_role("button", name="Create", exact=True).click()
    return await page.locator("#new-key").inner_text()


async def find_call_in_log(page: Page) -> None:
    """Its time is written a moment after it was answered; the page then shows it by itself."""
    await go(page, "Logs")
    row = page.get_by_role("row").filter(has_text="POST /api/v1/text-to-image/alibaba/qwen-image-plus/async").first
    await expect(row).to_contain_text(re.compile(r"[0-9.]+ ms"), timeout=60_000)


async def redeem(page: Page, code: str) -> None:
    await go(page, "Billing")
    if not await page.get_by_label("Code", exact=True).is_visible():
        await page.get_by_role("button", name="Redeem code").click()
    await page.get_by_label("Code", exact=True).fill(code)
    await page.evaluate("window.same = true")
    before = await page.locator("#balance").inner_text()
    await page.get_by_role("button", name="Redeem", exact=True).click()
    await expect(page.locator("#balance")).not_to_have_text(before)
    assert await page.evaluate("window.same")


async def recharge(page: Page) -> None:
    """At the payment emulator, and back."""
    before = float((await page.locator("#balance").inner_text()).removeprefix("$"))
    await go(page, "Billing")
    await page.get_by_role("button", name="Recharge").click()
    await page.get_by_label("Amount").fill("12.50")
    await page.get_by_role("button", name="Pay", exact=True).click()
    await page.wait_for_url("**/sandbox/checkout/**")
    await page.get_by_role("button", name="Pay", exact=True).click()
    await expect(page.get_by_text("Your recharge of $12.5000 has been paid")).to_be_visible()
    assert float((await page.locator("#balance").inner_text()).removeprefix("$")) == pytest.approx(before + 12.5)


async def invite(page: Page) -> None:
    await go(page, "Team")
    await page.get_by_role("button", name="Invite", exact=True).click()
    await page.get_by_label("Email").fill(COLLEAGUE)
    await page.get_by_label("Role").select_option("viewer")
    await page.get_by_role("button", name="Send invitation").click()
    await expect(page.get_by_text(COLLEAGUE).first).to_be_visible()


async def join(page: Page, platform: Platform, inbox: Inbox) -> None:
    """By the link of the invitation, and the code that another message brings."""
    [message] = await eventually(lambda: inbox.to(COLLEAGUE))
    link = re.search(rf"{platform.origin}/invitation/\S+", message.get_body(("plain",)).get_content())
    assert link is not None
    await page.goto(link[0])
    if not await page.get_by_label("Code").count():
        if await page.get_by_label("Email").count():
            await page.get_by_label("Email").fill(COLLEAGUE)
        await page.get_by_role("button", name=re.compile("Send code|Join|Accept")).first.click()

    def code() -> str | None:
        found = [re.search(r"\b[0-9]{6}\b", one.get_body(("plain",)).get_content()) for one in inbox.to(COLLEAGUE)[1:]]
        return next((one[0] for one in found if one), None)

    await page.get_by_label("Code").fill(str(await eventually(code)))
    await page.get_by_role("button", name="Sign in").click()
    if await page.get_by_role("button", name=re.compile("Join|Accept")).count():
        await page.get_by_role("button", name=re.compile("Join|Accept")).first.click()
    await expect(page.get_by_role("navigation", name="Console")).to_be_visible()


async def test_a_stranger_gets_everywhere(installed: tuple[Platform, Inbox], browser: Browser) -> None:
    platform, inbox = installed
    faults: list[str] = []
    context = await browser.new_context()
    page = await context.new_page()
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(str((await admin(platform, "sign-in-link"))["link"]))
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_role("button", name="Sign in").click()
    await run_a_model(page)
    program = platform.anyone(f"Bearer {await create_key(page)}")
    made = await program.run("text-to-image/alibaba/qwen-image-plus", prompt="A call of a program")
    assert made["status"] == "success"
    await find_call_in_log(page)
    created = await admin(platform, "code", "create", "--usd", "5", "--test")
    await redeem(page, str(next(iter(re.findall(r"[A-Z0-9-]{12,}", json.dumps(created))))))
    await recharge(page)
    await invite(page)

    elsewhere = await browser.new_context()
    theirs = await elsewhere.new_page()
    await join(theirs, platform, inbox)
    await expect(theirs.get_by_role("link", name="Tasks", exact=True)).to_be_visible()
    await expect(theirs.get_by_role("link", name="API keys")).to_have_count(0)  # a viewer creates none
    answer = await theirs.goto(platform.origin + "/console/api-key")
    assert answer is not None
    assert answer.status == 403

    await go(page, "API keys")
    row = page.get_by_role("row", name="my program").first
    await row.get_by_text("Revoke", exact=True).click()
    await row.get_by_role("button", name="Revoke this key").click()

    async def refused() -> bool:
        return (await program.get("/api/v1/team/balance")).status == 401

    await eventually(refused)
    assert faults == []
    await context.close()
    await elsewhere.close()
