"""Sums that are kept, and what ended since, are what the tasks themselves say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from modellix_server import ledger, tasks
from modellix_server.base.database import Pool
from modellix_server.base.pages import Span
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import KeyLabel
from modellix_server.ledger import monitor
from modellix_server.tasks import UsageFilter
from modellix_server.tasks.usage_sums import quantile

OF = TeamMode(5, live=True)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEYS = {3: KeyLabel("three", "user:9", "app"), 4: KeyLabel("four", "key:4", None)}
AT = datetime(2026, 11, 14, tzinfo=UTC)
HOURS = timedelta(hours=1)
SPANS = [
    (None, None), (AT, None), (None, AT), (AT, AT), (AT + 7 * HOURS, None), (None, AT + 7 * HOURS),
    (AT + 7 * HOURS, AT + 9 * HOURS), (AT, AT + 7 * HOURS), (AT + 7 * HOURS, AT + 24 * HOURS),
    (AT + 7 * HOURS, AT + 90 * HOURS), (AT - 300_000 * HOURS, AT + 1 * HOURS), (AT + 10_000 * HOURS, None),
    (AT + 7.3 * HOURS, AT + 9.5 * HOURS), (AT + 7.2 * HOURS, AT + 7.9 * HOURS), (AT + 7.5 * HOURS, None),
    (None, AT + 0.5 * HOURS), (AT - 20.5 * HOURS, AT + 50.5 * HOURS), (AT + 40 * HOURS, AT + 142.5 * HOURS),
]  # fmt: skip


async def carry(pool: Pool) -> None:
    for _ in range(2):
        async with pool.acquire() as db, db.transaction():
            assert await monitor.begin(db)
            await monitor.carry(db, 1_000_000)


async def end_tasks(
    pool: Pool, owner, dice: random.Random, times: Iterator[datetime], count: int, team: int = 5
) -> None:
    """Tasks that have ended, with their transfers, as they are after the fact."""
    for _ in range(count):
        ended = next(times)
        took = timedelta(milliseconds=dice.choice([50, 900, 4_000, 70_000]))
        good = dice.random() < 0.8
        await owner.execute(
            """with made as (
                   insert into tasks.task (id, team_id, live, model, key_id, actor, state, params, price, quote,
                       captured, created_at, finished_at, due_at, deadline_at, error_code, error_message)
                   select given, $1, true, $2, $3, $4, $5, '{}', '{}', 100, $6,
                       $7::timestamptz - $8::interval, $7, now(), now(),
                       case when $5 = 'failed' then 'x' end, case when $5 = 'failed' then 'x' end
                   from gen_random_uuid() given returning id)
               insert into ledger.transfer (at, team_id, live, kind, debit, credit, amount, task_id, closes)
               select $7, $1, true, kind, debit, credit, amount, id, closes from made, (values
                   ('hold', 'team', 'held', 100, false), ('capture', 'held', 'revenue', 100, true)) t
                   (kind, debit, credit, amount, closes)""",
            *(team, dice.choice(["a/one", "b/two"]), *dice.choice([(3, None), (4, None), (None, "user:9")])),
            *("succeeded" if good else "failed", 100 if good else None, ended, took),
        )


async def check_groups_and_bound(pool: Pool) -> None:
    async with pool.acquire() as db, db.transaction(isolation="repeatable_read"):
        sums = (await tasks.usage_sums(db, OF, UsageFilter(), ("key", "member", "tag"), KEYS)).by
        assert set(sums["member"].groups) == {"key:4", "user:9"}
        assert set(sums["key"].groups) == {"3", "4", ""}
        assert set(sums["tag"].groups) == {"app", ""}
        assert sums["tag"].groups["app"].charged == sums["key"].groups["3"].charged
        tagged = (await tasks.usage_sums(db, OF, UsageFilter(tag="app"), ("model",), KEYS)).by["model"].total
        assert tagged == sums["tag"].groups["app"]
        assert (await tasks.usage_sums(db, OF, UsageFilter(tag="none"), ("model",), KEYS)).by["model"].total.tasks == 0
        late = await tasks.usage_sums(db, OF, UsageFilter(), ("model",), KEYS, most_new=59)
        whole = await tasks.usage_sums(db, OF, UsageFilter(), ("model",), KEYS, most_new=60)
    assert (late.behind, whole.behind) == (True, False)
    assert late.by["model"].total.tasks == 120, "what is not kept yet is left out as a whole"
    assert whole.by["model"].total.tasks == 180
    assert late.as_of is not None
    assert whole.as_of is not None
    assert late.as_of <= whole.as_of


async def check_parts_of_days(pool: Pool) -> None:
    for since, until in SPANS:
        wanted = UsageFilter.of_span(Span(since, until), datetime.now(UTC))
        async with pool.acquire() as db, db.transaction(isolation="repeatable_read"):
            got = (await tasks.usage_sums(db, OF, wanted, ("day",), KEYS)).by["day"]
        rows = await pool.fetch(
            """select finished_at::date::text as day, count(*) as ended, coalesce(sum(captured), 0) as charged
               from tasks.task where team_id = 5 and ($1::timestamptz is null or finished_at >= $1)
                   and ($2::timestamptz is null or finished_at < $2) group by 1""",
            *(since, until),
        )
        assert {day: (one.tasks, one.charged) for day, one in got.groups.items()} == {
            row["day"]: (row["ended"], row["charged"]) for row in rows
        }, (since, until)


async def test_kept_and_new_make_the_whole(pool: Pool, database) -> None:
    from modellix_server.base.database import connect

    owner = await connect(database.superuser_dsn, name="tests")
    await owner.execute("set session_replication_role = replica")
    dice = random.Random(63)
    times = (NOW - 200 * HOURS + timedelta(minutes=number * 61 + number % 7) for number in range(1000))
    await pool.execute("select ledger.open_team(5), ledger.open_team(6)")
    for round_ in range(3):
        await end_tasks(pool, owner, dice, times, 60)
        await end_tasks(pool, owner, dice, times, 5, team=6)
        if round_ < 2:
            await carry(pool)
            assert await tasks.add_usage(pool, 50) == 50
            while await tasks.add_usage(pool, 50):
                pass
    assert await tasks.add_usage(pool, 50) == 0, "what may still change is left for later"
    span = UsageFilter(NOW.date() - timedelta(days=5), NOW.date() - timedelta(days=1))
    for by, group in (("day", "finished_at::date::text"), ("model", "model"), ("key", "coalesce(key_id::text, '')")):
        for wanted in (UsageFilter(), span, UsageFilter(model="a/one"), UsageFilter(key_id=3)):
            async with pool.acquire() as db, db.transaction(isolation="repeatable_read"):
                sums = (await tasks.usage_sums(db, OF, wanted, ("member", by, "tag"), KEYS)).by
                found = sums[by].groups
                total = sums[by].total
                assert sums["member"].total == sums["tag"].total == total
            rows = await pool.fetch(
                f"""select {group} as name, count(*) filter (where state = 'succeeded') as good,
                        count(*) filter (where state <> 'succeeded') as bad, coalesce(sum(captured), 0) as charged
                    from tasks.task where team_id = 5 and ($1::date is null or finished_at::date >= $1)
                        and ($2::date is null or finished_at::date <= $2) and ($3::text is null or model = $3)
                        and ($4::bigint is null or key_id = $4) group by 1""",
                *(wanted.first, wanted.last, wanted.model, wanted.key_id),
            )
            assert {name: (one.succeeded, one.failed, one.charged) for name, one in found.items()} == {
                row["name"]: (row["good"], row["bad"], row["charged"]) for row in rows
            }
            assert total.tasks == sum(row["good"] + row["bad"] for row in rows)
            exact = await pool.fetchrow(
                """select percentile_disc(0.5) within group (order by ms) as p50,
                        percentile_disc(0.95) within group (order by ms) as p95
                    from (select extract(epoch from finished_at - created_at)::float8 * 1000 as ms from tasks.task
                          where team_id = 5 and state = 'succeeded' and ($1::date is null or finished_at::date >= $1)
                            and ($2::date is null or finished_at::date <= $2) and ($3::text is null or model = $3)
                            and ($4::bigint is null or key_id = $4)) t""",
                *(wanted.first, wanted.last, wanted.model, wanted.key_id),
            )
            for said, true in ((total.p50_ms, exact["p50"]), (total.p95_ms, exact["p95"])):
                assert said == pytest.approx(true, rel=0.2)
    await check_groups_and_bound(pool)
    await check_parts_of_days(pool)
    await owner.close()
    assert await ledger.balance(pool, 5, live=True)


def test_quantiles() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({0: 0}, 0.5) is None
    assert quantile({10: 1}, 0.5) == pytest.approx(1.2**10.5)
    assert quantile({0: 99, 50: 1}, 0.95) == pytest.approx(1.2 ** (0.95 * 100 / 99), rel=0.01)
    assert quantile({0: 1, 50: 99}, 0.5) > 1.2**50
