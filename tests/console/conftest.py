"""Platforms and providers for the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.identity_providers import (
    CLIENT,
    CLIENT_SECRET,
    OidcServer,
    StrictProvider,
    open_oidc_server,
    open_strict_provider,
)
from tests.support.platform_processes import Platform, open_platform

SIGN_UP = {
    "sign_up": "domain:open.example",
    "starter_credit_usd": "3",
    "support_contact": "help@example.com, https://example.com/help",
}


@pytest.fixture(scope="session")
async def oidc() -> AsyncIterator[OidcServer]:
    async with open_oidc_server() as opened:
        yield opened


@pytest.fixture(scope="session")
async def github() -> AsyncIterator[StrictProvider]:
    async with open_strict_provider() as opened:
        yield opened


@pytest.fixture(scope="session")
async def with_mail(postgres_server, tmp_path_factory, oidc, github) -> AsyncIterator[Platform]:
    """Where messages become files, addresses of one domain sign up, and two providers sign people in."""
    folder = tmp_path_factory.mktemp("mail")
    client = {"client_id": CLIENT, "client_secret": CLIENT_SECRET}
    providers = {f"{slug}_{name}": text for slug in ("oidc", "github") for name, text in client.items()}
    providers |= {"oidc_issuer": oidc.origin, "github_url": github.origin}
    providers["trusted_proxies"] = "127.0.0.0/8"
    settings = SIGN_UP | providers | {"mail_dir": str(folder / "mail")}
    async with open_platform(postgres_server, folder, **settings) as opened:
        yield opened
        await opened.books_are_clean()
