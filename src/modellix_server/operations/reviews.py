"""What an operator looks at: the history of one task, and what needs a person's eye."""

from modellix_server import tasks
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import parse_task_name
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import Review, TaskHistory


async def history(ctx: Context, who: Principal, name: str) -> TaskHistory:
    """Everything recorded about a task of any team: moves, attempts, the vendor's words, money. Raises NotFound."""
    who.require(Permission.OPERATE)
    task_id = parse_task_name(name)
    found = await tasks.story(ctx.db, task_id) if task_id else None
    if found is None:
        raise NotFound(f"there is no task '{name}'")
    return found


async def list_all(ctx: Context, who: Principal, limit: int) -> list[Review]:
    """The latest things to look at, newest first."""
    who.require(Permission.OPERATE)
    return await tasks.reviews(ctx.db, limit)
