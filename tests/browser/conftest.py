"""A platform, and a browser that shows its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser
from tests.support.browsers import CHROMIUM, open_browser
from tests.support.identity_providers import CLIENT, CLIENT_SECRET, OidcServer, open_oidc_server
from tests.support.platform_processes import Platform, open_platform


@pytest.fixture(scope="session")
async def oidc() -> AsyncIterator[OidcServer]:
    async with open_oidc_server() as opened:
        yield opened


@pytest.fixture(scope="session")
async def platform(postgres_server, tmp_path_factory, oidc) -> AsyncIterator[Platform]:
    client = {"oidc_issuer": oidc.origin, "oidc_client_id": CLIENT, "oidc_client_secret": CLIENT_SECRET}
    settings = client | {"oidc_name": "Our directory", "sign_up": "domain:open.example"}
    async with open_platform(postgres_server, tmp_path_factory.mktemp("browser"), **settings) as opened:
        yield opened
        await opened.books_are_clean()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    async with open_browser() as opened:
        yield opened
