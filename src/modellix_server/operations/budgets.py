"""What a team as a whole may spend in a period, in each mode; the budgets of keys are set with them (`keys`)."""

from modellix_server import audit, budgets
from modellix_server.base.team_mode import TeamMode
from modellix_server.budgets import Budget, BudgetLimit
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


async def of_team(ctx: Context, who: Principal, of: TeamMode) -> Budget | None:
    """The budget of a team in a mode with its use in this period; None where it has none."""
    who.require(Permission.READ_TEAM, of)
    return (await budgets.of_teams(ctx.db, [of.team_id])).get((of.team_id, of.live))


async def change_of_team(ctx: Context, who: Principal, of: TeamMode, limit: BudgetLimit | None) -> Budget | None:
    """Set, change or (None) end the budget of a team in a mode; returns the one now in force.

    Another period is another budget, which begins at zero. Raises InvalidParameters or OutOfRange.
    """
    who.require(Permission.MANAGE_TEAM, of)
    async with ctx.transaction() as tx:
        await budgets.put(tx, of, None, limit)
        about = {"mode": of.mode, "micros": limit.amount if limit else None, "period": limit.period if limit else None}
        await audit.record(tx, who.actor, "team.budget", f"team:{of.team_id}", team_id=of.team_id, **about)
        return (await budgets.of_teams(tx, [of.team_id])).get((of.team_id, of.live))
