"""How long a team keeps its inputs, and redacting those whose time is over. Cost and all else stay on record."""

from datetime import UTC, datetime, timedelta

from modellix_server import audit, identity, requestlog, results, tasks
from modellix_server.base.errors import OutOfRange
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

LONGEST_DAYS = 3650
_AT_ONCE = 500


async def days_kept(ctx: Context, who: Principal, team_id: int) -> int | None:
    """Days that a team keeps inputs: 0 as long as a task runs, None as long as the records."""
    who.require(Permission.READ_TEAM, _either(who, team_id))
    return await identity.input_days(ctx.db, team_id)


async def change_days(ctx: Context, who: Principal, team_id: int, days: int | None) -> None:
    """Change how long a team keeps inputs. What is redacted stays so. Raises OutOfRange, NotFound."""
    who.require(Permission.MANAGE_TEAM, _either(who, team_id))
    if days is not None and not 0 <= days <= LONGEST_DAYS:
        raise OutOfRange(f"inputs are kept for 0 to {LONGEST_DAYS} days, got {days}")
    async with ctx.transaction() as tx:
        await identity.set_input_days(tx, team_id, days)
        await audit.record(tx, who.actor, "team.inputs", f"team:{team_id}", team_id=team_id, days=days)


async def redact_once(ctx: Context, who: Principal) -> int:
    """Redact inputs whose time is over, a few hundred tasks of each team; returns how many tasks."""
    who.require(Permission.OPERATE)
    redacted = 0
    for team_id, days in (await identity.teams_without_inputs(ctx.db)).items():
        before = datetime.now(UTC) - timedelta(days=days)
        for live in (True, False):
            async with ctx.transaction() as tx:
                redacted += await tasks.redact_inputs(tx, TeamMode(team_id, live), before, _AT_ONCE)
        await requestlog.redact_inputs(ctx.db, team_id, before)
        await results.redact_names(ctx.db, team_id, before)
    return redacted


def _either(who: Principal, team_id: int) -> TeamMode:
    """The team, in the principal's own mode: the policy is the same in both."""
    return TeamMode(team_id, who.scope.live if who.scope is not None else True)
