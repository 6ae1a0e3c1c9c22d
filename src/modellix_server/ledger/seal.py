"""Seals: digests over ranges of transfers, to be kept where they cannot be changed unseen.

Whoever owns the tables can change a transfer and adjust every sum derived from it. A digest that was recorded before in
the audit log, whose entries are chained, reveals that (docs/adr/0014).
"""

from dataclasses import dataclass

from modellix_server.base.database import Connection

_EVERY_S = 3600
_MOST = 1_000_000
"""Numbers in one seal: PostgreSQL holds 32 bytes for each while it computes the digest, and takes about 2 seconds."""

# Of each transfer every field, in a form that no version of PostgreSQL or setting of a session writes otherwise.
_DIGEST = """
    select count(*) as count, encode(sha256(coalesce(string_agg(sha256(convert_to(
        json_build_array(id, (extract(epoch from at) * 1000000)::bigint, team_id, live, kind, debit, credit, amount,
            task_id, key_id, actor, note, closes)::text, 'UTF8')), ''::bytea order by id), ''::bytea)), 'hex') as digest
    from ledger.transfer where id > $1 and id <= $2
"""


@dataclass(frozen=True, slots=True)
class Seal:
    """Digest over the transfers with numbers above `after` and up to `up_to`."""

    after: int
    up_to: int
    count: int
    digest: str


async def due(db: Connection) -> Seal | None:
    """The next seal to record: each hour, or when a million transfers are not sealed; None if none is due.

    Only complete transfers are sealed (`monitor.carry`).
    """
    row = await db.fetchrow(
        """select sealed, least(up_to, sealed + $1) as up_to from ledger.checkpoint
           where up_to > sealed and (up_to >= sealed + $1 or sealed_at < now() - make_interval(secs => $2))""",
        _MOST,
        _EVERY_S,
    )
    return None if row is None else await of(db, row["sealed"], row["up_to"])


async def noted(db: Connection, seal: Seal) -> None:
    """Record, in the transaction that wrote the seal, that the next one begins after it."""
    await db.execute("update ledger.checkpoint set sealed = $1, sealed_at = now()", seal.up_to)


async def of(db: Connection, after: int, up_to: int) -> Seal:
    """Compute the seal of a range from its transfers as they are now."""
    row = await db.fetchrow(_DIGEST, after, up_to)
    assert row is not None
    return Seal(after, up_to, row["count"], row["digest"])
