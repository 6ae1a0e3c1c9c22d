"""Money in a real browser: a code moves the balance on the page, and a recharge goes through the payment emulator."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect
from tests.console.test_billing import make_codes
from tests.support.browsers import COOKIE, member, new_team
from tests.support.platform_processes import Platform

from modellix_server.identity import Role


@pytest.mark.full
async def test_a_code_and_a_recharge_move_the_balance(platform: Platform, browser: Browser) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    (code,) = await make_codes(platform)
    context = await browser.new_context()
    assert visitor.cookie is not None
    url = platform.origin.replace("http:", "https:")
    await context.add_cookies([{"name": COOKIE, "value": visitor.cookie, "url": url, "secure": True}])
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    await page.goto(platform.origin + "/console/billing")
    await page.evaluate("window.sameDocument = true")
    await page.get_by_role("button", name="Redeem code").click()
    await page.get_by_label("Code", exact=True).fill("nothing")
    await page.get_by_role("button", name="Redeem", exact=True).click()
    await expect(page.get_by_role("alert")).to_have_text("There is no such code.")
    faults.clear()  # the browser reports the refusal's status
    await page.get_by_label("Code", exact=True).fill(code)
    await page.get_by_role("button", name="Redeem", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("$5.0000 has been added")
    await expect(page.locator("#balance")).to_have_text("$105.0000")
    assert await page.evaluate("window.sameDocument"), "without a reload"
    await page.get_by_role("button", name="Recharge").click()
    await page.get_by_label("Amount").fill("30")
    await page.get_by_role("button", name="Pay").click()
    await page.wait_for_url("**/sandbox/checkout/**")
    await page.get_by_role("button", name="Pay").click()
    await page.wait_for_url("**/console/billing?**")
    await expect(page.locator("#balance")).to_have_text("$135.0000")
    await expect(page.get_by_role("status")).to_contain_text("Your recharge of $30.0000 has been paid")
    assert faults == []
    await context.close()
