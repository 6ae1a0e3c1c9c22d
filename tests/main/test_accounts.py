"""Which account a task goes to."""

from __future__ import annotations

import secrets
from dataclasses import replace

from modellix_server import vault
from modellix_server.base.database import Pool
from modellix_server.base.settings import Secret, Settings
from modellix_server.catalogue import Route
from modellix_server.main.accounts import AccountFinder

ROUTE = Route("dashscope", {"cn": "qwen-image-plus"}, wire={}, to={})


async def test_a_model_that_is_not_offered_where_the_account_is(pool: Pool, settings: Settings) -> None:
    url = "https://dashscope-intl.aliyuncs.com/api/v1"
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url=url, region="intl")
    finder = AccountFinder(pool, settings)
    said = await finder.obstacle(ROUTE, True)
    assert said == "the provider offers this model not in our region 'intl' but in: cn"
    everywhere = Route("dashscope", {"cn": "a", "intl": "b"}, wire={}, to={})
    assert await finder.obstacle(everywhere, True) is None


async def test_a_key_that_cannot_be_opened_is_as_good_as_none(pool: Pool, settings: Settings) -> None:
    """A master key that was changed must not turn submissions into internal errors or break running tasks."""
    url = "https://dashscope.aliyuncs.com/api/v1"
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url=url, region="cn")
    right = AccountFinder(pool, settings)
    wrong = AccountFinder(pool, replace(settings, master_key=Secret(secrets.token_bytes(32))))
    assert await right.obstacle(ROUTE, True) is None
    assert (await right.find("dashscope", True)).key == "sk-abc"
    assert await wrong.obstacle(ROUTE, True) == "provider temporarily unavailable"
    assert await wrong.obstacle(ROUTE, False) is None
    assert await wrong.find("dashscope", True) is None
    assert (await wrong.find("dashscope", False)).sandbox
