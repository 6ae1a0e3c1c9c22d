"""Tasks of a team: read, wait, follow, list, cancel, delete a result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import msgspec

from modellix_server import tasks
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Permission, Principal
from modellix_server.results import link
from modellix_server.tasks import (
    ListedTask,
    StoredFile,
    StoredResult,
    Subscription,
    TaskFilter,
    TaskQuery,
    TaskView,
)

_MOST_FINISHED = 10_000  # about 15 MB


async def read(ctx: ServingContext, who: Principal, of: TeamMode, task_id: UUID) -> TaskView:
    """A task as its team may see it.

    Raises Unauthorized for a key that was revoked, NotFound for an unknown, foreign or expired task, Unavailable.
    """
    who.require(Permission.READ_TASKS, of)
    return await ctx.reader.read(query(who, of, task_id))


async def wait(
    ctx: ServingContext,
    who: Principal,
    of: TeamMode,
    task_id: UUID,
    within_s: float,
    when_lost: Callable[[Callable[[], None]], None],
) -> TaskView | None:
    """The task when it has ended, or as it is when the time is up; None if the client has gone.

    `when_lost` registers a function to be called when the client has gone. Raises what `read` raises, and
    TooManyFollowers.
    """
    who.require(Permission.READ_TASKS, of)
    until = time.monotonic() + within_s
    subscription = subscribe(ctx, who, of)
    try:
        when_lost(subscription.leave)
        subscription.follow(query(who, of, task_id))
        while True:
            view = await read(ctx, who, of, task_id)
            subscription.seen = view.moves
            left_s = until - time.monotonic()
            if view.finished_at is not None or ctx.subscriptions.closed or left_s <= 0:
                return view
            await subscription.news(left_s)
            if subscription.left and not ctx.subscriptions.closed:
                return None
    finally:
        subscription.close()


def subscribe(ctx: ServingContext, who: Principal, of: TeamMode) -> Subscription:
    """A subscription to one task, which `follow` names; to be closed. Raises TooManyFollowers, Unavailable."""
    who.require(Permission.READ_TASKS, of)
    return ctx.subscriptions.open(of, who.key_id)


async def list_all(
    ctx: ServingContext, who: Principal, of: TeamMode, wanted: TaskFilter, *, after: UUID | None, most: int
) -> Page[ListedTask, UUID]:
    """Up to `most` tasks, the latest first; those older than `after` when it is given."""
    who.require(Permission.READ_TASKS, of)
    async with ctx.reading() as db:
        return await tasks.list_tasks(db, of, wanted, after=after, most=most)


async def find(ctx: ServingContext, who: Principal, of: TeamMode, task_id: UUID) -> ListedTask:
    """One task as lists show it, expired or not, with its position in the queue. Raises NotFound."""
    who.require(Permission.READ_TASKS, of)
    async with ctx.reading() as db:
        return await tasks.find_task(db, of, task_id)


async def first_steps(ctx: ServingContext, who: Principal, of: TeamMode) -> tuple[bool, bool]:
    """Whether anybody of the team submitted a task at a browser, and whether an API key did."""
    who.require(Permission.USE_MODELS, of)
    return await tasks.ways_used(ctx.db, of)


async def cancel(ctx: ServingContext, who: Principal, of: TeamMode, task_id: UUID) -> bool:
    """Cancel a task if it costs nothing; returns whether it is canceled. False: requested, not decided yet.

    Raises NotFound, NotCancelable.
    """
    who.require(Permission.USE_MODELS, of)
    return await tasks.cancel(ctx.db, query(who, of, task_id))


async def delete_result(ctx: ServingContext, who: Principal, of: TeamMode, task_id: UUID) -> None:
    """Delete files, links and the public answer now; the task and what it cost stay on record. Idempotent.

    Raises NotFound, Unfinished, and what the storage raises: then links and answer are gone, and the files go later.
    """
    who.require(Permission.USE_MODELS, of)
    await tasks.delete_result(ctx.db, ctx.storage, query(who, of, task_id))
    ctx.finished.pop(task_id, None)


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of a result, and where anybody may fetch it until the result expires."""

    url: str
    file: StoredFile


def result_files(ctx: ServingContext, task: ListedTask | TaskView) -> list[ResultFile]:
    """What a task delivered, while it is kept."""
    if task.resources is None or task.finished_at is None:
        return []
    stored = msgspec.json.decode(task.resources, type=StoredResult)
    until = int(task.finished_at.timestamp()) + ctx.settings.result_ttl_s
    return [
        ResultFile(link(ctx.settings, task.id, index, file.format, until), file)
        for index, file in enumerate(stored.resources)
    ]


def query(who: Principal, of: TeamMode, task_id: UUID) -> TaskQuery:
    """The engine's query for a task."""
    return TaskQuery(task_id, of.team_id, of.live, who.key_id)


def public_form(ctx: ServingContext, view: TaskView) -> bytes:
    """The public JSON of a task; rendered once for a finished one."""
    if view.finished_at is None:
        return tasks.public_form(ctx.settings, view)
    data = ctx.finished.get(view.id)
    if data is None:
        data = tasks.public_form(ctx.settings, view)
        if len(ctx.finished) >= _MOST_FINISHED:
            ctx.finished.clear()
        ctx.finished[view.id] = data
    return data
