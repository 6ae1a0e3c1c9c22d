"""What a new installation starts with, so that the first request needs no preparation."""

from modellix_server import identity
from modellix_server.base.money import MICROS_PER_USD
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations import keys, money, teams
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

TEAM = "default"
TEST_MONEY_MICROS = 100 * MICROS_PER_USD


async def first_start(ctx: Context, who: Principal) -> str | None:
    """Create team `default` with 100 USD of test money and a test key, unless there is a team already.

    Returns the text of the key, which nobody can ask for again; None when there was nothing to do.
    """
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        if await identity.list_teams(tx):
            return None
        team = await teams.create_in(tx, who, TEAM)
        test = TeamMode(team.id, live=False)
        await money.credit_in(tx, who, test, TEST_MONEY_MICROS, "test money")
        text, _ = await keys.create_in(tx, ctx, who, test, "first key")
    return text
