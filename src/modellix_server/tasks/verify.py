"""Whether tasks and money agree: the checks that no single room can make alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

from modellix_server import budgets, ledger
from modellix_server.base.database import Connection
from modellix_server.base.money import usd

# Each query returns one line of text a violation (promises L6, L8, T14).
_CHECKS = (
    """select format('task %s is %s but its hold is %s', t.id, t.state,
           case when h.task_id is null then 'missing' when h.open then 'open' else 'ended' end)
       from tasks.task t left join ledger.holds() h on h.task_id = t.id
       where h.task_id is null or h.open <> (t.finished_at is null)""",
    """select format('hold of task %s has no task', h.task_id) from ledger.holds() h
       where not exists (select 1 from tasks.task t where t.id = h.task_id)""",
    """select format('task %s is %s, quoted %s, says it cost %s, captured %s',
           t.id, t.state, t.quote, t.captured, h.captured)
       from tasks.task t left join ledger.holds() h on h.task_id = t.id
       where coalesce(t.captured, 0) <> coalesce(h.captured, 0) or coalesce(h.captured, 0) > t.quote""",
    """select format('task %s: held %s, quoted %s', t.id, h.amount, t.quote)
       from tasks.task t join ledger.holds() h on h.task_id = t.id
       where h.amount <> t.quote or h.team_id <> t.team_id or h.live <> t.live or h.key_id is distinct from t.key_id""",
    """select format('team %s (%s): %s slots taken, %s unfinished tasks', s.team_id,
           case when s.live then 'live' else 'test' end, s.running, count(t.id))
       from tasks.slot s left join tasks.task t
           on t.team_id = s.team_id and t.live = s.live and t.finished_at is null and t.queue_no is null
       group by s.team_id, s.live, s.running having s.running <> count(t.id)""",
    """select format('team %s (%s): %s tasks wait for a slot, %s are counted', s.team_id,
           case when s.live then 'live' else 'test' end, count(t.id), s.waiting)
       from tasks.slot s left join tasks.task t
           on t.team_id = s.team_id and t.live = s.live and t.queue_no is not null
       group by s.team_id, s.live, s.waiting having s.waiting <> count(t.id)""",
    """select format('task %s waits for a slot and is %s', id, state) from tasks.task
       where queue_no is not null and state <> 'queued'""",
    """select format('budget %s: task %s counts %s and %s, its hold is %s, captured %s', c.budget_id, c.task_id,
           c.amount, coalesce(c.captured::text, 'is open'), h.amount, coalesce(h.captured::text, 'nothing'))
       from budgets.charges() c left join ledger.holds() h on h.task_id = c.task_id
       where h.task_id is null or h.amount <> c.amount or h.team_id <> c.team_id or h.live <> c.live
           or (c.key_id is not null and h.key_id is distinct from c.key_id) or h.open <> (c.captured is null)
           or (not h.open and coalesce(h.captured, 0) <> c.captured)""",
)


# What is set aside is what unfinished tasks may cost. Reads those alone, by their index.
_HOLDS_DIFFER = """
    select coalesce(b.team_id, t.team_id) as team_id, coalesce(b.live, t.live) as live,
        coalesce(b.held, 0) as held, coalesce(t.quotes, 0)::bigint as quotes
    from ledger.held() b full join (
        select team_id, live, sum(quote) as quotes from tasks.task where finished_at is null group by team_id, live
    ) t using (team_id, live)
    where coalesce(b.held, 0) <> coalesce(t.quotes, 0)
"""
_BUDGETS_DIFFER = "select * from budgets.differences(true)"


async def look(db: Connection) -> list[ledger.Finding]:
    """What does not add up between money and tasks, as far as that can be said often and at little cost."""
    found = [
        ledger.Finding(
            row["team_id"],
            row["live"],
            f"{usd(row['held'])} USD are held, the unfinished tasks are quoted {usd(row['quotes'])}",
        )
        for row in await db.fetch(_HOLDS_DIFFER)
    ]
    return found + [
        ledger.Finding(
            row["team_id"],
            row["live"],
            f"budget {row['budget_id']} says {usd(row['held'])} USD held, its tasks say {usd(row['held_by_charges'])}",
        )
        for row in await db.fetch(_BUDGETS_DIFFER)
    ]


async def end_stray_holds(db: Connection, team_id: int, *, live: bool) -> int:
    """End an account's holds that no unfinished task has, and tell how many; the caller has locked its balance.

    Taken is what the task says it has cost, within its hold; everything else goes back.
    """
    rows = await db.fetch(
        """select h.task_id, least(coalesce(t.captured, 0), h.amount) as cost
           from ledger.holds() h left join tasks.task t on t.id = h.task_id
           where h.team_id = $1 and h.live = $2 and h.open and (t.id is null or t.finished_at is not null)""",
        team_id,
        live,
    )
    ended = [row["task_id"] for row in rows], [row["cost"] for row in rows]
    await db.execute("select ledger.settle($1, $2)", *ended)
    await db.execute("select budgets.settle($1, $2)", *ended)
    await db.execute("select budgets.rebuild($1, $2)", team_id, live)
    return len(rows)


CHECKS = ledger.CHECKS + 1 + len(_CHECKS)
"""How many `checks` there are."""


async def checks(db: Connection) -> AsyncIterator[list[str]]:
    """What does not add up, in words, one of CHECKS after another. `db` must read one snapshot."""
    async for found in ledger.checks(db):
        yield found
    yield await budgets.differences(db)
    for check in _CHECKS:
        yield [row[0] for row in await db.fetch(check)]


async def verify(db: Connection) -> list[str]:
    """Everything that does not add up, in words, as of one snapshot; empty when all is well."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        return [finding async for found in checks(db) for finding in found]
