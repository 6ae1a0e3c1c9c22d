"""Who runs the platform: a flag of users, given and taken by those who have it."""

from modellix_server import audit, identity
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.identity import User
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


async def list_all(ctx: Context, who: Principal) -> list[User]:
    """Every operator, the longest there first."""
    who.require(Permission.OPERATE)
    return await identity.operators(ctx.db)


async def add(ctx: Context, who: Principal, email: str) -> User:
    """Make the user with this address an operator. Raises InvalidParameters for an unknown one, SignInTooOld."""
    who.require(Permission.OPERATE)
    who.require_fresh()
    async with ctx.transaction() as tx:
        found = await identity.user_by_email(tx, email)
        if found is None:
            raise InvalidParameters("nobody has signed in with this address yet")
        await identity.set_operator(tx, found.id, operator=True)
        await audit.record(tx, who.actor, "operator.add", f"user:{found.id}")
    return found


async def remove(ctx: Context, who: Principal, user_id: int) -> None:
    """Take the flag away, at once. Raises NotFound, InvalidParameters for the last operator, SignInTooOld."""
    who.require(Permission.OPERATE)
    who.require_fresh()
    async with ctx.transaction() as tx:
        if not await identity.other_operators(tx, user_id):
            raise InvalidParameters("an installation has at least one operator")
        if user_id not in {one.id for one in await identity.operators(tx)}:
            raise NotFound("there is no such operator")
        await identity.set_operator(tx, user_id, operator=False)
        await audit.record(tx, who.actor, "operator.remove", f"user:{user_id}")
