"""API keys."""

from modellix_server import audit, identity
from modellix_server.base.database import Connection
from modellix_server.base.errors import NotFound
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import ApiKey
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


async def create(ctx: Context, who: Principal, of: TeamMode, name: str) -> tuple[str, ApiKey]:
    """A new key: its text, which cannot be shown again, and what is kept of it.

    Raises InvalidParameters for a name that is not fit, NotFound for an unknown team, SignInTooOld for a live key.
    """
    who.require(Permission.MANAGE_OWN_KEYS, of)
    if of.live:
        who.require_fresh()
    async with ctx.transaction() as tx:
        return await create_in(tx, ctx, who, of, name)


async def create_in(tx: Connection, ctx: Context, who: Principal, of: TeamMode, name: str) -> tuple[str, ApiKey]:
    """The same within a transaction that does more."""
    await identity.require_team(tx, of.team_id)
    text, key = await identity.create_key(
        tx, ctx.settings.secret, of.team_id, live=of.live, name=name, created_by=who.id
    )
    await audit.record(tx, who.actor, "key.create", f"key:{key.id}", team_id=of.team_id, mode=of.mode, name=key.name)
    return text, key


async def list_all(ctx: Context, who: Principal, team: str | None = None) -> list[tuple[ApiKey, str]]:
    """The keys of a team in both modes, or of all teams, with the name of the team; oldest first, also revoked ones.

    Raises NotFound for an unknown team.
    """
    who.require(Permission.OPERATE)
    team_id = None if team is None else (await identity.find_team(ctx.db, team)).id
    found = await identity.list_keys(ctx.db, team_id)
    names = {one.id: one.name for one in await identity.list_teams(ctx.db)}
    return [(key, names[key.team_id]) for key in found]


async def list_of_team(ctx: Context, who: Principal, of: TeamMode) -> list[tuple[ApiKey, str]]:
    """The keys of a team in one mode with the name of who created each, oldest first, also revoked ones."""
    who.require(Permission.READ_KEYS, of)
    found = [key for key in await identity.list_keys(ctx.db, of.team_id) if key.live == of.live]
    users = {int(creator[5:]) for key in found if (creator := key.created_by).startswith("user:")}
    names = {f"user:{number}": name for number, name in (await identity.user_names(ctx.db, users)).items()}
    return [(key, names.get(key.created_by, key.created_by)) for key in found]


async def revoke(ctx: Context, who: Principal, key_id: int) -> ApiKey:
    """End a key at once and for good. Idempotent. Raises NotFound, Forbidden for the key of somebody else."""
    who.require(Permission.MANAGE_OWN_KEYS)
    async with ctx.transaction() as tx:
        key = await identity.revoke_key(tx, key_id)
        if who.scope is not None and who.scope != TeamMode(key.team_id, key.live):
            raise NotFound(f"key {key_id} not found")
        if key.created_by != who.id:
            who.require(Permission.MANAGE_KEYS)
        await audit.record(tx, who.actor, "key.revoke", f"key:{key.id}", team_id=key.team_id, name=key.name)
    return key
