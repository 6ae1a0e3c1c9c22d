"""The balance after any transfer is the sum up to it, from whichever anchor it is computed."""

from __future__ import annotations

import random
from uuid import uuid4

from modellix_server import ledger
from modellix_server.base.database import Pool
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger import monitor

TEAM = TeamMode(7, live=True)


async def carry(pool: Pool) -> None:
    async with pool.acquire() as db, db.transaction():
        assert await monitor.begin(db)
        await monitor.carry(db, 1_000_000)


async def test_a_long_history(pool: Pool) -> None:
    for team in (7, 8):
        await pool.execute("select ledger.open_team($1)", team)
    dice = random.Random(61)
    await ledger.credit(pool, 7, 10_000, live=True, actor="tests", note=None)
    for number in range(5):
        tasks = [uuid4() for _ in range(450)]
        amounts = [dice.randint(1, 3) for _ in tasks]
        none = [None] * len(tasks)
        await pool.execute(
            "select ledger.hold($1, $2, $3, $4, $5, $6, $2)", [7] * 450, [True] * 450, amounts, tasks, none, none
        )
        await pool.execute(
            "select ledger.settle($1, $2)", tasks[:300], [dice.choice([0, one]) for one in amounts[:300]]
        )
        await ledger.credit(pool, 8, 5, live=True, actor="tests", note=None)
        if number < 4:
            await carry(pool)
    await carry(pool)
    anchors = await pool.fetch("select team_id, id from ledger.anchor")
    assert len(anchors) == 3
    truth, posted, held = {}, 0, 0
    for row in await pool.fetch("select * from ledger.effect where team_id = 7 order by id"):
        posted, held = posted + row["posted"], held + row["held"]
        truth[row["id"]] = ledger.Balance(int(posted), int(held))
    async with pool.acquire() as db:
        assert await ledger.balances_after(db, TEAM, list(truth)) == truth
    now = await ledger.balance(pool, 7, live=True)
    assert truth[max(truth)] == now
    async with pool.acquire() as db, db.transaction():
        await monitor.begin(db)
        await monitor.restate(db, 7, live=True)
        assert await ledger.balances_after(db, TEAM, list(truth)[::500]) == {
            one: truth[one] for one in list(truth)[::500]
        }
