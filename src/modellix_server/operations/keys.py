"""API keys: made, limited, rotated, ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from modellix_server import audit, budgets, identity, limits
from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound, OutOfRange
from modellix_server.base.money import usd
from modellix_server.base.team_mode import TeamMode
from modellix_server.budgets import Budget, BudgetLimit
from modellix_server.catalogue import ModelType
from modellix_server.identity import ANY_MODEL, AllowedModels, ApiKey
from modellix_server.limits import TeamLimits
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Forbidden, Permission, Principal

LONGEST_OVERLAP_H = 7 * 24
_LONGEST = timedelta(days=3660)
_MOST_KEYS = 1000
_MOST_MODELS = 200
_LONGEST_TAG = 64


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What a key may do, and until when."""

    allowed: AllowedModels = ANY_MODEL
    budget: BudgetLimit | None = None
    expires_at: datetime | None = None
    """None: never."""
    tag: str | None = None
    """A label of keys that belong together, such as a project."""


@dataclass(frozen=True, slots=True)
class KeyOverview:
    """A key with what it has spent."""

    key: ApiKey
    creator: str
    """The name of who created it."""
    budget: Budget | None


@dataclass(frozen=True, slots=True)
class OwnKey:
    """What a key reads about itself."""

    key: ApiKey
    budget: Budget | None
    team_budget: Budget | None
    limits: TeamLimits


_UNLIMITED = KeyOptions()


async def create(
    ctx: Context, who: Principal, of: TeamMode, name: str, options: KeyOptions = _UNLIMITED
) -> tuple[str, ApiKey]:
    """A new key: its text, which cannot be shown again, and what is kept of it.

    Raises InvalidParameters or OutOfRange for a name or an option that is not fit, NotFound for an unknown team,
    SignInTooOld for a live key.
    """
    who.require(Permission.MANAGE_OWN_KEYS, of)
    if of.live:
        who.require_fresh()
    _check(ctx, options)
    async with ctx.transaction() as tx:
        return await create_in(tx, ctx, who, of, name, options)


async def create_in(
    tx: Connection, ctx: Context, who: Principal, of: TeamMode, name: str, options: KeyOptions = _UNLIMITED
) -> tuple[str, ApiKey]:
    """The same within a transaction that does more."""
    await identity.require_team(tx, of.team_id)
    text, key = await identity.create_key(
        tx,
        ctx.settings.secret,
        of.team_id,
        live=of.live,
        name=name,
        created_by=who.id,
        allowed=options.allowed,
        expires_at=options.expires_at,
        tag=options.tag,
    )
    if len(await identity.list_keys(tx, of.team_id)) > _MOST_KEYS:
        raise InvalidParameters(f"a team has at most {_MOST_KEYS} keys: delete those that have ended")
    if options.budget is not None:
        await budgets.put(tx, of, key.id, options.budget)
    await _record(tx, who, "key.create", key, **_about(options))
    return text, key


async def change(ctx: Context, who: Principal, key_id: int, options: KeyOptions) -> ApiKey:
    """Change what a key may do, until when, and its tag: all of it. In force at once.

    Raises NotFound, Forbidden for the key of somebody else, InvalidParameters or OutOfRange.
    """
    who.require(Permission.MANAGE_OWN_KEYS)
    async with ctx.transaction() as tx:
        key = await _locked(tx, who, key_id)
        _check(ctx, options, now=key)
        if key.revoked_at is not None:
            raise InvalidParameters(f"the key {key.name!r} is revoked")
        await budgets.put(tx, TeamMode(key.team_id, key.live), key.id, options.budget)
        key = await identity.change_key(
            tx, key.id, allowed=options.allowed, expires_at=options.expires_at, tag=options.tag
        )
        await _record(tx, who, "key.change", key, **_about(options))
    return key


