"""Searching inputs: with blocks and without, found is what matches and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.support.postgres_server import Database

from modellix_server.base.database import Connection, Pool, browsing, connect
from modellix_server.base.ids import first_uuid7
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks import TaskFilter, add_block, list_tasks, redact_inputs, search, to_index
from modellix_server.tasks.search_words import matches, terms_of, words_of

COUNT = 1_000
WORDS = (
    *("lighthouse", "kite", "Kitesurfer", "red", "wheat", "dusk", "Éclair", "Привет", "мир", "calm"),
    *("灯塔黄昏", "黄昏的海", "猫", "海猫", "ネコ", "100mm"),
)
QUERIES = (
    *(
        "lighthouse",
        "LIGHT",
        "house",
        "kite red",
        "éclair",
        "привет",
        "灯塔",
        "黄昏",
        "猫",
        "海猫 kite",
        "ネコ",
        "100mm",
    ),
    *("nothing-of-it", "needle", "kite lighthouse wheat dusk", "prompt", "example"),
)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    db = await connect(database.owner_dsn, name="tests")
    yield db
    await db.close()


async def seed(owner: Connection, of: TeamMode, count: int = COUNT) -> dict[UUID, str]:
    """Ended tasks of the last days, the newest last."""
    chance = random.Random(11)
    start = datetime.now(UTC) - timedelta(days=3)
    made = {}
    for number in range(count):
        words = [chance.choice(WORDS) for _ in range(chance.randint(1, 5))]
        body = {"prompt": " ".join(words), "n": 1, "image": "https://example.com/a.png"}
        if number == 77:
            body["negative_prompt"] = 'no "needle"\nhere'
        made[first_uuid7(start + timedelta(minutes=number))] = json.dumps(body, ensure_ascii=False)
    await owner.executemany(
        """insert into tasks.task (id, team_id, live, actor, model, params, price, quote, state, deadline_at,
               finished_at, captured)
           values ($1, $2, $3, 'user:1', 'alibaba/m', $4, '{}', 0, 'succeeded', now(), now(), 0)""",
        [(one, of.team_id, of.live, params) for one, params in made.items()],
    )
    return made


async def find(pool: Pool, of: TeamMode, text: str, most: int = 40) -> list[UUID]:
    """All pages of a search."""
    found: list[UUID] = []
    after = None
    while True:
        async with browsing(pool) as db:
            page = await list_tasks(db, of, TaskFilter(text=text), after=after, most=most)
        found += [task.id for task in page.rows]
        assert len(page.rows) <= most
        if page.next is None:
            return found
        assert after is None or page.next < after
        after = page.next


async def index(pool: Pool) -> int:
    blocks = 0
    while True:
        async with pool.acquire() as db:
            owners = await to_index(db, 10)
        if not owners:
            return blocks
        for one in owners:
            async with pool.acquire() as db, db.transaction():
                assert await add_block(db, one) > 0
                blocks += 1


async def test_a_search_finds_what_matches_before_and_after_indexing(
    pool: Pool, owner: Connection, new_customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = TeamMode((await new_customer("a")).team_id, live=True)
    foreign = TeamMode((await new_customer("b")).team_id, live=True)
    made = await seed(owner, of)
    await seed(owner, foreign, 300)

    def expected(text: str) -> list[UUID]:
        terms = terms_of(text)
        return [one for one, params in reversed(made.items()) if terms and matches(params, terms)]

    assert len(expected("needle")) == 1
    assert expected("house") == [], "a word is found from its beginning"
    assert expected("example") == [], "links are no words"
    for text in QUERIES:
        assert await find(pool, of, text) == expected(text), text
    assert await index(pool) == COUNT // 256 + 1
    monkeypatch.setattr(search, "_MOST_LOOKED_AT", 60)
    monkeypatch.setattr(search, "_BATCHES", (1, 1))
    monkeypatch.setattr(search, "_MOST_OF_TAIL", 50)
    for text in QUERIES:
        assert await find(pool, of, text, most=7) == expected(text), text
    assert await find(pool, of, "!? …") == []


async def test_filters_go_with_a_search(pool: Pool, owner: Connection, new_customer) -> None:
    of = TeamMode((await new_customer()).team_id, live=True)
    await seed(owner, of, 300)
    await index(pool)
    async with browsing(pool) as db:
        for wanted, some in (
            (TaskFilter(text="kite", status="success"), True),
            (TaskFilter(text="kite", status="failed"), False),
            (TaskFilter(text="kite", models=["alibaba/m"]), True),
            (TaskFilter(text="kite", models=["alibaba/x"]), False),
            (TaskFilter(text="kite", key_id=1), False),
        ):
            page = await list_tasks(db, of, wanted, after=None, most=5)
            assert bool(page.rows) is some, wanted


async def test_what_is_redacted_is_found_no_more_and_leaves_no_word(
    pool: Pool, owner: Connection, new_customer
) -> None:
    of = TeamMode((await new_customer()).team_id, live=True)
    made = await seed(owner, of, 300)
    await index(pool)
    assert await find(pool, of, "needle")
    middle = datetime.now(UTC) - timedelta(days=3) + timedelta(minutes=100)
    async with pool.acquire() as db, db.transaction():
        assert await redact_inputs(db, of, middle, 500) == 101
    assert await find(pool, of, "needle") == []
    words = await owner.fetchval(
        "select tsvector_to_array(words) from tasks.search_block where team_id = $1", of.team_id
    )
    assert "needle" not in words
    assert "kite" in words, "later tasks stay"
    kept = list(made)[101:]
    assert set(await find(pool, of, "kite")) <= set(kept)
    async with pool.acquire() as db, db.transaction():
        await redact_inputs(db, of, datetime.now(UTC), 500)
    words = await owner.fetchval(
        "select tsvector_to_array(words) from tasks.search_block where team_id = $1", of.team_id
    )
    assert words == [f"team:{of.team_id}:live"]


def test_words_of_scripts_with_and_without_spaces() -> None:
    assert words_of(["A red-Kite, 灯塔黄昏!"]) == {"a", "red", "kite", "灯塔", "塔黄", "黄昏", "昏"}
    assert [term.query for term in terms_of("Red 灯塔黄 猫 it's")] == [
        *("'red':*", "'灯塔' & '塔黄'", "'猫':*", "'it':*", "'s':*")
    ]
    assert terms_of("' & ! | ( :* \\ \"") == []
    assert len(terms_of("a b c d e f g h i j k")) == 8
