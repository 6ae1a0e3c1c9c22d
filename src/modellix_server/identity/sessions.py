"""Signed-in browsers, and the one-time links that sign in, with their SQL.

Cookies and links hold 32 random bytes; only their SHA-256 is stored, which suffices for what cannot be guessed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import NotFound
from modellix_server.identity.people import Membership, Role, User
from modellix_server.identity.store import Team

IDLE = timedelta(days=7)
LONGEST = timedelta(days=30)
LINK_LASTS = timedelta(minutes=15)
_SEEN_EVERY = timedelta(minutes=5)
_FORM = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SESSION = "s.id, s.user_id, s.method, s.address, s.agent, s.signed_in_at, s.seen_at, s.ends_at, s.team_id, s.live"


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser."""

    id: int
    user_id: int
    method: str
    """How it signed in: `link`, `code`, or the name of an identity provider."""
    address: str
    agent: str
    """The browser's own words, shortened."""
    signed_in_at: datetime
    """Of the last proof of identity."""
    seen_at: datetime
    """To a few minutes."""
    ends_at: datetime
    team_id: int | None
    """What its pages show where a page names no team."""
    live: bool


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sits at a signed-in browser."""

    session: Session
    user: User
    memberships: Sequence[Membership]


def new_token() -> str:
    """32 random bytes as 43 characters that fit a cookie and a path."""
    return secrets.token_urlsafe(32)


def stored_token(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def open_session(tx: Connection, user_id: int, *, method: str, address: str, agent: str) -> tuple[str, Session]:
    """Sign a browser in: the text of its cookie, which is not stored, and the session."""
    token = new_token()
    row = await tx.fetchrow(
        f"""insert into identity.session as s (hash, user_id, method, address, agent, ends_at, team_id)
            values ($1, $2, $3, $4, $5, now() + $6, (
                select team_id from identity.membership where user_id = $2 order by created_at, team_id limit 1
            )) returning {_SESSION}""",  # noqa: S608 - a constant
        stored_token(token),
        user_id,
        method,
        address,
        "".join(one for one in agent if one.isprintable())[:200],
        LONGEST,
    )
    assert row is not None
    return token, Session(*row)


async def renew_session(tx: Connection, session_id: int, *, method: str) -> str:
    """A new cookie for a browser that showed anew who sits there; the cookie before is worth nothing."""
    token = new_token()
    await tx.execute(
        "update identity.session set hash = $2, method = $3, signed_in_at = now() where id = $1",
        session_id,
        stored_token(token),
        method,
    )
    return token


async def find_visitor(db: Pool | Connection, token: str) -> Visitor | None:
    """Who has this cookie; None for one that is unknown, ended, or was not used for long. One query."""
    if not _FORM.fullmatch(token):
        return None
    rows = await db.fetch(
        f"""select {_SESSION}, u.id, u.email, u.name, u.operator, u.language, u.time_zone, u.theme, u.created_at,
                   t.id, t.name, t.created_at, m.role, s.seen_at < now() - $3::interval
            from identity.session s join identity.app_user u on u.id = s.user_id
            left join identity.membership m on m.user_id = u.id left join identity.team t on t.id = m.team_id
            where s.hash = $1 and s.ends_at > now() and s.seen_at > now() - $2::interval and u.deleted_at is null
            order by m.created_at, t.id""",  # noqa: S608 - a constant
        stored_token(token),
        IDLE,
        _SEEN_EVERY,
    )
    if not rows:
        return None
    session, user = Session(*rows[0][:10]), User(*rows[0][10:18])
    if rows[0][22]:
        await db.execute("update identity.session set seen_at = now() where id = $1", session.id)
    teams = [Membership(Team(*row[18:21]), Role(row[21])) for row in rows if row[18] is not None]
    return Visitor(session, user, teams)


async def former_user(db: Pool | Connection, token: str) -> int | None:
    """Whose session had this cookie, whether or not it has ended; None after signing out."""
    found: int | None = await db.fetchval(
        """select s.user_id from identity.session s join identity.app_user u on u.id = s.user_id
           where s.hash = $1 and u.deleted_at is null""",
        stored_token(token),
    )
    return found


async def show(db: Pool | Connection, session_id: int, team_id: int, *, live: bool) -> None:
    """Change what the pages of a session show where they name no team."""
    await db.execute("update identity.session set team_id = $2, live = $3 where id = $1", session_id, team_id, live)


async def sessions_of(db: Pool | Connection, user_id: int) -> list[Session]:
    """The sessions of a user that have not ended, the newest first."""
    rows = await db.fetch(
        f"""select {_SESSION} from identity.session s where user_id = $1
            and ends_at > now() and seen_at > now() - $2::interval order by id desc""",  # noqa: S608 - a constant
        user_id,
        IDLE,
    )
    return [Session(*row) for row in rows]


async def end_session(tx: Connection, user_id: int, session_id: int) -> None:
    """Sign a browser of this user out. Raises NotFound."""
    ended = await tx.fetchval(
        "delete from identity.session where id = $1 and user_id = $2 returning true", session_id, user_id
    )
    if not ended:
        raise NotFound("session not found")


async def end_other_sessions(tx: Connection, user_id: int, kept_id: int) -> int:
    """Sign the other browsers of this user out; returns how many."""
    done: str = await tx.execute("delete from identity.session where user_id = $1 and id <> $2", user_id, kept_id)
    return int(done.rpartition(" ")[2])


async def create_link(tx: Connection, user_id: int | None) -> str:
    """A one-time link's token for a user, or, without one, for an operator to be. Used and old ones are deleted."""
    token = new_token()
    await tx.execute("delete from identity.sign_in_link where ends_at < now() or used_at is not null")
    await tx.execute(
        "insert into identity.sign_in_link (hash, user_id, ends_at) values ($1, $2, now() + $3)",
        stored_token(token),
        user_id,
        LINK_LASTS,
    )
    return token


async def read_link(db: Pool | Connection, token: str) -> int | None:
    """The user that a link is for; None for a user to be. Raises NotFound for one that is used, old or unknown."""
    row = await db.fetchrow(
        "select user_id from identity.sign_in_link where hash = $1 and used_at is null and ends_at > now()",
        stored_token(token),
    )
    if row is None:
        raise NotFound("this sign-in link was used already, or is too old")
    found: int | None = row["user_id"]
    return found


async def use_link(tx: Connection, token: str) -> int | None:
    """Use a link up: the user it is for, None for a user to be. Raises NotFound; of two at once, one does."""
    row = await tx.fetchrow(
        """update identity.sign_in_link set used_at = now()
           where hash = $1 and used_at is null and ends_at > now() returning user_id""",
        stored_token(token),
    )
    if row is None:
        raise NotFound("this sign-in link was used already, or is too old")
    found: int | None = row["user_id"]
    return found
