"""Accepting: each submission alone, whatever shares its transaction."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import asyncpg
import pytest

from modellix_server import identity, ledger
from modellix_server.base.database import Pool
from modellix_server.base.errors import PlatformError, Unauthorized, Unavailable
from modellix_server.ledger import Balance, InsufficientBalance
from modellix_server.tasks.errors import ConcurrencyExceeded, IdempotencyMismatch
from modellix_server.tasks.submit import Accepted, Submissions, as_columns
from modellix_server.tasks.verify import verify


@pytest.fixture
def submissions(pool: Pool) -> Submissions:
    return Submissions(pool, asyncio.Event())


async def offer(submissions: Submissions, wishes) -> list[Accepted | BaseException]:
    return await asyncio.gather(*(submissions.accept(wish) for wish in wishes), return_exceptions=True)


async def clean(pool: Pool) -> None:
    async with pool.acquire() as db:
        assert await verify(db) == []


async def test_accepting_holds_the_quote_and_makes_the_task(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    wish = acme.wants(100)
    assert await submissions.accept(wish) == Accepted(wish.task_id)
    assert await ledger.balance(pool, acme.team_id, live=False) == Balance(1000, 100)
    assert await pool.fetchval("select state from tasks.task where id = $1", wish.task_id) == "queued"
    assert await pool.fetchval("select running from tasks.slot where team_id = $1 and not live", acme.team_id) == 1
    await clean(pool)


async def test_a_balance_for_ten_admits_exactly_ten(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer(micros=1000)
    answers = await offer(submissions, [acme.wants(100) for _ in range(40)])
    assert Counter(type(answer) for answer in answers) == {Accepted: 10, InsufficientBalance: 30}
    assert await ledger.balance(pool, acme.team_id, live=False) == Balance(1000, 1000)
    await clean(pool)


async def test_three_processes_and_a_balance_for_ten(database, new_customer: Callable, pool: Pool) -> None:
    acme = await new_customer(micros=1000)
    processes = [await asyncpg.create_pool(database.app_dsn, min_size=3, max_size=3) for _ in range(3)]
    apis = [Submissions(process, asyncio.Event()) for process in processes]
    answers = await asyncio.gather(*(apis[i % 3].accept(acme.wants(100)) for i in range(60)), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {Accepted: 10, InsufficientBalance: 50}
    await clean(pool)
    for process in processes:
        await process.close()


async def test_three_processes_and_slots_for_seven(database, new_customer: Callable, pool: Pool) -> None:
    processes = [await asyncpg.create_pool(database.app_dsn, min_size=3, max_size=3) for _ in range(3)]
    for round_no in range(5):
        acme = await new_customer(f"acme {round_no}", micros=100_000)
        apis = [Submissions(process, asyncio.Event()) for process in processes]
        wishes = (apis[i % 3].accept(acme.wants(10, slots=7)) for i in range(60))
        answers = await asyncio.gather(*wishes, return_exceptions=True)
        assert Counter(type(answer) for answer in answers) == {Accepted: 7, ConcurrencyExceeded: 53}
    await clean(pool)
    for process in processes:
        await process.close()


async def test_a_large_request_does_not_starve_its_smaller_neighbours(submissions, new_customer: Callable) -> None:
    acme = await new_customer(micros=1000)
    answers = await offer(submissions, [acme.wants(700), acme.wants(2000), acme.wants(600), acme.wants(300)])
    assert [type(answer) for answer in answers] == [Accepted, InsufficientBalance, InsufficientBalance, Accepted]


async def test_slots_are_exact_and_refused_after_money(submissions, new_customer: Callable) -> None:
    acme = await new_customer(micros=1000)
    answers = await offer(submissions, [acme.wants(10, slots=3) for _ in range(20)])
    assert Counter(type(answer) for answer in answers) == {Accepted: 3, ConcurrencyExceeded: 17}
    with pytest.raises(InsufficientBalance):
        await submissions.accept(acme.wants(5000, slots=3))


async def test_who_is_accepted_at_once_would_be_accepted_one_by_one(
    pool: Pool, submissions, new_customer: Callable
) -> None:
    """An idempotency key, which says nothing else here, has a batch judged one by one."""
    dice = random.Random(11)
    for round_no in range(40):
        funds = [dice.choice([0, 400, 4000]) for _ in range(2)]
        twins = [[await new_customer(f"{way}{n} {round_no}", micros) for n, micros in enumerate(funds)] for way in "ab"]
        few, spoilt = dice.choice([1, 3, 9]), dice.random() < 0.2
        for customers in twins:
            if round_no % 4 == 0:  # one waits, for the only slot there was
                await offer(submissions, [customers[0].wants(1, slots=0, wait=True)])
            if spoilt:
                await identity.revoke_key(pool, customers[1].key_id)
        batch = [
            (dice.randrange(2), dice.choice([1, 100, 300]), dice.random() < 0.3) for _ in range(dice.randint(1, 6))
        ]
        judged = []
        for customers, named in zip(twins, (False, True), strict=True):
            wishes = [
                customers[who].wants(quote, slots=few, wait=wait, key=str(n) if named else None)
                for n, (who, quote, wait) in enumerate(batch)
            ]
            judged.append(await pool.fetchval("select verdicts from tasks.accept($1)", as_columns(wishes)))
        assert judged[0] == judged[1], batch
    await clean(pool)


async def test_neighbours_in_a_batch_do_not_touch_each_other(pool: Pool, submissions, new_customer: Callable) -> None:
    rich, poor = await new_customer("rich", 10_000), await new_customer("poor", 0)
    revoked = rich.with_key(999_999)
    answers = await offer(submissions, [poor.wants(), rich.wants(), revoked.wants(), rich.wants(), poor.wants()])
    assert [type(answer) for answer in answers] == [
        InsufficientBalance, Accepted, Unauthorized, Accepted, InsufficientBalance,
    ]  # fmt: skip
    await clean(pool)


async def test_revocation_takes_effect_at_once(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    await submissions.accept(acme.wants())
    await identity.revoke_key(pool, acme.key_id)
    with pytest.raises(Unauthorized):
        await submissions.accept(acme.wants())


async def test_fifty_parallel_submits_with_one_key_make_one_task(pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    answers = await offer(submissions, [acme.wants(key="order-1") for _ in range(50)])
    assert len({answer.task_id for answer in answers}) == 1
    assert Counter(answer.replayed for answer in answers) == {True: 49, False: 1}
    assert await ledger.balance(pool, acme.team_id, live=False) == Balance(1000, 100)
    await clean(pool)


async def test_a_key_names_one_request_of_one_team(submissions, new_customer: Callable) -> None:
    acme, other = await new_customer(), await new_customer("other")
    first = await submissions.accept(acme.wants(key="k"))
    assert (await submissions.accept(acme.wants(key="k"))).task_id == first.task_id
    with pytest.raises(IdempotencyMismatch):
        await submissions.accept(acme.wants(key="k", body='{"other": 1}'))
    assert not (await submissions.accept(other.wants(key="k"))).replayed


async def test_a_replay_is_found_without_accepting(submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    assert await submissions.replayed(acme.wants()) is None
    assert await submissions.replayed(acme.wants(key="k")) is None
    first = await submissions.accept(acme.wants(key="k"))
    assert await submissions.replayed(acme.wants(key="k")) == Accepted(first.task_id, replayed=True)
    with pytest.raises(IdempotencyMismatch):
        await submissions.replayed(acme.wants(key="k", body='{"other": 1}'))


async def test_a_refused_request_does_not_use_up_its_key(pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer(micros=50)
    with pytest.raises(InsufficientBalance):
        await submissions.accept(acme.wants(100, key="k"))
    await ledger.credit(pool, acme.team_id, 100, live=False, actor="tests", note=None)
    assert not (await submissions.accept(acme.wants(100, key="k"))).replayed


class LosesAnswers:
    """A pool whose next accept commits, or fails, and then looks like a broken connection either way."""

    def __init__(self, pool: Pool, *, commits: bool, look_ups_work: bool = True) -> None:
        self._pool, self._commits, self._works = pool, commits, look_ups_work
        self._armed = True

    async def fetchrow(self, *args):
        if self._armed:
            self._armed = False
            if self._commits:
                await self._pool.fetchrow(*args)
            raise ConnectionResetError
        return await self._pool.fetchrow(*args)

    async def fetch(self, *args):
        if not self._works:
            raise ConnectionRefusedError
        return await self._pool.fetch(*args)


@pytest.mark.parametrize("commits", [True, False])
async def test_a_lost_answer_of_the_database_is_resolved_by_the_ids(pool, new_customer: Callable, commits) -> None:
    acme = await new_customer(micros=300)
    answers = await offer(
        Submissions(LosesAnswers(pool, commits=commits), asyncio.Event()), [acme.wants() for _ in "123"]
    )
    assert [type(answer) for answer in answers] == [Accepted] * 3
    assert await ledger.balance(pool, acme.team_id, live=False) == Balance(300, 300)
    await clean(pool)


class CommitsLate(LosesAnswers):
    """The connection breaks while the call waits for a lock: it commits after the first look-up."""

    async def fetchrow(self, *args):
        if self._armed:
            self._late = args
        return await super().fetchrow(*args)

    async def fetch(self, *args):
        found = await super().fetch(*args)
        if self._late:
            await self._pool.fetchrow(*self._late)
            self._late = None
        return found


@pytest.mark.parametrize(("micros", "slots"), [(100, 10), (1000, 1), (1000, 10)])
async def test_a_refusal_caused_by_the_task_itself_is_none(pool, new_customer: Callable, micros, slots) -> None:
    acme = await new_customer(micros=micros)
    late = Submissions(CommitsLate(pool, commits=False), asyncio.Event())
    assert isinstance((await offer(late, [acme.wants(slots=slots)]))[0], Accepted)
    await clean(pool)


async def test_only_a_database_that_cannot_be_asked_gives_503(pool, new_customer: Callable, monkeypatch) -> None:
    monkeypatch.setattr("modellix_server.tasks.submit._BETWEEN_LOOK_UPS_S", 0.01)
    acme = await new_customer()
    lost = LosesAnswers(pool, commits=False, look_ups_work=False)
    with pytest.raises(Unavailable):
        await Submissions(lost, asyncio.Event()).accept(acme.wants())


async def test_one_bad_row_fails_alone(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    answers = await offer(submissions, [acme.wants(), acme.wants(body="\0"), acme.wants()])
    assert [type(answer) for answer in answers] == [Accepted, PlatformError, Accepted]
    await clean(pool)


async def test_the_application_cannot_rewrite_the_ledger(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    await submissions.accept(acme.wants())
    for statement in (
        "update ledger.transfer set amount = 1",
        "delete from ledger.transfer",
        "truncate ledger.transfer",
        "update ledger.balance set posted = 0",
        """insert into ledger.transfer (team_id, live, kind, debit, credit, amount)
           values (1, false, 'topup', 'funding', 'team', 1)""",
        "alter table ledger.transfer disable trigger all",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_corrections_never_go_below_zero(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer(micros=1000)
    await submissions.accept(acme.wants(400))
    with pytest.raises(InsufficientBalance):
        await ledger.credit(pool, acme.team_id, -601, live=False, actor="tests", note=None)
    assert await ledger.credit(pool, acme.team_id, -600, live=False, actor="tests", note="back") == 0
    await clean(pool)
