"""All SQL of the results room except its functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from modellix_server.base.database import Pool

if TYPE_CHECKING:
    from modellix_server.inspection import InputFile, Kind

# Rows in one order, so that two bodies with the same files never deadlock.
_EXTEND_INPUTS = """
    insert into results.input as i (sha256, mime, kind, size, expires_at)
    select sha256, mime, kind, size, now() + make_interval(secs => $5)
    from unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[]) as a (sha256, mime, kind, size)
    order by sha256
    on conflict (sha256) do update
        set expires_at = greatest(i.expires_at, excluded.expires_at), deleting_until = null
        where i.deleting_until is null or i.deleting_until <= now()
    returning sha256
"""
# The files are deleted between two transactions, so a claim on them has to say until when it holds.
_CLAIM_EXPIRED = """
    update results.{table} set deleting_until = now() + make_interval(secs => $2)
    where {key} in (
        select {key} from results.{table}
        where expires_at <= now() and (deleting_until is null or deleting_until <= now())
        order by expires_at limit $1 for update skip locked)
    returning {key}
"""


async def extend_inputs(db: Pool, files: Sequence[InputFile], ttl_s: int) -> bool:
    """Record that these files are needed for at least `ttl_s` more seconds; False while one is being deleted."""
    extended = await db.fetch(
        _EXTEND_INPUTS,
        [bytes.fromhex(file.sha256) for file in files],
        [file.mime for file in files],
        [file.kind for file in files],
        [file.size for file in files],
        ttl_s,
    )
    return len(extended) == len(files)


@dataclass(frozen=True, slots=True)
class KeptInput:
    """A stored input: bytes, and until when they are kept."""

    mime: str
    kind: Kind
    size: int
    expires_at: datetime


async def find_inputs(db: Pool, digests: Sequence[str]) -> dict[str, KeptInput]:
    """Those of these inputs (SHA-256 as hex) that are still kept."""
    rows = await db.fetch(
        """select encode(sha256, 'hex') as digest, mime, kind, size, expires_at from results.input
           where sha256 = any ($1) and expires_at > now() and (deleting_until is null or deleting_until <= now())""",
        [bytes.fromhex(digest) for digest in digests],
    )
    return {digest: KeptInput(*about) for digest, *about in rows}


async def claim_expired_results(db: Pool, limit: int, lease_s: float) -> list[UUID]:
    """Tasks with expired results, for this process alone to delete within `lease_s`."""
    rows = await db.fetch(_CLAIM_EXPIRED.format(table="result", key="task_id"), limit, lease_s)
    return [row["task_id"] for row in rows]


async def claim_result(db: Pool, task_id: UUID, lease_s: float) -> bool:
    """Let a result expire now, for deletion within `lease_s`; False when there is none."""
    claimed: bool | None = await db.fetchval(
        """update results.result
           set expires_at = least(expires_at, now()), deleting_until = now() + make_interval(secs => $2)
           where task_id = $1 returning true""",
        task_id,
        lease_s,
    )
    return claimed is not None


async def forget_results(db: Pool, tasks: Sequence[UUID]) -> None:
    """Delete the rows of results whose files are gone."""
    await db.execute("delete from results.result where task_id = any ($1)", tasks)


async def claim_expired_inputs(db: Pool, limit: int, lease_s: float) -> list[bytes]:
    """Digests of expired inputs, for this process alone to delete within `lease_s`."""
    rows = await db.fetch(_CLAIM_EXPIRED.format(table="input", key="sha256"), limit, lease_s)
    return [row["sha256"] for row in rows]


async def forget_inputs(db: Pool, digests: Sequence[bytes]) -> None:
    """Delete the rows of inputs whose files are deleted, except those that are needed again."""
    await db.execute("delete from results.input where sha256 = any ($1) and expires_at <= now()", digests)


async def without_row(db: Pool, tasks: Sequence[UUID]) -> list[UUID]:
    """Those of the tasks that have no result row."""
    rows = await db.fetch(
        """select id from unnest($1::uuid[]) as id
           where not exists (select from results.result r where r.task_id = id)""",
        tasks,
    )
    return [row["id"] for row in rows]


async def resources(db: Pool, task_id: UUID) -> str | None:
    """What a task's result was stored with, as JSON; None when it has expired or there never was one."""
    found: str | None = await db.fetchval("select resources from results.of_tasks($1)", [task_id])
    return found


async def forget_expired_uploads(db: Pool, limit: int) -> int:
    """Delete rows of expired files; their bytes go with the rows of `results.input`."""
    done: str = await db.execute(
        """delete from results.upload where id in (
               select id from results.upload where expires_at <= now()
               order by expires_at limit $1 for update skip locked)""",
        limit,
    )
    return int(done.rpartition(" ")[2])
