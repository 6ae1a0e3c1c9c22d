"""Searching the inputs of tasks.

Blocks of consecutive tasks that may hold a match are found by their words in an index; their tasks, and those that are
in no block yet, are then read and looked at. A search looks at so many rows a page and no more: a page may be short, or
empty, and yet not be the last.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from modellix_server.base.database import Connection, Row
from modellix_server.base.ids import first_uuid7
from modellix_server.base.pages import Page, Where
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks import listing
from modellix_server.tasks.listing import ListedTask, TaskFilter
from modellix_server.tasks.search_words import MOST_CHARACTERS, Term, matches, owner_word, terms_of, texts_of, words_of

_A_BLOCK = 256
_BATCHES = (4, 12, 24)  # blocks read at once: the first match is usually near
_MOST_OF_TAIL = 10_000
_MOST_LOOKED_AT = 2_000  # rows that are decoded here: about 20 ms
_AT_ONCE = 250
_COMMIT_LAG = timedelta(minutes=2)  # a task's id is made before the transaction that accepts it
_HALVES = ("finished_at is null", "finished_at is not null")  # each has indexes of its own
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


async def list_tasks(
    db: Connection, owner: TeamMode, wanted: TaskFilter, *, after: UUID | None, most: int
) -> Page[ListedTask, UUID]:
    """Up to `most` tasks, the latest first; those older than `after` when it is given.

    With a text to search for, a page may end early, and tells where to go on.
    """
    if wanted.text is None:
        return await listing.list_tasks(db, owner, wanted, after=after, most=most)
    terms = terms_of(wanted.text)
    return await _Search(db, owner, wanted, terms, most).page(after or _LAST) if terms else Page([], None)


class _Search:
    """One page of a search."""

    def __init__(self, db: Connection, owner: TeamMode, wanted: TaskFilter, terms: list[Term], most: int) -> None:
        self._db = db
        self._owner = owner
        self._wanted = replace(wanted, models=None)
        self._models = wanted.models
        self._terms = terms
        self._most = most
        self._left = _MOST_LOOKED_AT
        self._found: list[Row] = []

    async def page(self, below: UUID) -> Page[ListedTask, UUID]:
        """The matches below an id, and the id below which the search goes on."""
        following = await self._look(below)
        rows = self._found[: self._most]
        return Page(await listing.with_results(self._db, rows), following)

    async def _look(self, below: UUID) -> UUID | None:
        """Look through tail and blocks; returns where the next page begins, None at the end."""
        tail = await self._db.fetchval(
            "select last from tasks.search_block where team_id = $1 and live = $2 order by first desc limit 1",
            self._owner.team_id,
            self._owner.live,
        )
        low = tail or _FIRST
        if below > low:
            far = await self._far_in_tail(low, below)
            stopped = await self._range([low if far is None else _before(far)], [below])
            if stopped is not None or far is not None:
                return stopped or far
        blocks = await self._blocks(below)
        place = 0
        for size in _BATCHES:
            batch = blocks[place : place + size]
            place += size
            if not batch:
                return None
            # Exclusive bounds: of a block one below its first, and the next page's bound within it.
            firsts, lasts = [_before(row[0]) for row in batch], [min(_next(row[1]), below) for row in batch]
            stopped = await self._range(firsts, lasts)
            if stopped is not None:
                return stopped
        return None if place >= len(blocks) else blocks[place - 1][0]

    async def _far_in_tail(self, above: UUID, below: UUID) -> UUID | None:
        """The last task of a tail that is too long for one page; None when it is not."""
        halves = " union all ".join(
            f"(select id from tasks.task where team_id = $1 and live = $2 and {half} and id > $3 and id < $4"  # noqa: S608
            " order by id desc limit $5)"
            for half in _HALVES
        )
        found: UUID | None = await self._db.fetchval(
            f"select id from ({halves}) as tail order by id desc offset $5 - 1 limit 1",  # noqa: S608 - texts of ours
            self._owner.team_id,
            self._owner.live,
            above,
            below,
            _MOST_OF_TAIL,
        )
        return found

    async def _blocks(self, below: UUID) -> list[Row]:
        """The blocks that may hold a match, the latest first; one more than is looked at."""
        query = " & ".join([f"'{owner_word(self._owner)}'", *(term.query for term in self._terms)])
        where = Where([])
        where.add("words @@ {}::text::tsquery", query)
        where.add("first < {}", below)
        if self._wanted.submitted.since is not None:
            where.add("last >= {}", first_uuid7(self._wanted.submitted.since))
        if self._wanted.submitted.until is not None:
            where.add("first < {}", first_uuid7(self._wanted.submitted.until))
        rows: list[Row] = await self._db.fetch(
            f"""with found as materialized (select first, last from tasks.search_block where {where})
                select first, last from found order by first desc limit {sum(_BATCHES) + 1}""",  # noqa: S608
            *where.arguments,
        )
        return rows

    async def _range(self, above: list[UUID], below: list[UUID]) -> UUID | None:
        """Look through ranges of ids, the latest first. Returns where it stopped: page full, or enough looked at."""
        bound = _LAST
        while True:
            where = listing.conditions(self._owner, self._wanted)
            where.add_given("t.model = any ({})", self._models)
            where.add("t.id < {}", bound)
            for term in self._terms:
                if term.plain:
                    where.add("t.params ilike {}", f"%{term.text}%")
            rows = await listing.rows_in(self._db, self._wanted, where, above, below, _AT_ONCE)
            for row in rows:
                self._left -= 1
                if matches(row["params"], self._terms):
                    self._found.append(row)
                    if len(self._found) >= self._most:
                        return _id(row)
            if len(rows) < _AT_ONCE:
                return None
            bound = _id(rows[-1])
            if self._left <= 0:
                return bound


def _id(row: Row) -> UUID:
    """The id of a row, below which a search goes on."""
    found: UUID = row["id"]
    return found


async def to_index(db: Connection, most: int) -> list[TeamMode]:
    """Teams with a block's worth of tasks that are in none."""
    rows = await db.fetch(
        """select s.team_id, s.live from tasks.slot s
           cross join lateral (select coalesce((select b.last from tasks.search_block b
               where b.team_id = s.team_id and b.live = s.live order by b.first desc limit 1), $3) as last) as done
           where exists (select from tasks.task t where t.team_id = s.team_id and t.live = s.live
               and t.finished_at is not null and t.id > done.last and t.id < $2 order by t.id offset $4)
           limit $1""",
        most,
        _until(),
        _FIRST,
        _A_BLOCK - 1,
    )
    return [TeamMode(*row) for row in rows]


