"""The index of inputs that searches use."""

from modellix_server import tasks
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_TEAMS_AT_ONCE = 50
_BLOCKS_AT_ONCE = 20


async def index_once(ctx: Context, who: Principal) -> int:
    """Put tasks that are in no block into one, some blocks of each of some teams; returns how many tasks."""
    who.require(Permission.OPERATE)
    async with ctx.db.acquire() as db:
        owners = await tasks.to_index(db, _TEAMS_AT_ONCE)
    indexed = 0
    for owner in owners:
        for _ in range(_BLOCKS_AT_ONCE):
            async with ctx.transaction() as tx:
                added = await tasks.add_block(tx, owner)
            if not added:
                break
            indexed += added
    return indexed
