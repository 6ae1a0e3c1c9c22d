"""All SQL of budgets outside their functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, OutOfRange
from modellix_server.base.ids import first_uuid7
from modellix_server.base.money import usd
from modellix_server.base.team_mode import TeamMode

PERIODS = ("none", "daily", "weekly", "monthly")
"""How often a budget starts again: never, or every UTC day, week (from Monday) or month."""

_MOST_MICROS = 10**15
_AT_ONCE = 2000
_ADJECTIVE = {"none": "in total", "daily": "per day", "weekly": "per week", "monthly": "per month"}
_USE = """
    select b.team_id, b.live, b.key_id, b.amount, b.period, coalesce(u.held, 0) as held, coalesce(u.used, 0) as used,
        budgets.period_end(b.period, budgets.period_start(b.period, now())) as resets_at,
        b.id, u.refused_amount
    from budgets.budget b left join budgets.use u
        on u.budget_id = b.id and u.starts = budgets.period_start(b.period, now())
    where b.ended_at is null and """


@dataclass(frozen=True, slots=True)
class BudgetLimit:
    """What may be spent in a period; `amount` in micro-dollars."""

    amount: int
    period: str = "none"

    def check(self) -> None:
        """Raises InvalidParameters for an unknown period, OutOfRange for an amount that cannot be."""
        if self.period not in PERIODS:
            raise InvalidParameters(f"a budget's reset is one of {', '.join(PERIODS)}, got {self.period!r}")
        if not 0 <= self.amount <= _MOST_MICROS:
            raise OutOfRange(f"a budget must be between 0 and {usd(_MOST_MICROS)} USD")


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget in force, and its use in the current period, in micro-dollars."""

    team_id: int
    live: bool
    key_id: int | None
    """None: of all keys of the team together."""
    amount: int
    period: str
    held: int
    """By unfinished tasks."""
    used: int
    resets_at: datetime | None
    """None: never."""
    id: int
    refused_amount: int | None
    """Its amount when a task did not fit in this period; None: each did."""

    @property
    def taken(self) -> int:
        """What counts against the amount: charged, and held by unfinished tasks."""
        return self.held + self.used

    @property
    def share(self) -> float:
        """How much of it is taken, from 0 to 1."""
        return min(self.taken / self.amount, 1.0) if self.amount else 1.0

    @property
    def left(self) -> int:
        """What a new task may hold; negative after the amount was lowered below the use."""
        return self.amount - self.taken

    def refusal(self, owner: str) -> str:
        """Why a task does not fit, in words; `owner` is whose budget it is: `this API key`, `the team`."""
        when = f"it resets on {self.resets_at:%Y-%m-%d} at 00:00 UTC" if self.resets_at else "it does not reset"
        amount = f"{usd(self.amount)} USD {_ADJECTIVE[self.period]}"
        left = usd(max(self.left, 0))
        return f"insufficient budget of {owner} ({amount}): {left} USD left; {when}"


@dataclass(frozen=True, slots=True)
class ReachedBudget:
    """A budget that is to be told of: how much of it, in percent, is used. Money in micro-dollars."""

    budget_id: int
    team_id: int
    live: bool
    key_id: int | None
    amount: int
    period: str
    held: int
    used: int
    resets_at: datetime | None
    percent: int


async def put(db: Connection, of: TeamMode, key_id: int | None, limit: BudgetLimit | None) -> None:
    """Set, change or (None) end the budget of a key, or of the team in a mode where `key_id` is None.

    Raises InvalidParameters, OutOfRange.
    """
    if limit is not None:
        limit.check()
    amount, period = (limit.amount, limit.period) if limit else (None, None)
    await db.execute("select budgets.put($1, $2, $3, $4, $5)", of.team_id, of.live, key_id, amount, period)


async def of_keys(db: Pool | Connection, key_ids: Sequence[int]) -> dict[int, Budget]:
    """The budgets in force of these keys, by key."""
    rows = await db.fetch(_USE + "b.key_id = any ($1::bigint[])", key_ids)
    return {row["key_id"]: Budget(*row) for row in rows}


async def of_teams(db: Pool | Connection, team_ids: Sequence[int]) -> dict[tuple[int, bool], Budget]:
    """The budgets in force of these teams as a whole, by team and mode (True: live)."""
    rows = await db.fetch(_USE + "b.key_id is null and b.team_id = any ($1::bigint[])", team_ids)
    return {(row["team_id"], row["live"]): Budget(*row) for row in rows}


async def note_refusal(db: Pool, budget: Budget) -> None:
    """Note that a task did not fit, which is told as 100 %; of many refusals in a period the first writes."""
    if budget.refused_amount != budget.amount:
        await db.execute("select budgets.note_refusal($1)", budget.id)


async def take_reached(tx: Connection, percents: Sequence[int]) -> list[ReachedBudget]:
    """Budgets that have reached one of some percents: told when this transaction, which must tell of them, commits."""
    return [ReachedBudget(*row) for row in await tx.fetch("select * from budgets.take_reached($1)", percents)]


async def forget_old(db: Pool, age_s: float) -> int:
    """Drop charges of ended tasks and sums of periods that are older; returns how many charges."""
    since, dropped = datetime.now(UTC) - timedelta(seconds=age_s), 0
    for row in await db.fetch("select distinct team_id, live from budgets.budget order by team_id, live"):
        of = row["team_id"], row["live"]
        dropped += await db.fetchval(
            "select budgets.forget($1, $2, $3, $4, $5)", *of, first_uuid7(since), since, _AT_ONCE
        )
    return dropped


async def differences(db: Connection) -> list[str]:
    """Every budget whose use is not the sum of its charges, in words. Reads every charge."""
    return [
        f"budget {row['budget_id']} of team {row['team_id']}: its use says held {row['held']} and used {row['used']}, "
        f"its charges say {row['held_by_charges']} and {row['used_by_charges']}"
        for row in await db.fetch("select * from budgets.differences(false)")
    ]