async def add_block(tx: Connection, owner: TeamMode) -> int:
    """Put the next tasks of a team into a block; returns how many, 0 when there are too few yet."""
    await lock_words(tx, owner)
    done = await tx.fetchval(
        "select last from tasks.search_block where team_id = $1 and live = $2 order by first desc limit 1",
        owner.team_id,
        owner.live,
    )
    halves = " union all ".join(
        f"(select id, params from tasks.task where team_id = $1 and live = $2 and {half} and id > $3 and id < $4"  # noqa: S608
        " order by id limit $5)"
        for half in _HALVES
    )
    rows = await tx.fetch(
        f"select id, params from ({halves}) as following order by id limit $5",  # noqa: S608 - texts of ours
        owner.team_id,
        owner.live,
        done or _FIRST,
        _until(),
        _A_BLOCK,
    )
    if len(rows) < _A_BLOCK:
        return 0
    taken, characters = 0, 0
    for row in rows:
        characters += len(row["params"])
        if taken and characters > MOST_CHARACTERS:
            break
        taken += 1
    await tx.execute(
        """insert into tasks.search_block (team_id, live, first, last, words)
           values ($1, $2, $3, $4, array_to_tsvector($5::text[]))""",
        owner.team_id,
        owner.live,
        rows[0]["id"],
        rows[taken - 1]["id"],
        _words(owner, rows[:taken]),
    )
    return taken


async def words_anew(tx: Connection, owner: TeamMode, changed: list[UUID]) -> None:
    """Make the words of the blocks anew that hold tasks whose inputs have changed in this transaction."""
    if not changed:
        return
    blocks = await tx.fetch(
        """select first, last from tasks.search_block b where team_id = $1 and live = $2 and first <= $4 and last >= $3
               and exists (select from unnest($5::uuid[]) as id where id between b.first and b.last)""",
        owner.team_id,
        owner.live,
        min(changed),
        max(changed),
        changed,
    )
    for first, last in blocks:
        rows = await tx.fetch(
            """select id, params from tasks.task
               where team_id = $1 and live = $2 and finished_at is not null and id between $3 and $4
               union all select id, params from tasks.task
               where team_id = $1 and live = $2 and finished_at is null and id between $3 and $4""",
            owner.team_id,
            owner.live,
            first,
            last,
        )
        await tx.execute(
            """update tasks.search_block set words = array_to_tsvector($4::text[])
               where team_id = $1 and live = $2 and first = $3""",
            owner.team_id,
            owner.live,
            first,
            _words(owner, rows),
        )


async def lock_words(tx: Connection, owner: TeamMode) -> None:
    """Let nobody else read inputs into a block, or take them out of one, until this transaction ends."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"tasks.search {owner_word(owner)}")


def _words(owner: TeamMode, rows: list[Row]) -> list[str]:
    return [owner_word(owner), *words_of([text for row in rows for text in texts_of(row["params"])])]


def _until() -> UUID:
    return first_uuid7(datetime.now(UTC) - _COMMIT_LAG)


def _before(one: UUID) -> UUID:
    return UUID(int=max(one.int - 1, 0))


def _next(one: UUID) -> UUID:
    return UUID(int=min(one.int + 1, _LAST.int))
