"""Codes by mail: who guesses learns nothing, and signs in with no old, used or foreign code."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from modellix_server import identity
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters, Unauthorized, Unavailable
from modellix_server.identity import TooManyCodes, codes
from modellix_server.operations import sign_in_codes
from modellix_server.operations.context import Context
from modellix_server.operations.principal import anybody
from modellix_server.operations.sign_in import Browser, authenticate

WHO, BROWSER = anybody("192.0.2.1"), Browser("192.0.2.1", "a browser")


@pytest.fixture
async def ctx(pool, settings, tmp_path) -> Context:
    async with pool.acquire() as db:
        await identity.create_user(db, "anna@example.com", "Anna")
        await identity.create_user(db, "ben@example.com", "Ben")
    return Context(replace(settings, mail_dir=str(tmp_path / "mail")), pool)


async def asked(ctx: Context, email: str = "anna@example.com") -> str:
    """Ask for a code: the one that is put up for sending."""
    await sign_in_codes.send_code(ctx, WHO, email, BROWSER)
    return await ctx.db.fetchval("select code from mail.outbox order by created_at desc limit 1")


async def enter(ctx: Context, code: str, email: str = "anna@example.com") -> str:
    return await sign_in_codes.use_code(ctx, WHO, email, code, BROWSER)


async def refused(ctx: Context, code: str, email: str = "anna@example.com") -> None:
    with pytest.raises(Unauthorized, match="wrong or no longer good"):
        await enter(ctx, code, email)


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_a_code_signs_in_once(ctx) -> None:
    code = await asked(ctx, " Anna@Example.com ")
    cookie = await enter(ctx, f" {code[:3]} {code[3:]} ")
    visitor = await authenticate(ctx, cookie)
    assert (visitor.user.email, visitor.session.method) == ("anna@example.com", "code")
    await refused(ctx, code)


async def test_each_sign_in_has_a_session_of_its_own(ctx) -> None:
    assert await enter(ctx, await asked(ctx)) != await enter(ctx, await asked(ctx))


async def test_old_replaced_and_foreign_codes_are_refused(ctx) -> None:
    first = await asked(ctx)
    second = await asked(ctx)
    if first != second:
        await refused(ctx, first)
    await refused(ctx, second, "ben@example.com")
    await enter(ctx, second)


async def test_a_code_ends_after_ten_minutes(ctx, database) -> None:
    from modellix_server.base.database import connect

    code = await asked(ctx)
    owner = await connect(database.owner_dsn, name="test")
    await owner.execute("update identity.sign_in_code set ends_at = now() - interval '1 second'")
    await owner.close()
    await refused(ctx, code)


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "' or 1=1"]
)
async def test_what_is_no_code_is_refused_and_not_counted(ctx, typed) -> None:
    await asked(ctx)
    await refused(ctx, typed)
    assert await ctx.db.fetchval("select tries from identity.sign_in_code") == 0


async def test_of_1000_parallel_guesses_five_are_compared(ctx, monkeypatch) -> None:
    code = await asked(ctx)
    compared: list[bool] = []
    matches = codes._matches
    monkeypatch.setattr(codes, "_matches", lambda *two: compared.append(matches(*two)) or compared[-1])
    wrong = other_than(code)
    answers = await asyncio.gather(*(enter(ctx, wrong) for _ in range(1000)), return_exceptions=True)
    assert {type(one) for one in answers} == {Unauthorized}
    assert compared == [False] * 5
    await refused(ctx, code)


async def test_the_right_code_at_the_same_time_signs_one_browser_in(ctx) -> None:
    code = await asked(ctx)
    answers = await asyncio.gather(*(enter(ctx, code) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in answers) == 1


async def test_an_unknown_address_gets_the_same_answer_and_nothing_is_sent(ctx) -> None:
    await asked(ctx)
    assert await asked(ctx, "nobody@example.com") is None
    assert await ctx.db.fetch("select recipient from mail.outbox where state = 'waiting'") == [("anna@example.com",)]
    for guess in range(6):
        await refused(ctx, f"{guess:06}", "nobody@example.com")
    assert await ctx.db.fetchval("select tries from identity.sign_in_code where user_id is null") == 5
    for _ in range(3):
        await asked(ctx, "nobody@example.com")
    await asked(ctx, "nobody@example.com")
    with pytest.raises(TooManyCodes):
        await asked(ctx, "nobody@example.com")


async def test_an_unknown_address_takes_the_same_work_as_a_known_one(ctx, monkeypatch) -> None:
    """Which is what takes the time: nobody can tell by it who is known here."""
    done: list[str] = []
    plain = Context.transaction

    @contextlib.asynccontextmanager
    async def logged(self: Context) -> AsyncIterator[Connection]:
        async with plain(self) as tx:
            with tx.query_logger(lambda query: done.append(query.query)):
                yield tx

    monkeypatch.setattr(Context, "transaction", logged)
    work = []
    for email in ("anna@example.com", "nobody@example.com"):
        done.clear()
        await asked(ctx, email)
        for guess in ("no code", "000000", "000001"):
            await refused(ctx, guess, email)
        work.append(list(done))
    assert len(work[0]) > 6
    assert work[0] == work[1]


async def test_codes_are_limited_by_account_also_when_asked_for_at_once(ctx) -> None:
    answers = await asyncio.gather(*(asked(ctx) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(one, TooManyCodes) for one in answers) == 15
    await asked(ctx, "ben@example.com")


async def test_codes_are_limited_by_address(ctx) -> None:
    for number in range(20):
        await asked(ctx, f"nobody{number}@example.com")
    with pytest.raises(TooManyCodes):
        await asked(ctx)


async def test_a_code_is_stored_as_a_keyed_hash_alone(ctx) -> None:
    code = await asked(ctx)
    stored = await ctx.db.fetchval("select hash from identity.sign_in_code")
    assert stored == codes._stored(ctx.settings.secret, "anna@example.com", code)
    assert len(stored) == 32


async def test_a_deleted_user_cannot_sign_in(ctx) -> None:
    await ctx.db.execute("update identity.app_user set deleted_at = now()")
    assert await asked(ctx) is None


async def test_what_is_missing_is_named_where_no_mail_can_be_sent(pool, settings) -> None:
    with pytest.raises(Unavailable, match="MODELLIX_SMTP_URL and MODELLIX_MAIL_FROM"):
        await asked(Context(settings, pool))


async def test_what_is_no_address_is_refused(ctx) -> None:
    with pytest.raises(InvalidParameters):
        await asked(ctx, "anna@example.com\r\nBcc: ben@example.com")
