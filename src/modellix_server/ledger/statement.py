"""A team's statement: its transfers, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from modellix_server.base.database import Connection
from modellix_server.base.pages import ALWAYS, Page, Span, Where
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger.store import Balance, Transfer

FUNDING = ("topup", "adjust")
_MARGIN = "interval '1 minute'"  # transactions that ran side by side have numbers and times in different orders
KINDS = (*FUNDING, "hold", "capture", "release")


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """Selects transfers; None matches all."""

    kind: str | None = None
    task_id: UUID | None = None
    key_ids: Sequence[int] | None = None
    """What any of these keys was charged: with `kind` capture only."""
    at: Span = ALWAYS


async def list_transfers(
    db: Connection, owner: TeamMode, wanted: TransferFilter, *, after: int | None, most: int
) -> Page[Transfer, int]:
    """Up to `most` transfers, the latest first; those before number `after` when it is given."""
    where = Where([])
    where.add("team_id = {} and live = {}", owner.team_id, owner.live)
    if wanted.kind in FUNDING:
        where.add("kind in ('topup', 'adjust')")  # word for word the condition of an index
    if wanted.kind == "capture":
        where.add("kind = 'capture'")  # likewise
    elif wanted.kind is not None:
        where.add("kind = {}", wanted.kind)
    where.add_given("task_id = {}", wanted.task_id)
    if wanted.at.since is not None:
        where.add("at >= {}", wanted.at.since)
        where.add(f"id >= (select ledger.first_transfer_at({{}}::timestamptz - {_MARGIN}))", wanted.at.since)
    if wanted.at.until is not None:
        where.add("at < {}", wanted.at.until)
        where.add(f"id < (select ledger.first_transfer_at({{}}::timestamptz + {_MARGIN}))", wanted.at.until)
    where.add_given("id < {}", after)
    limit = where.place(most)
    found = "select id, at, kind, debit, credit, amount, task_id, key_id, actor, note from ledger.transfer"
    if wanted.key_ids is None:
        query = f"{found} where {where}"
    else:  # each key's latest by its index
        each = f"{found} where {where} and key_id = of.key order by id desc limit {limit}"
        keys = f"unnest({where.place(wanted.key_ids)}::bigint[]) of (key)"
        query = f"select t.* from {keys} cross join lateral ({each}) t"  # noqa: S608 - texts of ours
    rows = await db.fetch(f"{query} order by id desc limit {limit}", *where.arguments)
    return Page([Transfer(*row) for row in rows], rows[-1]["id"] if len(rows) == most else None)


async def funding(db: Connection, owner: TeamMode, at: Span) -> list[Transfer]:
    """Top-ups and corrections within a span, in their order."""
    where = _funding(owner, at)
    rows = await db.fetch(
        f"""select id, at, kind, debit, credit, amount, task_id, key_id, actor, note
            from ledger.transfer where {where} order by id""",  # noqa: S608
        *where.arguments,
    )
    return [Transfer(*row) for row in rows]


async def funded(db: Connection, owner: TeamMode, at: Span) -> int:
    """What top-ups and corrections within a span came to, in micro-dollars."""
    where = _funding(owner, at)
    total: int = await db.fetchval(
        f"""select coalesce(sum(case credit when 'team' then amount else -amount end), 0)::bigint
            from ledger.transfer where {where}""",  # noqa: S608
        *where.arguments,
    )
    return total


def _funding(owner: TeamMode, at: Span) -> Where:
    where = Where([])
    where.add("team_id = {} and live = {}", owner.team_id, owner.live)
    where.add("kind in ('topup', 'adjust')")  # word for word the condition of an index
    where.add_given("at >= {}", at.since)
    where.add_given("at < {}", at.until)
    return where


async def balances_after(db: Connection, owner: TeamMode, transfer_ids: Sequence[int]) -> dict[int, Balance]:
    """The team's balance after each of some transfers of it; `db` must read one snapshot.

    From the nearest later balance that is known, an anchor or the present one, what came in between is taken off.
    """
    rows = await db.fetch(
        """select w.id, coalesce(a.posted, b.posted) - e.posted as posted, coalesce(a.held, b.held) - e.held as held
           from unnest($3::bigint[]) w (id)
           join ledger.balance b on b.team_id = $1 and b.live = $2
           left join lateral (
               select id, posted, held from ledger.anchor
               where team_id = $1 and live = $2 and id >= w.id order by id limit 1) a on true
           cross join lateral (
               select coalesce(sum(posted), 0) as posted, coalesce(sum(held), 0) as held from ledger.effect
               where team_id = $1 and live = $2 and id > w.id and id <= coalesce(a.id, 9223372036854775807)) e""",
        *(owner.team_id, owner.live, transfer_ids),
    )
    return {row["id"]: Balance(int(row["posted"]), int(row["held"])) for row in rows}