async def change_tag(ctx: Context, who: Principal, key_id: int, tag: str | None) -> ApiKey:
    """Give a key another tag or (None) none: what it has cost is summed there too. Also of a key that has ended.

    Raises NotFound, Forbidden for the key of somebody else, InvalidParameters.
    """
    who.require(Permission.MANAGE_OWN_KEYS)
    _check_tag(tag)
    async with ctx.transaction() as tx:
        key = await _locked(tx, who, key_id)
        key = await identity.change_key(tx, key.id, allowed=key.allowed, expires_at=key.expires_at, tag=tag)
        await _record(tx, who, "key.tag", key, tag=tag)
    return key


async def rotate(ctx: Context, who: Principal, key_id: int, *, overlap_h: int) -> tuple[str, ApiKey]:
    """Give a key another text: it, which cannot be shown again, and the key. The former one works `overlap_h` more.

    Raises NotFound, Forbidden for the key of somebody else, InvalidParameters for one that has ended, OutOfRange,
    SignInTooOld for a live key.
    """
    who.require(Permission.MANAGE_OWN_KEYS)
    if not 0 <= overlap_h <= LONGEST_OVERLAP_H:
        raise OutOfRange(f"the former key works for 0 to {LONGEST_OVERLAP_H} hours more, got {overlap_h}")
    async with ctx.transaction() as tx:
        key = await _locked(tx, who, key_id)
        if key.live:
            who.require_fresh()
        if key.state != "active":
            raise InvalidParameters(f"the key {key.name!r} is {key.state}: create another one")
        text, key = await identity.rotate_key(tx, ctx.settings.secret, key, timedelta(hours=overlap_h))
        await _record(tx, who, "key.rotate", key, overlap_h=overlap_h)
    return text, key


async def revoke(ctx: Context, who: Principal, key_id: int) -> ApiKey:
    """End a key at once and for good. Idempotent. Raises NotFound, Forbidden for the key of somebody else."""
    who.require(Permission.MANAGE_OWN_KEYS)
    async with ctx.transaction() as tx:
        await _locked(tx, who, key_id)
        key = await identity.revoke_key(tx, key_id)
        await _record(tx, who, "key.revoke", key)
    return key


async def delete(ctx: Context, who: Principal, key_id: int) -> ApiKey:
    """Show a key no more that is revoked or expired; the books go on naming it.

    Raises NotFound, Forbidden for the key of somebody else, InvalidParameters for one that may still be used.
    """
    who.require(Permission.MANAGE_OWN_KEYS)
    async with ctx.transaction() as tx:
        key = await _locked(tx, who, key_id)
        if key.state == "active":
            raise InvalidParameters(f"the key {key.name!r} may still be used: revoke it first")
        await budgets.put(tx, TeamMode(key.team_id, key.live), key.id, None)
        key = await identity.delete_key(tx, key.id)
        await _record(tx, who, "key.delete", key)
    return key


async def list_all(ctx: Context, who: Principal, team: str | None = None) -> list[tuple[ApiKey, str]]:
    """The keys of a team in both modes, or of all teams, with the name of the team; oldest first, also ended ones.

    Raises NotFound for an unknown team.
    """
    who.require(Permission.OPERATE)
    team_id = None if team is None else (await identity.find_team(ctx.db, team)).id
    found = await identity.list_keys(ctx.db, team_id)
    names = {one.id: one.name for one in await identity.list_teams(ctx.db)}
    return [(key, names[key.team_id]) for key in found]


async def list_of_team(ctx: Context, who: Principal, of: TeamMode) -> list[KeyOverview]:
    """The keys of a team in one mode, oldest first, also ended ones."""
    who.require(Permission.READ_KEYS, of)
    found = [key for key in await identity.list_keys(ctx.db, of.team_id) if key.live == of.live]
    users = {int(creator[5:]) for key in found if (creator := key.created_by).startswith("user:")}
    names = {f"user:{number}": name for number, name in (await identity.user_names(ctx.db, users)).items()}
    spent = await budgets.of_keys(ctx.db, [key.id for key in found])
    return [KeyOverview(key, names.get(key.created_by, key.created_by), spent.get(key.id)) for key in found]


