"""Reconciliation of the ledger: the monitor that runs all the time, and the verification of everything."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from modellix_server import audit, tasks
from modellix_server.base import log
from modellix_server.base.database import Connection, Pool
from modellix_server.base.metrics import Gauge, gauge
from modellix_server.base.team_mode import mode_word
from modellix_server.ledger import Finding, monitor, seal
from modellix_server.ledger.seal import Seal
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_STEP = 1_000_000
"""Transfers added up at once: about a second of the database's time."""

_SEAL, _CHECK = "ledger.seal", "ledger.check"
_LOG = log.get("operations")


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """When the ledger was last looked at."""

    monitored_at: datetime | None
    """By the monitor."""
    checked_at: datetime | None
    """Everything, by `check`."""
    findings: int
    """What that found."""


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
    async with ctx.connection("verify") as db, db.transaction(isolation="repeatable_read", readonly=True):
        chain = [f"audit log: {finding}" for finding in await audit.verify(db)]
        return [*await tasks.verify(db), *await _broken_seals(db), *chain]


async def check(ctx: Context, who: Principal) -> list[str]:
    """The same, and its result is kept in the audit log."""
    who.require(Permission.OPERATE)
    found = await verify(ctx, who)
    async with ctx.transaction() as tx:
        about: dict[str, Any] = {"findings": len(found), "first": found[0][:500] if found else None}
        await audit.record(tx, who.actor, _CHECK, "transfers", **about)
    return found


async def last_check(ctx: Context, who: Principal) -> LedgerCheck:
    """When the ledger was last checked, in both ways."""
    who.require(Permission.OPERATE)
    entry = next(iter(await audit.list_entries(ctx.db, limit=1, action=_CHECK)), None)
    found = 0 if entry is None else int(json.loads(entry.details)["findings"])
    return LedgerCheck(await monitor.completed_at(ctx.db), entry.at if entry else None, found)


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
