"""The chain: what it takes in, who may touch it, and that every kind of tampering is named."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest

from modellix_server import audit
from modellix_server.audit import Actor, Head
from modellix_server.base.database import connect

ANNA = Actor("admin:anna", "host from 192.0.2.7")


async def write(pool, count=5, **about):
    async with pool.acquire() as db:
        for number in range(count):
            async with db.transaction():
                await audit.record(db, ANNA, "team.credit", f"team:{number}", team_id=number, **about)


async def checked(pool, *heads):
    async with pool.acquire() as db, db.transaction(isolation="repeatable_read", readonly=True):
        return await audit.verify(db, heads)


@pytest.fixture
async def superuser(database):
    db = await connect(database.superuser_dsn, name="test")
    await db.execute("alter table audit.audit_entry disable trigger append_only")
    yield db
    await db.close()


async def test_an_empty_log_is_clean(pool):
    assert await checked(pool) == []
    async with pool.acquire() as db:
        assert str(await audit.head(db)) == "0:" + "00" * 32


async def test_entries_come_back_as_they_were_written(pool):
    await write(pool, 3, note="größer ✓", micros=-5, nothing=None, origins=["https://a.test"])
    newest, second, first = await audit.list_entries(pool)
    assert (newest.seq, newest.actor, newest.origin, newest.action) == (3, ANNA.name, ANNA.origin, "team.credit")
    assert (first.subject, first.team_id) == ("team:0", 0)
    assert json.loads(first.details) == {
        "note": "größer ✓", "micros": -5, "nothing": None, "origins": ["https://a.test"],
    }  # fmt: skip
    assert first.at < second.at < newest.at
    assert newest.at.tzinfo is not None
    assert [one.seq for one in await audit.list_entries(pool, limit=1, before=3)] == [2]
    assert [one.seq for one in await audit.list_entries(pool, team_id=1)] == [2]
    assert await checked(pool) == []


async def test_an_entry_lives_and_dies_with_the_change_it_tells_about(pool):
    async with pool.acquire() as db:
        with pytest.raises(AssertionError, match="belongs to the transaction"):
            await audit.record(db, ANNA, "team.credit", "team:1")
        change = db.transaction()
        await change.start()
        await audit.record(db, ANNA, "team.credit", "team:1")
        await change.rollback()
    await write(pool, 1)
    assert [one.seq for one in await audit.list_entries(pool)] == [1], "a change undone leaves no gap"
    assert await checked(pool) == []


async def test_writers_at_the_same_time_make_one_chain(pool):
    async def some(number):
        async with pool.acquire() as db:
            for at in range(10):
                async with db.transaction():
                    await audit.record(db, ANNA, "key.create", f"key:{number}-{at}")

    await asyncio.gather(*(some(number) for number in range(8)))
    assert [one.seq for one in await audit.list_entries(pool, limit=100)] == list(range(80, 0, -1))
    assert await checked(pool) == []


async def test_secrets_are_taken_out(pool):
    planted = [
        "mdlx-Ab94x6cMG1234567890abcdefghijklmnopqr",
        "sk-0123456789abcdef",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ]
    note = f"see https://u:pass@h.test/a?signature=abc {' '.join(planted)} Bearer abcdefghijklmnopqrstuvwxyz"
    async with pool.acquire() as db, db.transaction():
        await audit.record(db, Actor(planted[0], planted[1]), "key.create", f"key:{planted[2]}", note=note, more=[note])
    (entry,) = await audit.list_entries(pool)
    text = repr(entry)
    for secret in (*planted, "pass", "signature=abc", "abcdefghijklmnopqrstuvwxyz"):
        assert secret not in text
    assert await checked(pool) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update audit.audit_entry set actor = 'nobody'",
        "delete from audit.audit_entry",
        "truncate audit.audit_entry",
        "update audit.head set seq = 0",
        "delete from audit.head",
        "insert into audit.audit_entry values (9, now(), 'a', 'a', 'a.a', 'a', null, '{}', sha256('a'), sha256('a'))",
        "alter table audit.audit_entry disable trigger append_only",
    ],
)
async def test_the_application_cannot_change_it(pool, statement):
    await write(pool, 2)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)
    assert await checked(pool) == []


async def test_the_owner_s_programs_cannot_change_it_by_mistake(database, pool):
    await write(pool, 2)
    db = await connect(database.owner_dsn, name="test")
    for statement in (
        "update audit.audit_entry set actor = 'x'",
        "delete from audit.audit_entry",
        "truncate audit.audit_entry",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await db.execute(statement)
    await db.close()


REHASH = """
    update audit.audit_entry set hash = audit.chained(previous, array[seq::text,
        (extract(epoch from at) * 1000000)::bigint::text, actor, origin, action, subject,
        coalesce(team_id::text, '-'), details::text]) where seq = 3"""


@pytest.mark.parametrize("column", ["at", "actor", "origin", "action", "subject", "team_id", "details", "hash"])
async def test_an_edit_is_named(pool, superuser, column):
    await write(pool)
    other = {
        "at": "at + interval '1 microsecond'",
        "team_id": "null",
        "details": "'{\"micros\": 1}'",
        "hash": "sha256('x')",
    }
    value = other.get(column, "'else.where'")
    await superuser.execute(f"update audit.audit_entry set {column} = {value} where seq = 3")
    found = await checked(pool)
    assert "entry 3 was changed" in found


async def test_an_edit_with_a_mended_hash_is_named(pool, superuser):
    await write(pool)
    await superuser.execute("update audit.audit_entry set actor = 'nobody' where seq = 3")
    await superuser.execute(REHASH)
    assert await checked(pool) == ["entry 4 does not follow the entry 3 that is there: one of them was changed"]


async def test_a_delete_is_named(pool, superuser):
    await write(pool)
    await superuser.execute("delete from audit.audit_entry where seq = 3")
    assert await checked(pool) == ["entry 3 is missing"]
    await superuser.execute("delete from audit.audit_entry where seq = 2")
    assert await checked(pool) == ["entries 2 to 3 are missing"]
    await superuser.execute("delete from audit.audit_entry where seq = 1")
    assert await checked(pool) == ["entries 1 to 3 are missing"]


async def test_a_reordering_is_named(pool, superuser):
    await write(pool)
    for before, after in ((3, 99), (4, 3), (99, 4)):
        await superuser.execute("update audit.audit_entry set seq = $2 where seq = $1", before, after)
    found = await checked(pool)
    assert {"entry 3 was changed", "entry 4 was changed"} <= set(found)


async def test_an_insertion_is_named(pool, superuser):
    await write(pool)
    await superuser.execute("update audit.audit_entry set seq = seq + 100 where seq > 2")
    await superuser.execute("update audit.audit_entry set seq = seq - 99 where seq > 100")
    await superuser.execute(
        """insert into audit.audit_entry select 3, at, 'forged', origin, action, subject, team_id, details, hash, hash
           from audit.audit_entry where seq = 2"""
    )
    found = await checked(pool)
    assert "entry 3 was changed" in found
    assert "entry 4 was changed" in found


async def test_a_cut_end_shows_by_the_noted_end_and_where_that_was_mended_by_a_noted_head(pool, superuser):
    await write(pool)
    async with pool.acquire() as db:
        noted = Head.of(str(await audit.head(db)))
    await superuser.execute("delete from audit.audit_entry where seq > 3")
    assert await checked(pool) == ["the log ends with entry 3, and its end was noted as entry 5 with another hash"]
    await superuser.execute(
        "update audit.head h set seq = e.seq, hash = e.hash from audit.audit_entry e where e.seq = 3"
    )
    assert await checked(pool) == [], "the chain alone cannot know"
    assert await checked(pool, noted) == ["entry 5, whose hash was noted, is missing"]
    await write(pool)
    assert await checked(pool, noted) == ["entry 5 is not the one whose hash was noted"]
    await superuser.execute("truncate audit.audit_entry")
    await superuser.execute("update audit.head set seq = 0, hash = $1", bytes(32))
    assert await checked(pool) == []
    assert await checked(pool, noted) == ["entry 5, whose hash was noted, is missing"]


async def test_a_whole_log_written_anew_shows_by_a_noted_head(pool, superuser):
    await write(pool)
    async with pool.acquire() as db:
        noted = await audit.head(db)
    await superuser.execute("truncate audit.audit_entry")
    await superuser.execute("update audit.head set seq = 0, hash = $1", bytes(32))
    await write(pool)
    assert await checked(pool) == []
    assert await checked(pool, noted) == ["entry 5 is not the one whose hash was noted"]


@pytest.mark.parametrize("text", ["", "5", "5:", "x:00", "5:zz", "5:00", "-1:" + "00" * 32])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ValueError, match="not a head"):
        Head.of(text)
