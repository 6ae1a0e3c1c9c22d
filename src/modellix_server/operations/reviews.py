"""What an operator looks at: the history of one task, and what needs a person's eye."""

from typing import Any

from modellix_server import audit, tasks
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import DECISIONS, Review, TaskHistory

_LONGEST_NOTE = 1_000


async def history(ctx: Context, who: Principal, name: str) -> TaskHistory:
    """Everything recorded about a task of any team: moves, attempts, the vendor's words, money. Raises NotFound."""
    who.require(Permission.OPERATE)
    task_id = parse_task_name(name)
    found = await tasks.story(ctx.db, task_id) if task_id else None
    if found is None:
        raise NotFound(f"there is no task '{name}'")
    return found


async def list_all(
    ctx: Context, who: Principal, limit: int, *, before: int | None = None, decided: bool | None = None
) -> list[Review]:
    """The latest things to look at, newest first, or those before a number; `decided` None: decided or not."""
    who.require(Permission.OPERATE)
    return await tasks.list_reviews(ctx.db, limit=limit, before=before, decided=decided)


async def decide(ctx: Context, who: Principal, review_id: int, decision: str, note: str) -> None:
    """Record what was decided about one, with a note. It moves no money and changes no task.

    Raises InvalidParameters, NotFound, or ReviewDecided when somebody else was first.
    """
    who.require(Permission.OPERATE)
    if decision not in DECISIONS:
        raise InvalidParameters(f"a decision is one of: {', '.join(DECISIONS)}")
    note = note.strip()
    if not note or len(note) > _LONGEST_NOTE or "\0" in note:
        raise InvalidParameters(f"a note says why, in up to {_LONGEST_NOTE:,} characters")
    async with ctx.transaction() as tx:
        task_id = await tasks.decide_review(tx, review_id, who.id, decision, note)
        about: dict[str, Any] = {"decision": decision, "note": note, "task": task_name(task_id) if task_id else None}
        await audit.record(tx, who.actor, "review.decide", f"review:{review_id}", **about)
