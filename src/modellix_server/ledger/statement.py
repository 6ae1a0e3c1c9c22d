"""A team's statement: its transfers, newest first."""

from dataclasses import dataclass
from uuid import UUID

from modellix_server.base.database import Connection
from modellix_server.base.pages import ALWAYS, Page, Span, Where
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger.store import Transfer

FUNDING = ("topup", "adjust")
_MARGIN = "interval '1 minute'"  # transactions that ran side by side have numbers and times in different orders
KINDS = (*FUNDING, "hold", "capture", "release")


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """Selects transfers; None matches all."""

    kind: str | None = None
    task_id: UUID | None = None
    key_id: int | None = None
    """What this key was charged: with `kind` capture only."""
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
    where.add_given("key_id = {}", wanted.key_id)
    if wanted.at.since is not None:
        where.add("at >= {}", wanted.at.since)
        where.add(f"id >= (select ledger.first_transfer_at({{}}::timestamptz - {_MARGIN}))", wanted.at.since)
    if wanted.at.until is not None:
        where.add("at < {}", wanted.at.until)
        where.add(f"id < (select ledger.first_transfer_at({{}}::timestamptz + {_MARGIN}))", wanted.at.until)
    where.add_given("id < {}", after)
    rows = await db.fetch(
        f"""select id, at, kind, debit, credit, amount, task_id, key_id, actor, note
            from ledger.transfer where {where} order by id desc limit {where.place(most)}""",  # noqa: S608
        *where.arguments,
    )
    return Page([Transfer(*row) for row in rows], rows[-1]["id"] if len(rows) == most else None)
