"""A user's own account: what it says about itself, what its browser shows, its sessions, its end."""

from collections.abc import Sequence
from zoneinfo import available_timezones

from modellix_server import audit, identity
from modellix_server.base.errors import InvalidParameters
from modellix_server.identity import Session
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

LANGUAGES, THEMES = ("en", "zh"), ("light", "dark")


async def show(ctx: Context, who: Principal) -> None:
    """Let the pages of this session show the team and mode of the principal where they name none."""
    who.require(Permission.USE_ACCOUNT)
    assert who.session_id is not None
    await identity.show(ctx.db, who.session_id, who.team.team_id, live=who.team.live)


async def change(
    ctx: Context, who: Principal, *, name: str, language: str | None, time_zone: str | None, theme: str | None
) -> None:
    """Change name, language, time zone (IANA) and theme; None leaves it to the browser. Raises InvalidParameters."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    if language not in (None, *LANGUAGES) or theme not in (None, *THEMES):
        raise InvalidParameters("there is no such language or theme")
    if time_zone is not None and time_zone not in available_timezones():
        raise InvalidParameters("there is no such time zone")
    async with ctx.transaction() as tx:
        await identity.change_user(tx, who.user_id, name=name, language=language, time_zone=time_zone, theme=theme)
        await audit.record(tx, who.actor, "user.change", who.id)


async def sessions(ctx: Context, who: Principal) -> Sequence[Session]:
    """The user's signed-in browsers, the newest first."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    return await identity.sessions_of(ctx.db, who.user_id)


async def end_session(ctx: Context, who: Principal, session_id: int) -> None:
    """Sign one of the user's browsers out, this one or another. Raises NotFound."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    async with ctx.transaction() as tx:
        await identity.end_session(tx, who.user_id, session_id)
        await audit.record(tx, who.actor, "session.end", f"session:{session_id}")


async def end_other_sessions(ctx: Context, who: Principal) -> None:
    """Sign all of the user's browsers out but this one."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    assert who.session_id is not None
    async with ctx.transaction() as tx:
        ended = await identity.end_other_sessions(tx, who.user_id, who.session_id)
        await audit.record(tx, who.actor, "session.end", who.id, others=ended)


async def delete(ctx: Context, who: Principal, email: str) -> None:
    """Delete the user: records keep its number, its address and name are forgotten, its teams and books stay.

    Raises InvalidParameters unless its address is given, or for the last owner of a team or the only operator;
    SignInTooOld.
    """
    who.require(Permission.USE_ACCOUNT)
    who.require_fresh()
    assert who.user_id is not None
    async with ctx.transaction() as tx:
        user = await identity.find_user(tx, who.user_id)
        if email.strip().lower() != user.email:
            raise InvalidParameters("to delete your account, enter its e-mail address")
        if user.operator and await identity.other_operators(tx, user.id) == 0:
            raise InvalidParameters("you are the only operator of this installation: somebody must run it")
        owned = await identity.memberships(tx, user.id)
        for membership in sorted(owned, key=lambda one: one.team.id):  # in one order, so that nobody waits in a ring
            await identity.lock_team(tx, membership.team.id)
            try:
                await identity.remove_member(tx, membership.team.id, user.id)
            except InvalidParameters:
                raise InvalidParameters(
                    f"you are the only owner of {membership.team.name}: make somebody else the owner, or end the team"
                ) from None
        await identity.delete_user(tx, user.id)
        for membership in owned:
            await audit.record(tx, who.actor, "member.remove", who.id, team_id=membership.team.id, revoked_keys=0)
        await audit.record(tx, who.actor, "user.delete", who.id)
