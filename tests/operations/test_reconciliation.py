"""The ledger monitor freezes what is wrong, an operator puts it right; and a rewritten history is found."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from tests.support import ledger_holds
from typer.testing import CliRunner

from modellix_server import audit, identity, ledger, tasks
from modellix_server.base.database import connect
from modellix_server.cli.app import app
from modellix_server.ledger import full_check, monitor
from modellix_server.operations import reconciliation
from modellix_server.operations.context import Context
from modellix_server.operations.principal import operator, system

MONITOR = system("ledger monitor", "host-1")


@pytest.fixture
async def team(pool):
    made = await identity.create_team(pool, "acme")
    async with pool.acquire() as db:
        await ledger.open_team(db, made.id)
        await tasks.open_team(db, made.id)
    for live in (True, False):
        await ledger.credit(pool, made.id, 1000, live=live, actor="tests", note=None)
    return made.id


@pytest.fixture
def ctx(settings, pool) -> Context:
    return Context(settings, pool)


@pytest.fixture
async def owner(database):
    connection = await connect(database.owner_dsn, name="tests")
    yield connection
    await connection.close()


@pytest.fixture
def cli(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {
        "MODELLIX_DATABASE_URL": settings.database_url,
        "MODELLIX_STORAGE_URL": settings.storage_url,
        "MODELLIX_SECRET": base64.b64encode(settings.secret.value).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(settings.master_key.value).decode(),
        "MODELLIX_SANDBOX_URL": settings.sandbox_url,
    }

    async def run(*arguments):
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=env)
        return done.exit_code, done.stdout, done.stderr

    return run


async def frozen(pool) -> list[tuple[int, bool]]:
    return [(one.team_id, one.live) for one in await monitor.list_frozen(pool)]


async def frozen_gauge(pool) -> dict[tuple[str, ...], float]:
    return {one.name: dict(one.values) for one in await reconciliation.gauges(pool)}["modellix_accounts_frozen"]


async def test_a_good_ledger_freezes_nobody_and_is_told_of(ctx, pool, team) -> None:
    assert await monitor.completed_at(pool) is None
    for _ in range(3):
        assert await reconciliation.monitor_once(ctx, MONITOR) == 0
    assert await monitor.completed_at(pool) is not None
    assert await frozen(pool) == []
    assert await audit.list_entries(pool) == []
    assert await frozen_gauge(pool) == {("live",): 0, ("test",): 0}


async def test_a_wrong_balance_freezes_that_account_alone(ctx, pool, team, owner, cli) -> None:
    await owner.execute("update ledger.balance set posted = 1007 where live and team_id = $1", team)
    for _ in range(2):
        await reconciliation.monitor_once(ctx, MONITOR)
    assert await frozen(pool) == [(team, True)]
    (entry,) = await audit.list_entries(pool)
    assert (entry.action, entry.actor, entry.team_id) == ("ledger.freeze", "ledger monitor", team)
    assert "0.001007 USD posted" in entry.details
    assert await frozen_gauge(pool) == {("live",): 1, ("test",): 0}

    _, shown, _ = await cli("ledger", "frozen", "--json")
    assert [(one["team"], one["mode"]) for one in json.loads(shown)] == [("acme", "live")]
    code, _, said = await cli("ledger", "unfreeze", "acme", "--note", "no")
    assert code == 1
    assert "does not add up" in said
    assert await frozen(pool) == [(team, True)]
    code, _, said = await cli("ledger", "unfreeze", "acme", "--note", "an update by hand", "--restate")
    assert code == 0, said
    assert await frozen(pool) == []
    assert await ledger.balance(pool, team, live=True) == ledger.Balance(1000, 0)
    entry = (await audit.list_entries(pool))[0]
    assert entry.action == "ledger.unfreeze"
    assert json.loads(entry.details) == {
        "mode": "live", "note": "an update by hand", "restated": True, "stray_holds": 0,
        "posted": ["0.001007", "0.0010"],
    }  # fmt: skip
    await reconciliation.monitor_once(ctx, MONITOR)
    assert await frozen(pool) == []
    code, _, said = await cli("ledger", "unfreeze", "acme", "--test", "--note", "again")
    assert (code, "not frozen" in said) == (1, True)


async def test_a_hold_without_a_task_is_found_and_ended(ctx, pool, team, cli) -> None:
    await ledger_holds.hold(pool, team, 300)
    await reconciliation.monitor_once(ctx, MONITOR)
    assert await frozen(pool) == [(team, True)]
    code, _, said = await cli("ledger", "unfreeze", "acme", "--note", "gone", "--restate")
    assert code == 0, said
    assert await ledger.balance(pool, team, live=True) == ledger.Balance(1000, 0)
    async with pool.acquire() as db:
        assert await tasks.look(db) == []


async def test_what_an_operator_puts_right_stays_frozen_until_it_is_said(ctx, pool, team, owner, cli) -> None:
    await owner.execute("update ledger.balance set posted = 1007 where live and team_id = $1", team)
    await reconciliation.monitor_once(ctx, MONITOR)
    await owner.execute("update ledger.balance set posted = 1000 where live and team_id = $1", team)
    await reconciliation.monitor_once(ctx, MONITOR)
    assert await frozen(pool) == [(team, True)]
    assert (await cli("ledger", "unfreeze", "acme", "--note", "mended by hand"))[0] == 0
    assert await frozen(pool) == []


async def test_all_are_frozen_when_transfers_are_gone(ctx, pool, team, owner, cli) -> None:
    for _ in range(2):
        await reconciliation.monitor_once(ctx, MONITOR)
    await owner.execute("create table public.kept as select * from ledger.transfer")
    await owner.execute("delete from ledger.transfer")
    await reconciliation.monitor_once(ctx, MONITOR)
    assert {(monitor.ALL_TEAMS, True), (monitor.ALL_TEAMS, False)} <= set(await frozen(pool))
    code, _, said = await cli("ledger", "unfreeze", "--note", "no", "--restate")
    assert (code, "backup" in said) == (1, True)
    assert (await cli("ledger", "unfreeze", "--note", "no"))[0] == 1
    await owner.execute("insert into ledger.transfer overriding system value select * from public.kept")
    assert (await cli("ledger", "unfreeze", "--note", "back again"))[0] == 0
    assert (await cli("ledger", "unfreeze", "--test", "--note", "back again"))[0] == 0
    assert await frozen(pool) == []


async def sealed(ctx, owner) -> None:
    for _ in range(2):
        await reconciliation.monitor_once(ctx, MONITOR)
    await owner.execute("update ledger.checkpoint set sealed_at = now() - interval '61 minutes'")
    await reconciliation.monitor_once(ctx, MONITOR)


FORGERIES = {
    "an amount": (
        "update ledger.transfer set amount = 900 where kind = 'topup' and live",
        "update ledger.balance set posted = 900 where live",
        "update ledger.total set posted = 900 where live",
    ),
    "a transfer removed": (
        "delete from ledger.transfer where kind = 'topup' and not live",
        "update ledger.balance set posted = 0 where not live",
        "delete from ledger.total where not live",
    ),
    "a note": ("update ledger.transfer set note = 'a gift'",),
}


@pytest.mark.parametrize("what", FORGERIES)
async def test_a_forger_who_mends_every_sum_is_found_by_the_seal(ctx, pool, team, owner, cli, what: str) -> None:
    await sealed(ctx, owner)
    (entry,) = await audit.list_entries(pool)
    assert (entry.action, entry.actor) == ("ledger.seal", "ledger monitor")
    assert (await cli("ledger", "verify"))[0] == 0
    for statement in FORGERIES[what]:
        await owner.execute(statement)
    async with pool.acquire() as db:
        assert await tasks.verify(db) == []  # everything adds up
    code, out, _ = await cli("ledger", "verify", "--json")
    assert code == 1
    (finding,) = json.loads(out)["findings"]
    assert "are not as they were on" in finding


async def test_a_forger_who_mends_the_seal_too_is_found_by_the_audit_log(ctx, pool, team, owner, database, cli):
    await sealed(ctx, owner)
    await owner.execute("update ledger.transfer set note = 'a gift'")
    async with pool.acquire() as db:
        forged = await ledger.seal.of(db, 0, 2)
    superuser = await connect(database.superuser_dsn, name="tests")
    await superuser.execute("alter table audit.audit_entry disable trigger all")
    await superuser.execute(
        "update audit.audit_entry set details = $1::text::json where seq = 1",
        json.dumps({"after": 0, "up_to": 2, "count": 2, "digest": forged.digest}),
    )
    await superuser.close()
    code, out, _ = await cli("ledger", "verify", "--json")
    assert (code, json.loads(out)["findings"]) == (1, ["audit log: entry 1 was changed"])


async def test_transfers_that_no_seal_is_about_are_named(ctx, pool, team, owner, cli) -> None:
    await owner.execute("update ledger.checkpoint set sealed = 1")
    await sealed(ctx, owner)
    code, out, _ = await cli("ledger", "verify", "--json")
    assert (code, json.loads(out)["findings"]) == (1, ["the seals leave out transfers 1 to 1"])


async def test_a_team_that_is_created_is_not_frozen_by_its_emptiness(ctx, pool) -> None:
    async with pool.acquire() as db, db.transaction():
        await identity.create_team(db, "new")
        await db.execute("select ledger.open_team(1)")
    await reconciliation.monitor_once(ctx, MONITOR)
    assert await frozen(pool) == []


async def test_a_full_check_is_made_once_with_its_progress_and_again_after_a_death(ctx, pool, team, owner) -> None:
    who = operator("anna", "host-7")
    assert await reconciliation.check_once(ctx, MONITOR) == 0, "nobody asked"
    await asyncio.gather(*(reconciliation.ask_check(ctx, who) for _ in range(4)))
    waiting = (await reconciliation.last_check(ctx, who)).running
    assert waiting is not None
    assert (waiting.begun_at, waiting.done) == (None, 0)
    await full_check.begin(pool, waiting.id)
    for _ in range(3):
        await full_check.step(pool, waiting.id)  # and this worker dies
    done = await asyncio.gather(*(reconciliation.check_once(ctx, MONITOR) for _ in range(3)))
    assert sum(done) == 1, "one worker makes it"
    checks = await reconciliation.last_check(ctx, who)
    assert checks.running is None
    assert checks.last is not None
    assert (checks.last.found, checks.last.findings, checks.last.done) == (0, [], checks.last.steps)
    entry = next(iter(await audit.list_entries(pool, limit=1, action="ledger.check")))
    assert (entry.actor, entry.origin) == ("admin:anna", "host-7")
    assert await pool.fetchval("select count(*) from ledger.full_check") == 1

    await owner.execute("update ledger.balance set posted = posted + 1 where live")
    seen = []
    await reconciliation.ask_check(ctx, who)

    async def watch() -> None:
        while (running := (await reconciliation.last_check(ctx, who)).running) is not None:
            seen.append(running.done)
            await asyncio.sleep(0)

    await asyncio.gather(watch(), reconciliation.check_once(ctx, MONITOR))
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "its progress is seen while it runs"
    last = (await reconciliation.last_check(ctx, who)).last
    assert last is not None
    assert last.found == 1
    assert last.findings is not None
    assert f"team {team}" in last.findings[0]


async def test_a_check_that_fails_says_so(ctx, pool, team, monkeypatch) -> None:
    async def broken(_: object) -> list[str]:
        raise TimeoutError

    monkeypatch.setattr(audit, "verify", broken)
    await reconciliation.ask_check(ctx, operator("anna", "host-7"))
    assert await reconciliation.check_once(ctx, MONITOR) == 1
    last = (await reconciliation.last_check(ctx, MONITOR)).last
    assert last is not None
    assert (last.failed, last.found) == ("TimeoutError", None)
    assert await reconciliation.check_once(ctx, MONITOR) == 0, "it is not tried for ever"