async def find(ctx: Context, who: Principal, key_id: int) -> KeyOverview:
    """A key of the principal's team and mode, that it may change. Raises NotFound, Forbidden."""
    who.require(Permission.MANAGE_OWN_KEYS)
    key = await _locked(ctx.db, who, key_id)
    return KeyOverview(key, key.created_by, (await budgets.of_keys(ctx.db, [key.id])).get(key.id))


async def read_own(ctx: Context, who: Principal) -> OwnKey:
    """What the key that signed the request may do, and what it has spent. Raises Forbidden for who is no key."""
    who.require(Permission.READ_TEAM)
    if who.key_id is None:
        raise Forbidden("this needs an API key")
    async with ctx.reading() as db:
        return OwnKey(
            await identity.find_key(db, who.key_id),
            (await budgets.of_keys(db, [who.key_id])).get(who.key_id),
            (await budgets.of_teams(db, [who.team.team_id])).get((who.team.team_id, who.team.live)),
            await limits.of_team(db, who.team.team_id),
        )


def as_env_file(text: str, origin: str) -> str:
    """A new key as environment variables for a file. Raises InvalidParameters for a text that is no key."""
    if not identity.genuine(text):
        raise InvalidParameters("this is no API key")
    return f"MODELLIX_API_KEY={text}\nMODELLIX_BASE_URL={origin}\n"


async def _locked(db: Pool | Connection, who: Principal, key_id: int) -> ApiKey:
    """A key that the principal may change. Raises NotFound, Forbidden for the key of somebody else."""
    key = await identity.find_key(db, key_id, lock=True)
    if who.scope is not None and who.scope != TeamMode(key.team_id, key.live):
        raise NotFound(f"key {key_id} not found")
    if key.created_by != who.id:
        who.require(Permission.MANAGE_KEYS)
    return key


def _check(ctx: Context, options: KeyOptions, now: ApiKey | None = None) -> None:
    """Raise InvalidParameters or OutOfRange for what no key can have; what it has `now` may stay."""
    named = options.allowed
    if len(named.models) > _MOST_MODELS:
        raise InvalidParameters(f"a key names at most {_MOST_MODELS} models: allow types instead")
    for slug in named.models:
        if slug not in ctx.catalogue.models and (now is None or slug not in now.allowed.models):
            raise InvalidParameters(f"there is no model {slug!r}")
    for type_ in named.types:
        if type_ not in get_args(ModelType):
            raise InvalidParameters(f"a type of models is one of {', '.join(get_args(ModelType))}, got {type_!r}")
    if options.budget is not None:
        options.budget.check()
    _check_tag(options.tag)
    end = options.expires_at
    if end is None or (now is not None and end == now.expires_at):
        return
    if not timedelta(0) < end - datetime.now(UTC) <= _LONGEST:
        raise OutOfRange("a key expires within the next ten years, not in the past")


def _check_tag(tag: str | None) -> None:
    if tag is not None and not (0 < len(tag) <= _LONGEST_TAG and tag.isprintable() and tag == tag.strip()):
        raise InvalidParameters(f"a key's tag has 1 to {_LONGEST_TAG} printable characters")


def _about(options: KeyOptions) -> dict[str, object]:
    """The options for the audit log: those that limit something."""
    budget, end = options.budget, options.expires_at
    return {
        **({} if options.allowed.every else {"allowed": str(options.allowed)}),
        **({} if budget is None else {"budget_usd": usd(budget.amount), "period": budget.period}),
        **({} if end is None else {"expires_at": end.isoformat(timespec="seconds")}),
        **({} if options.tag is None else {"tag": options.tag}),
    }


async def _record(tx: Connection, who: Principal, action: str, key: ApiKey, **about: object) -> None:
    mode = TeamMode(key.team_id, key.live).mode
    await audit.record(tx, who.actor, action, f"key:{key.id}", team_id=key.team_id, mode=mode, name=key.name, **about)
