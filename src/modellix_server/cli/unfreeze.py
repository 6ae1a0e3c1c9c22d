"""What an operator does about accounts that the watch over the books has frozen."""

from __future__ import annotations

import asyncpg

from modellix_server import identity, ledger, tasks
from modellix_server.base.money import usd
from modellix_server.cli.context import CommandContext, RefusedError
from modellix_server.ledger import monitor


async def list_frozen(desk: CommandContext) -> None:
    """Show the accounts that take no new tasks."""
    names = {team.id: team.name for team in await identity.list_teams(desk.db)} | {monitor.ALL_TEAMS: "(all teams)"}
    rows = [
        {
            "team": names.get(one.team_id, f"number {one.team_id}, which does not exist"),
            "mode": "live" if one.live else "test",
            "since": one.since,
            "reason": one.reason,
        }
        for one in await monitor.list_frozen(desk.db)
    ]
    desk.show_all(rows, none="No account is frozen.")


async def thaw(desk: CommandContext, team_name: str | None, note: str, *, live: bool, restate: bool) -> None:
    """Let an account take new tasks again, if it adds up, or does when it has been restated."""
    team_id = monitor.ALL_TEAMS if team_name is None else (await identity.find_team(desk.db, team_name)).id
    if restate and team_id == monitor.ALL_TEAMS:
        raise RefusedError("--restate is for one team: transfers that are gone come back with a backup only")
    about: dict[str, object] = {"mode": "live" if live else "test", "note": note, "restated": restate}
    async with desk.db.transaction():
        await monitor.begin(desk.db, wait=True)
        before = await ledger.balance(desk.db, team_id, live=live)
        if restate:
            about["stray_holds"] = await _restate(desk, team_id, live=live)
        findings = [*await monitor.look(desk.db), *await tasks.look(desk.db)]
        if wrong := [one.what for one in findings if (one.team_id, one.live) == (team_id, live)]:
            advice = "" if restate else " Find out why (`ledger verify`); then put it right, or with --restate."
            raise RefusedError(f"it does not add up: {'; '.join(wrong)}.{advice}")
        if not await monitor.thaw(desk.db, team_id, live=live):
            raise RefusedError("this account is not frozen")
        after = await ledger.balance(desk.db, team_id, live=live)
        changes = {
            name: [usd(getattr(before, name)), usd(getattr(after, name))]
            for name in ("posted", "held")
            if getattr(before, name) != getattr(after, name)
        }
        team = None if team_id == monitor.ALL_TEAMS else team_id
        await desk.record("ledger.thaw", f"team:{team_id}", team_id=team, **about, **changes)
    desk.show({"team": team_name or "(all teams)", **about, "available_usd": usd(after.available)})


async def _restate(desk: CommandContext, team_id: int, *, live: bool) -> int:
    """Make the balance what the transfers say, and end holds that no unfinished task has; how many those were."""
    try:
        await monitor.restate(desk.db, team_id, live=live)
        return await tasks.end_stray_holds(desk.db, team_id, live=live)
    except asyncpg.CheckViolationError:
        raise RefusedError("the transfers of this account say less than nothing: it cannot be restated") from None
