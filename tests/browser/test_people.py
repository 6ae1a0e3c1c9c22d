"""A colleague comes in through the directory of the firm, and a second one by invitation, in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, ConsoleMessage, expect
from tests.support.identity_providers import OidcServer
from tests.support.platform_processes import Platform


@pytest.mark.full
async def test_from_the_directory_to_a_team_that_invites(
    platform: Platform, oidc: OidcServer, browser: Browser
) -> None:
    """Without script: each form must find its way, to another site and back too, under the policy for contents."""
    await oidc.knows("grace", email="grace@open.example", email_verified=True, name="Grace Hopper")
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and message.location["url"].startswith(platform.origin):
            faults.append(f"{message.text} {message.location['url']}")

    page.on("console", note)
    await page.goto(platform.origin + "/console/team")
    await page.get_by_role("button", name="Continue with Our directory").click()
    await page.wait_for_url(f"{oidc.origin}/**")
    await page.get_by_role("textbox").first.fill("grace")
    await page.get_by_role("button", name="Authorize").first.click()
    await expect(page).to_have_url(platform.origin + "/console/team")
    navigation = page.get_by_role("navigation", name="Console")
    await expect(navigation.get_by_role("link", name="Team")).to_have_attribute("aria-current", "page")
    await expect(page.get_by_role("row", name="Grace Hopper")).to_contain_text("Owner")

    await page.get_by_role("button", name="Invite").click()
    await page.get_by_label("Email").fill("ada@open.example")
    await page.get_by_label("Role").first.select_option("Viewer")
    await page.get_by_role("button", name="Send invitation").click()
    link = await page.locator("#link").inner_text()
    await expect(page.get_by_role("row", name="ada@open.example")).to_contain_text("Viewer")

    await oidc.knows("ada", email="ada@open.example", email_verified=True, name="Ada")
    second = await browser.new_context(java_script_enabled=False)
    ada = await second.new_page()
    await ada.goto(link)
    await ada.get_by_role("link", name="Sign in").last.click()
    await ada.get_by_role("button", name="Continue with Our directory").click()
    await ada.wait_for_url(f"{oidc.origin}/**")
    await ada.get_by_role("textbox").first.fill("ada")
    await ada.get_by_role("button", name="Authorize").first.click()
    await ada.get_by_role("button", name="Accept invitation").click()
    await expect(ada).to_have_url(platform.origin + "/console")
    await expect(ada.get_by_role("navigation", name="Console").get_by_role("link", name="API keys")).to_have_count(0)

    await page.goto(platform.origin + "/console/team")
    row = page.get_by_role("row", name="ada@open.example")
    await row.get_by_text("Remove", exact=True).click()
    await row.get_by_role("button", name="Remove this member").click()
    await expect(page.get_by_role("row", name="ada@open.example")).to_have_count(0)
    await ada.reload()
    await expect(ada.get_by_role("heading", name="You belong to no team yet")).to_be_visible()
    await navigation.get_by_role("link", name="Account").click()
    await expect(page.get_by_role("row", name="Our directory grace@")).to_contain_text("grace@open.example")
    assert faults == []
    await context.close()
    await second.close()
