"""The ledger as a state machine: Hypothesis looks for a history after which it differs from a small model of itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from modellix_server import ledger
from modellix_server.base.database import Pool, connect
from modellix_server.ledger import Balance, InsufficientBalance

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES") or 15)
TEAMS = (1, 2)
AMOUNTS = st.integers(0, 3000) | st.sampled_from([1, 999, 1000, 1001])
SHARES = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)
"""How much of a hold is captured."""
Ask = Callable[[Awaitable[Any]], Any]


class Books(RuleBasedStateMachine):
    """Two accounts; `posted` and `holds` are what a reader of the promises would expect of them."""

    pool: Pool
    ask: Ask
    """Runs a coroutine on the test's own event loop."""

    opened = Bundle("opened")
    ended = Bundle("ended")

    @initialize()
    def open(self) -> None:
        self.posted = dict.fromkeys(TEAMS, 0)
        self.holds: dict[UUID, tuple[int, int]] = {}
        self.ask(self.pool.execute("select tests_empty_the_ledger()"))

    def available(self, team: int) -> int:
        return self.posted[team] - sum(amount for of, amount in self.holds.values() if of == team)

    def credit(self, team: int, micros: int) -> None:
        self.ask(ledger.credit(self.pool, team, micros, live=True, actor="tests", note=None))

    def refused(self, error: type[Exception], action: Awaitable[Any]) -> None:
        try:
            self.ask(action)
        except error:
            return
        raise AssertionError(f"{error.__name__} was due")

    def settle(self, ends: list[tuple[UUID, int]]) -> Awaitable[Any]:
        tasks, captures = [task for task, _ in ends], [capture for _, capture in ends]
        return self.pool.execute("select ledger.settle($1, $2)", tasks, captures)

    @rule(team=st.sampled_from(TEAMS), micros=AMOUNTS.filter(bool))
    def top_up(self, team: int, micros: int) -> None:
        self.credit(team, micros)
        self.posted[team] += micros

    @rule(team=st.sampled_from(TEAMS), micros=AMOUNTS.filter(bool))
    def correct(self, team: int, micros: int) -> None:
        if micros <= self.available(team):
            self.credit(team, -micros)
            self.posted[team] -= micros
        else:
            correction = ledger.credit(self.pool, team, -micros, live=True, actor="tests", note=None)
            self.refused(InsufficientBalance, correction)

    @rule(target=opened, team=st.sampled_from(TEAMS), amounts=st.lists(AMOUNTS, min_size=1, max_size=3))
    def hold(self, team: int, amounts: list[int]) -> UUID:
        """One call for several tasks: all of them or none."""
        tasks = [uuid4() for _ in amounts]
        call = self.pool.execute(
            "select ledger.hold($1, $2, $3, $4, $5, array[null]::text[], $2)",
            [team] * len(tasks), [True] * len(tasks), amounts, tasks, [1] * len(tasks),
        )  # fmt: skip
        if sum(amounts) <= self.available(team):
            self.ask(call)
            self.holds |= {task: (team, amount) for task, amount in zip(tasks, amounts, strict=True)}
        else:
            self.refused(asyncpg.CheckViolationError, call)
        return tasks[0]

    @rule(target=ended, task=consumes(opened), share=SHARES)
    def end(self, task: UUID, share: float) -> UUID:
        if task not in self.holds:  # it did not fit
            self.refused(asyncpg.PostgresError, self.settle([(task, 0)]))
            return task
        team, amount = self.holds[task]
        capture = round(amount * share)
        self.ask(self.settle([(task, capture)]))
        self.posted[team] -= capture
        del self.holds[task]
        return task

    @rule(task=ended, capture=AMOUNTS)
    def end_again(self, task: UUID, capture: int) -> None:
        self.refused(asyncpg.PostgresError, self.settle([(task, capture)]))

    @rule(task=opened, more=st.integers(1, 10**12))
    def capture_too_much(self, task: UUID, more: int) -> None:
        if task in self.holds:
            self.refused(asyncpg.PostgresError, self.settle([(task, self.holds[task][1] + more)]))

    @rule(good=opened, bad=ended)
    def end_a_good_one_and_an_ended_one(self, good: UUID, bad: UUID) -> None:
        if good in self.holds:
            self.refused(asyncpg.PostgresError, self.settle([(good, 0), (bad, 0)]))

    @rule(task=opened)
    def two_end_it_at_once(self, task: UUID) -> None:
        if task not in self.holds:
            return
        team, amount = self.holds.pop(task)

        async def race() -> list[Any]:
            return await asyncio.gather(*(self.settle([(task, amount)]) for _ in "12"), return_exceptions=True)

        said = self.ask(race())
        assert sum(isinstance(one, asyncpg.PostgresError) for one in said) == 1, said
        self.posted[team] -= amount

    @invariant()
    def balances_are_the_model_s(self) -> None:
        if hasattr(self, "holds"):
            for team in TEAMS:
                held = self.posted[team] - self.available(team)
                assert self.ask(ledger.balance(self.pool, team, live=True)) == Balance(self.posted[team], held)

    def teardown(self) -> None:
        async def audit() -> list[str]:
            async with self.pool.acquire() as db, db.transaction(isolation="repeatable_read", readonly=True):
                return await ledger.audit(db)

        assert self.ask(audit()) == []


async def test_the_ledger_is_its_model(pool: Pool, database) -> None:
    owner = await connect(database.superuser_dsn, name="tests")
    await owner.execute(
        """create function tests_empty_the_ledger() returns void language sql security definer as $$
               truncate ledger.transfer, ledger.balance;
               select ledger.open_team(1);
               select ledger.open_team(2) $$;
           grant execute on function tests_empty_the_ledger() to modellix_app"""
    )
    await owner.close()
    loop = asyncio.get_running_loop()

    class OfThisTest(Books):
        pass

    OfThisTest.pool = pool
    OfThisTest.ask = staticmethod(lambda action: asyncio.run_coroutine_threadsafe(awaited(action), loop).result(30))
    how = settings(
        max_examples=EXAMPLES, stateful_step_count=30, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    await asyncio.to_thread(run_state_machine_as_test, OfThisTest, settings=how)


async def awaited(action: Awaitable[Any]) -> Any:
    return await action
