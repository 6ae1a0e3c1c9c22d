"""Accounts that the ledger monitor has frozen, and what an operator does about them."""

from dataclasses import dataclass

import asyncpg

from modellix_server import audit, identity, ledger, tasks
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.base.money import usd
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger import Balance, Finding, monitor
from modellix_server.ledger.monitor import ALL_TEAMS, FrozenAccount
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_LONGEST_NOTE = 1_000


class StaysFrozen(PlatformError):
    """An account is not unfrozen as asked; the message says why."""

    status, category, code = 409, "Conflict", "stays_frozen"


@dataclass(frozen=True, slots=True)
class Unfrozen:
    """What was done to let an account go on."""

    balance: Balance
    stray_holds: int | None
    """How many holds of no unfinished task were ended; None when it was not restated."""


async def list_all(ctx: Context, who: Principal) -> list[tuple[FrozenAccount, str | None]]:
    """The accounts that take no new tasks, each with its team's name: None of a team that does not exist."""
    who.require(Permission.OPERATE)
    names = {team.id: team.name for team in await identity.list_teams(ctx.db)}
    return [(one, names.get(one.team_id)) for one in await monitor.list_frozen(ctx.db)]


async def freeze(ctx: Context, who: Principal, of: TeamMode, note: str) -> None:
    """Let an account take no new tasks; those that it has go on. Its members are not told the note.

    Raises InvalidParameters without a note, StaysFrozen for one that is frozen already, NotFound.
    """
    who.require(Permission.OPERATE)
    if not note.strip() or len(note) > _LONGEST_NOTE or "\0" in note:
        raise InvalidParameters(f"say why, in up to {_LONGEST_NOTE:,} characters")
    async with ctx.transaction() as tx:
        await identity.require_team(tx, of.team_id)
        if not await monitor.freeze(tx, Finding(of.team_id, of.live, f"by an operator: {note.strip()}")):
            raise StaysFrozen("this account is frozen already")
        about = {"mode": of.mode, "finding": f"by hand: {note.strip()}"}
        await audit.record(tx, who.actor, "ledger.freeze", f"team:{of.team_id}", team_id=of.team_id, **about)


async def unfreeze(ctx: Context, who: Principal, of: TeamMode, note: str, *, restate: bool = False) -> Unfrozen:
    """Let an account take new tasks again (`of` ALL_TEAMS: lift the freeze of everybody), once it adds up.

    With `restate` its balance is first made what its transfers say, and holds that no unfinished task has are ended.
    Raises StaysFrozen.
    """
    who.require(Permission.OPERATE)
    everybody = of.team_id == ALL_TEAMS
    if restate and everybody:
        raise StaysFrozen("one team alone can be restated: transfers that are gone come back with a backup only")
    stray_holds = None
    async with ctx.connection("unfreeze") as db, db.transaction():
        await monitor.begin(db, wait=True)
        before = await ledger.balance(db, of.team_id, live=of.live)
        if restate:
            stray_holds = await _restate(db, of)
        found = [*await monitor.find_discrepancies(db), *await tasks.look(db)]
        if wrong := [one.what for one in found if (one.team_id, one.live) == (of.team_id, of.live)]:
            advice = "" if restate else " Find out why (`ledger verify`); then put it right, or with --restate."
            raise StaysFrozen(f"it does not add up: {'; '.join(wrong)}.{advice}")
        if not await monitor.unfreeze(db, of.team_id, live=of.live):
            raise StaysFrozen("this account is not frozen")
        after = await ledger.balance(db, of.team_id, live=of.live)
        about: dict[str, object] = {"mode": of.mode, "note": note, "restated": restate}
        about |= {} if stray_holds is None else {"stray_holds": stray_holds}
        about |= {
            name: [usd(getattr(before, name)), usd(getattr(after, name))]
            for name in ("posted", "held")
            if getattr(before, name) != getattr(after, name)
        }
        team_id = None if everybody else of.team_id
        await audit.record(db, who.actor, "ledger.unfreeze", f"team:{of.team_id}", team_id=team_id, **about)
    return Unfrozen(after, stray_holds)


async def _restate(db: Connection, of: TeamMode) -> int:
    try:
        await monitor.restate(db, of.team_id, live=of.live)
        return await tasks.end_stray_holds(db, of.team_id, live=of.live)
    except asyncpg.CheckViolationError:
        raise StaysFrozen("the transfers of this account say less than nothing: it cannot be restated") from None
