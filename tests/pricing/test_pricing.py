"""The operator's prices on a real database."""

import asyncio

import asyncpg
import pytest

from modellix_server import pricing
from modellix_server.base.errors import InvalidParameters
from modellix_server.catalogue import Adjustment, Prices
from modellix_server.pricing import PriceBook


async def test_no_words_no_changes(pool):
    assert await pricing.book(pool) == Prices(0)


async def test_the_newest_word_on_a_cell_counts(pool):
    first = await pricing.set_price(pool, None, None, actor="test", margin_bp=1000)
    await pricing.set_price(pool, "alibaba/x", "1080p", actor="test", unit_micros=5)
    await pricing.set_price(pool, "alibaba/x", None, actor="test", unit_micros=7)
    last = await pricing.set_price(pool, "alibaba/x", "1080p", actor="test", margin_bp=-500)
    assert first < last
    book = await pricing.book(pool)
    assert book == Prices(
        last,
        {
            (None, None): Adjustment(margin_bp=1000),
            ("alibaba/x", None): Adjustment(price_micros=7),
            ("alibaba/x", "1080p"): Adjustment(margin_bp=-500),
        },
    )
    assert book.of("alibaba/x", "720p").apply(100) == 7
    assert book.of("alibaba/y", "720p").apply(100) == 110


async def test_a_word_can_be_taken_back_and_still_makes_a_version(pool):
    first = await pricing.set_price(pool, "alibaba/x", None, actor="test", unit_micros=7)
    second = await pricing.set_price(pool, "alibaba/x", None, actor="test")
    assert second > first
    assert await pricing.book(pool) == Prices(second)


async def test_zero_is_a_price(pool):
    await pricing.set_price(pool, "alibaba/x", None, actor="test", unit_micros=0)
    assert (await pricing.book(pool)).of("alibaba/x", "t").apply(100) == 0


@pytest.mark.parametrize(
    ("model", "tier", "given"),
    [
        ("a/b", None, {"unit_micros": -1}),
        ("a/b", None, {"margin_bp": -10_001}),
        ("a/b", None, {"unit_micros": 1, "margin_bp": 1}),
        (None, "1080p", {"margin_bp": 1}),
        (None, None, {"unit_micros": 1}),
    ],
)
async def test_what_cannot_be_a_price_is_refused(pool, model, tier, given):
    with pytest.raises(InvalidParameters):
        await pricing.set_price(pool, model, tier, actor="test", **given)


async def test_a_version_appears_only_after_all_before_it(pool):
    async with pool.acquire() as one:
        transaction = one.transaction()
        await transaction.start()
        first = await pricing.set_price(one, "a/b", None, actor="test", unit_micros=1)
        second = asyncio.create_task(pricing.set_price(pool, "a/c", None, actor="test", unit_micros=2))
        await asyncio.sleep(0.1)
        assert not second.done()
        assert (await pricing.book(pool)).version < first
        await transaction.commit()
        assert await second > first


@pytest.mark.parametrize(
    "statement",
    [
        "delete from pricing.price",
        "update pricing.price set unit_micros = 0",
        "insert into pricing.price (model, tier, created_by) values ('*', '*', 'x')",
    ],
)
async def test_history_is_not_rewritten(pool, statement):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


async def test_the_book_in_memory_follows_and_survives_an_outage(pool, monkeypatch):
    monkeypatch.setattr("modellix_server.pricing.pricebook._EVERY_S", 0.02)

    class Flaky:
        down = False

        async def fetch(self, *args):
            if self.down:
                raise ConnectionRefusedError
            return await pool.fetch(*args)

    flaky = Flaky()
    book = PriceBook(flaky)
    with pytest.raises(AssertionError):
        book.prices()
    await book.refresh()
    task = asyncio.create_task(book.keep_fresh())
    try:
        flaky.down = True
        version = await pricing.set_price(pool, "a/b", None, actor="test", unit_micros=1)
        await asyncio.sleep(0.1)
        assert book.prices().version == 0
        flaky.down = False
        await asyncio.sleep(0.2)
        assert book.prices().version == version
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
