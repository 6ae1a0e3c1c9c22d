"""Reconciliation of the ledger: the monitor that runs all the time, and the verification of everything."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from modellix_server import audit, tasks
from modellix_server.base import log
from modellix_server.base.database import Connection, Pool
from modellix_server.base.metrics import Gauge, gauge
from modellix_server.base.team_mode import mode_word
from modellix_server.ledger import Finding, FullCheck, full_check, monitor, seal
from modellix_server.ledger.seal import Seal
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_STEP = 1_000_000
"""Transfers added up at once: about a second of the database's time."""

_SEAL, _CHECK = "ledger.seal", "ledger.check"
_STEPS = tasks.CHECKS + 2
_LOG = log.get("operations")


@dataclass(frozen=True, slots=True)
class LedgerChecks:
    """When the ledger was last looked at."""

    monitored_at: datetime | None
    """By the monitor."""
    last: FullCheck | None
    """The latest check of everything that has ended."""
    running: FullCheck | None
    """What was asked for and has not ended."""


async def monitor_once(ctx: Context, who: Principal) -> int:
    """One run of the ledger monitor: whatever does not add up freezes its account.

    More than 0 when the next run is due at once. Of several workers one is at it at a time, the others leave it to
    that one.
    """
    who.require(Permission.OPERATE)
    async with ctx.connection("ledger-monitor") as db, db.transaction():
        if not await monitor.begin(db):
            return 0
        moved, newer = await monitor.carry(db, _STEP)
        if newer > 2 * _STEP:  # at first, on a ledger with a history
            return moved
        found = [
            finding
            for finding in [*await monitor.find_discrepancies(db), *await tasks.look(db)]
            if await monitor.freeze(db, finding)
        ]
        await monitor.note_completion(db)
        made = await seal.due(db)
        if made is not None:
            await seal.noted(db, made)
        await _record(db, who, found, made)
    for finding in found:
        about = "all teams" if finding.team_id == monitor.ALL_TEAMS else f"team {finding.team_id}"
        _LOG.error("the ledger does not add up: no new tasks", account=about, live=finding.live, finding=finding.what)
    return 0


async def _record(db: Connection, who: Principal, found: list[Finding], made: Seal | None) -> None:
    """Enter it into the audit log, which other writers wait for from here to the end of the transaction."""
    for finding in found:
        team_id = None if finding.team_id == monitor.ALL_TEAMS else finding.team_id
        subject, mode = f"team:{finding.team_id}", mode_word(live=finding.live)
        await audit.record(db, who.actor, "ledger.freeze", subject, team_id=team_id, mode=mode, finding=finding.what)
    if made is not None:
        await audit.record(db, who.actor, _SEAL, "transfers", **asdict(made))


async def gauges(db: Pool) -> list[Gauge]:
    """For the metrics, the same from every worker."""
    counted: dict[tuple[str, ...], float] = {(mode,): 0.0 for mode in ("live", "test")}
    for one in await monitor.list_frozen(db):
        counted[mode_word(live=one.live),] += 1
    completed_at = await monitor.completed_at(db)
    lines = gauge("modellix_accounts_frozen", "Accounts whose ledger was found wrong.", counted, ("mode",))
    if completed_at is not None:
        lines += gauge(
            "modellix_ledger_monitor_completed_seconds",
            "When the last run of the ledger monitor ended, as Unix time.",
            completed_at.timestamp(),
        )
    return lines


async def verify(ctx: Context, who: Principal) -> list[str]:
    """Everything that does not add up, in words, as of one snapshot; empty when all is well.

    Reads every task, transfer and entry of the audit log there is.
    """
    who.require(Permission.OPERATE)
    return await _verified(ctx, _nothing)


async def _verified(ctx: Context, passed: Callable[[], Awaitable[None]]) -> list[str]:
    """The same; `passed` is told of each of _STEPS."""
    found: list[str] = []
    async with ctx.connection("verify") as db, db.transaction(isolation="repeatable_read", readonly=True):
        async for some in tasks.checks(db):
            found += some
            await passed()
        found += await _broken_seals(db)
        await passed()
        found += [f"audit log: {finding}" for finding in await audit.verify(db)]
        await passed()
    return found


async def _nothing() -> None:
    pass


async def ask_check(ctx: Context, who: Principal) -> None:
    """Have a worker verify everything, unless that is under way."""
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        await full_check.ask(tx, who.actor.name, who.actor.origin, _STEPS)


async def check_once(ctx: Context, who: Principal) -> int:
    """Make the check that was asked for, and keep its result in the audit log; 0 when none was, or another is at it.

    One that a worker left unfinished is made anew.
    """
    who.require(Permission.OPERATE)
    if await full_check.latest(ctx.db, ended=False) is None:
        return 0
    async with ctx.connection("full-check") as holder:
        if not await full_check.lock(holder) or (asked := await full_check.latest(ctx.db, ended=False)) is None:
            return 0
        await full_check.begin(ctx.db, asked.id)
        try:
            found = await _verified(ctx, lambda: full_check.step(ctx.db, asked.id))
        except Exception as error:  # noqa: BLE001 - whoever asked is told, whatever it was
            _LOG.exception("the check of the ledger came to no end")
            await full_check.fail(ctx.db, asked.id, type(error).__name__)
            return 1
        async with ctx.transaction() as tx:
            await full_check.end(tx, asked.id, found)
            about: dict[str, Any] = {"findings": len(found), "first": found[0][:500] if found else None}
            await audit.record(tx, audit.Actor(asked.asked_by, asked.origin), _CHECK, "transfers", **about)
    return 1


async def last_check(ctx: Context, who: Principal) -> LedgerChecks:
    """When the ledger was last checked, in both ways, and what is under way."""
    who.require(Permission.OPERATE)
    return LedgerChecks(
        await monitor.completed_at(ctx.db),
        await full_check.latest(ctx.db, ended=True),
        await full_check.latest(ctx.db, ended=False),
    )


async def _broken_seals(db: Connection) -> list[str]:
    """Seals in the audit log that their transfers do not match any more."""
    found, end = [], 0
    for entry in await audit.entries_of(db, _SEAL):
        about = json.loads(entry.details)
        sealed = Seal(about["after"], about["up_to"], about["count"], about["digest"])
        if sealed.after != end:
            found.append(f"the seals leave out transfers {end + 1} to {sealed.after}")
        if (now := await seal.of(db, sealed.after, sealed.up_to)) != sealed:
            found.append(
                f"transfers {sealed.after + 1} to {sealed.up_to} are not as they were on {entry.at:%Y-%m-%d %H:%M} UTC:"
                f" {now.count} are there, {sealed.count} were (entry {entry.seq} of the audit log)"
            )
        end = sealed.up_to
    return found
