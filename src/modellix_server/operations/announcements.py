"""What operators tell everybody who uses the console."""

from datetime import UTC, datetime, timedelta
from typing import Any

from modellix_server import announcements, audit
from modellix_server.announcements import Announcement
from modellix_server.base.errors import InvalidParameters
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_MOST = 100
_LONGEST = timedelta(days=366)


async def current(ctx: Context, who: Principal) -> list[Announcement]:
    """Those to be shown now, urgent ones first."""
    who.require(Permission.USE_ACCOUNT)
    return await announcements.current_announcements(ctx.db)


async def list_all(ctx: Context, who: Principal) -> list[Announcement]:
    """The latest 100, those that end last first."""
    who.require(Permission.OPERATE)
    return await announcements.list_announcements(ctx.db, _MOST)


async def add(
    ctx: Context, who: Principal, text: str, *, urgent: bool, starts_at: datetime | None, ends_at: datetime
) -> Announcement:
    """Show a line of text on every page of the console from a time (None: now) until another.

    Raises InvalidParameters for a text or times that are not fit.
    """
    who.require(Permission.OPERATE)
    now = datetime.now(UTC)
    starts_at = starts_at or now
    if ends_at <= now or ends_at - starts_at > _LONGEST:
        raise InvalidParameters("an announcement ends in the future, within a year of its start")
    async with ctx.transaction() as tx:
        made = await announcements.add_announcement(
            tx, text, urgent=urgent, starts_at=starts_at, ends_at=ends_at, by=who.id
        )
        about: dict[str, Any] = {
            "text": made.text,
            "urgent": urgent,
            "starts_at": f"{starts_at:%FT%TZ}",
            "ends_at": f"{ends_at:%FT%TZ}",
        }
        await audit.record(tx, who.actor, "announcement.add", f"announcement:{made.id}", **about)
    return made


async def end(ctx: Context, who: Principal, number: int) -> None:
    """Show one no more. Raises NotFound for one that has ended."""
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        ended = await announcements.end_announcement(tx, number)
        await audit.record(tx, who.actor, "announcement.end", f"announcement:{ended.id}", text=ended.text)
