"""All SQL of the results room that is not a function in its migration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from modellix_server.base.database import Connection, Pool

if TYPE_CHECKING:
    from modellix_server.results.inputs import InputFile

# Rows in one order, so that two bodies with the same files never deadlock.
_EXTEND_INPUTS = """
    insert into results.input as i (sha256, mime, kind, size, expires_at)
    select sha256, mime, kind, size, now() + make_interval(secs => $5)
    from unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[]) as a (sha256, mime, kind, size)
    order by sha256
    on conflict (sha256) do update set expires_at = greatest(i.expires_at, excluded.expires_at)
"""


async def extend_inputs(db: Pool, files: Sequence[InputFile], ttl_s: int) -> None:
    """Note that these files are needed for at least `ttl_s` more seconds."""
    await db.execute(
        _EXTEND_INPUTS,
        [bytes.fromhex(file.sha256) for file in files],
        [file.mime for file in files],
        [file.kind for file in files],
        [file.size for file in files],
        ttl_s,
    )


async def lock_expired_results(db: Connection, limit: int) -> list[UUID]:
    """Tasks with expired results that no other process is deleting."""
    rows = await db.fetch(
        """select task_id from results.result where expires_at <= now()
           order by expires_at limit $1 for update skip locked""",
        limit,
    )
    return [row["task_id"] for row in rows]


async def forget_results(db: Connection, tasks: Sequence[UUID]) -> None:
    """Delete the rows of results whose files are gone."""
    await db.execute("delete from results.result where task_id = any ($1)", tasks)


async def lock_expired_inputs(db: Connection, limit: int) -> list[bytes]:
    """Digests of expired inputs that no other process is deleting or extending."""
    rows = await db.fetch(
        """select sha256 from results.input where expires_at <= now()
           order by expires_at limit $1 for update skip locked""",
        limit,
    )
    return [row["sha256"] for row in rows]


async def forget_inputs(db: Connection, digests: Sequence[bytes]) -> None:
    """Delete the rows of inputs whose files are gone."""
    await db.execute("delete from results.input where sha256 = any ($1)", digests)


async def without_row(db: Pool, tasks: Sequence[UUID]) -> list[UUID]:
    """Those of the tasks that have no result row."""
    rows = await db.fetch(
        """select id from unnest($1::uuid[]) as id
           where not exists (select from results.result r where r.task_id = id)""",
        tasks,
    )
    return [row["id"] for row in rows]
