"""Members of a team: their roles, and how they leave. A team is never without an owner.

Each change reads the principal's own role anew, under the lock of the team: it may have been lowered since the page was
shown.
"""

from modellix_server import audit, identity
from modellix_server.base.database import Connection
from modellix_server.base.errors import NotFound
from modellix_server.identity import Member, Role, Team
from modellix_server.operations.context import Context
from modellix_server.operations.principal import ROLE_PERMISSIONS, Forbidden, Permission, Principal


async def list_all(ctx: Context, who: Principal) -> list[Member]:
    """The members of the principal's team, those of the longest membership first."""
    who.require(Permission.READ_MEMBERS)
    return await identity.members_of(ctx.db, who.team.team_id)


async def change_role(ctx: Context, who: Principal, user_id: int, role: Role) -> None:
    """Make a member something else.

    Raises NotFound, SignInTooOld, Forbidden where an owner is concerned and the principal is none, InvalidParameters if
    no owner would be left.
    """
    who.require(Permission.MANAGE_MEMBERS)
    who.require_fresh()
    team_id = who.team.team_id
    async with ctx.transaction() as tx:
        before = await _member_to_change(tx, who, user_id, role)
        await identity.change_role(tx, team_id, user_id, role)
        about = {"before": before.value, "role": role.value}
        await audit.record(tx, who.actor, "member.role", f"user:{user_id}", team_id=team_id, **about)


async def remove(ctx: Context, who: Principal, user_id: int, *, keys_too: bool) -> None:
    """End a membership; with `keys_too` the API keys that the user made are revoked. Raises as `change_role`."""
    who.require(Permission.MANAGE_MEMBERS)
    who.require_fresh()
    async with ctx.transaction() as tx:
        await _member_to_change(tx, who, user_id)
        await _end(tx, who, user_id, keys_too=keys_too)


async def leave(ctx: Context, who: Principal) -> None:
    """End one's own membership; API keys that one made keep working. Raises InvalidParameters for the last owner."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    async with ctx.transaction() as tx:
        await identity.lock_team(tx, who.team.team_id)
        await _end(tx, who, who.user_id, keys_too=False)


async def require_now(tx: Connection, who: Principal, *needed: Permission) -> Team:
    """The principal's team, locked. Raises Forbidden unless its role there has these permissions at this moment."""
    assert who.user_id is not None
    team = await identity.lock_team(tx, who.team.team_id)
    role = await identity.role_of(tx, who.team.team_id, who.user_id)
    for permission in needed:
        if role is None or permission not in ROLE_PERMISSIONS[role]:
            raise Forbidden(f"you may not {permission}")
    return team


def needed_for(*roles: Role | None) -> tuple[Permission, ...]:
    """What somebody needs to change members of these roles, or to give them."""
    return (Permission.MANAGE_MEMBERS, *((Permission.MANAGE_OWNERS,) if Role.OWNER in roles else ()))


async def _member_to_change(tx: Connection, who: Principal, user_id: int, to: Role | None = None) -> Role:
    """What the member is now, once the team is locked and the principal may change that."""
    await require_now(tx, who, Permission.MANAGE_MEMBERS)
    role = await identity.role_of(tx, who.team.team_id, user_id)
    if role is None:
        raise NotFound("this user does not belong to the team")
    await require_now(tx, who, *needed_for(role, to))
    return role


async def _end(tx: Connection, who: Principal, user_id: int, *, keys_too: bool) -> None:
    team_id = who.team.team_id
    await identity.remove_member(tx, team_id, user_id)
    revoked = await identity.revoke_keys(tx, team_id, f"user:{user_id}") if keys_too else 0
    await audit.record(tx, who.actor, "member.remove", f"user:{user_id}", team_id=team_id, revoked_keys=revoked)
