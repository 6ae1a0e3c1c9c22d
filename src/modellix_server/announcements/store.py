"""All SQL of the announcements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound

_COLUMNS = "id, text, urgent, starts_at, ends_at, created_at, created_by"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A line of text that pages show between two times."""

    id: int
    text: str
    urgent: bool
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    created_by: str


async def add_announcement(
    tx: Connection, text: str, *, urgent: bool, starts_at: datetime, ends_at: datetime, by: str
) -> Announcement:
    """Raises InvalidParameters for a text that is not 1 to 500 printable characters, or an end before its start."""
    try:
        row = await tx.fetchrow(
            f"""insert into announcements.announcement (text, urgent, starts_at, ends_at, created_by)
                values ($1, $2, $3, $4, $5) returning {_COLUMNS}""",  # noqa: S608 - a constant
            text.strip(),
            urgent,
            starts_at,
            ends_at,
            by,
        )
    except (asyncpg.CheckViolationError, asyncpg.CharacterNotInRepertoireError):
        raise InvalidParameters(
            "an announcement has 1 to 500 characters in one line, and ends after it starts"
        ) from None
    assert row is not None
    return Announcement(*row)


async def end_announcement(tx: Connection, number: int) -> Announcement:
    """Show it no more. Raises NotFound for one that has ended, or that does not exist."""
    row = await tx.fetchrow(
        f"""update announcements.announcement set ends_at = greatest(now(), starts_at + interval '1 microsecond')
            where id = $1 and ends_at > now() returning {_COLUMNS}""",  # noqa: S608 - a constant
        number,
    )
    if row is None:
        raise NotFound("this announcement has ended, or does not exist")
    return Announcement(*row)


async def list_announcements(db: Pool | Connection, limit: int) -> list[Announcement]:
    """The latest, those that end last first."""
    rows = await db.fetch(
        f"select {_COLUMNS} from announcements.announcement order by ends_at desc, id desc limit $1",  # noqa: S608
        limit,
    )
    return [Announcement(*row) for row in rows]


async def current_announcements(db: Pool | Connection) -> list[Announcement]:
    """Those to be shown now, urgent ones first, then the newest."""
    rows = await db.fetch(
        f"""select {_COLUMNS} from announcements.announcement where ends_at > now() and starts_at <= now()
            order by urgent desc, starts_at desc, id desc limit 5"""  # noqa: S608 - a constant
    )
    return [Announcement(*row) for row in rows]
