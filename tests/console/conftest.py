"""A platform for the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.platform_processes import Platform, open_platform

SIGN_UP = {"sign_up": "domain:open.example", "starter_credit_usd": "3"}


@pytest.fixture(scope="session")
async def platform(postgres_server, tmp_path_factory) -> AsyncIterator[Platform]:
    async with open_platform(postgres_server, tmp_path_factory.mktemp("console")) as opened:
        yield opened
        await opened.books_are_clean()


@pytest.fixture(scope="session")
async def with_mail(postgres_server, tmp_path_factory) -> AsyncIterator[Platform]:
    """Where messages become files, and addresses of one domain sign up."""
    folder = tmp_path_factory.mktemp("mail")
    async with open_platform(postgres_server, folder, mail_dir=str(folder / "mail"), **SIGN_UP) as opened:
        yield opened
