"""Which account a task goes to."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from modellix_server import vault
from modellix_server.base.database import Pool
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Route
from modellix_server.tasks import AccountFinder, Breakers

ROUTE = Route("dashscope", {"cn": "qwen-image-plus"}, wire={}, to={})


async def test_a_model_that_is_not_offered_where_the_account_is(pool: Pool, settings: Settings) -> None:
    url = "https://dashscope-intl.aliyuncs.com/api/v1"
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url=url, region="intl")
    finder = AccountFinder(pool, settings)
    said = await finder.obstacle(ROUTE, True)
    assert (said.detail, said.retry_after_s) == (
        "the provider offers this model not in our region 'intl' but in: cn",
        60,
    )
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
    said = await wrong.obstacle(ROUTE, True)
    assert (said.detail, said.retry_after_s) == ("provider temporarily unavailable", 60)
    assert await wrong.obstacle(ROUTE, False) is None
    assert await wrong.find("dashscope", True) is None
    assert (await wrong.find("dashscope", False)).sandbox


async def test_while_a_vendor_is_gone_the_next_try_is_named(pool: Pool, settings: Settings) -> None:
    """Also by a process that has no task there: it knows from the row what the workers found."""
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url="https://a.test", region="cn")
    workers, ours = Breakers(pool), Breakers(pool)
    finder = AccountFinder(pool, settings, ours)
    for _ in range(5):
        assert await finder.obstacle(ROUTE, True) is None
        await workers.failed("submit", "dashscope", live=True, reason="500", only_model=None)
    for probe_in_s, told in ((41.5, 42), (7.9, 8), (1.5, 2), (0.5, 1)):
        await pool.execute("update tasks.breaker set probe_at = now() + make_interval(secs => $1)", probe_in_s)
        await ours.refresh()
        said = await finder.obstacle(ROUTE, True)
        assert (said.message, said.retry_after_s) == ("Service unavailable: provider temporarily unavailable", told)
        assert await finder.obstacle(ROUTE, False) is None


async def test_a_try_that_is_due_may_come_from_outside(pool: Pool, settings: Settings) -> None:
    """Where nothing waits in the queue, only a new submission can show that the vendor is back."""
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url="https://a.test", region="cn")
    workers, ours = Breakers(pool), Breakers(pool)
    finder = AccountFinder(pool, settings, ours)
    for _ in range(5):
        await workers.failed("submit", "dashscope", live=True, reason="500", only_model=None)
    await pool.execute("update tasks.breaker set probe_at = now()")
    await asyncio.gather(ours.refresh(), workers.refresh())
    assert await finder.obstacle(ROUTE, True) is None
    assert await workers.wait_s("dashscope", live=True) is None, "it is the one"
    await ours.refresh()
    assert (await finder.obstacle(ROUTE, True)).retry_after_s == 4
    await workers.answered("submit", "dashscope", live=True)
    await ours.refresh()
    assert await finder.obstacle(ROUTE, True) is None
