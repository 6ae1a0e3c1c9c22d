"""Webhooks of a team in one mode: its endpoints, their secrets, what was sent there."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from modellix_server import audit, webhooks
from modellix_server.base.database import Connection
from modellix_server.base.external_link import ExternalLink
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.webhooks import NO_ALERTS, AlertChoice, Delivery, Endpoint

_KEPT = timedelta(days=30)


async def create(
    ctx: Context, who: Principal, of: TeamMode, url: str, alerts: AlertChoice = NO_ALERTS
) -> tuple[Endpoint, str]:
    """A new endpoint and its signing secret, which is not shown again.

    Raises InvalidParameters for a link that may not be called, and where there are too many endpoints; OutOfRange.
    """
    who.require(Permission.MANAGE_WEBHOOKS, of)
    settings = ctx.settings
    async with ctx.transaction() as tx:
        made, secret = await webhooks.create(tx, settings.keyring, of, url, settings.allow_networks, alerts)
        await _record(tx, who, of, "webhook.create", made.id, host=ExternalLink.parse(made.url).host)
    return made, secret


async def list_all(ctx: Context, who: Principal, of: TeamMode) -> list[Endpoint]:
    """Every endpoint, oldest first."""
    who.require(Permission.READ_WEBHOOKS, of)
    return await webhooks.list_all(ctx.db, of)


async def find(ctx: Context, who: Principal, of: TeamMode, endpoint_id: UUID) -> Endpoint:
    """One endpoint; raises NotFound."""
    who.require(Permission.READ_WEBHOOKS, of)
    return await webhooks.find(ctx.db, of, endpoint_id)


async def change(
    ctx: Context,
    who: Principal,
    of: TeamMode,
    endpoint_id: UUID,
    *,
    url: str | None = None,
    enabled: bool | None = None,
    alerts: AlertChoice | None = None,
) -> Endpoint:
    """Point an endpoint elsewhere, disable or enable it, choose its alerts.

    Raises InvalidParameters, OutOfRange or NotFound.
    """
    who.require(Permission.MANAGE_WEBHOOKS, of)
    async with ctx.transaction() as tx:
        opened = ctx.settings.allow_networks
        changed = await webhooks.change(tx, of, endpoint_id, opened, url=url, enabled=enabled, alerts=alerts)
        about: dict[str, Any] = {"enabled": changed.disabled_at is None, "host": ExternalLink.parse(changed.url).host}
        if alerts is not None:
            about |= {"balance_below_micros": alerts.balance_below, "budgets": alerts.budgets}
        await _record(tx, who, of, "webhook.change", endpoint_id, **about)
    return changed


async def delete(ctx: Context, who: Principal, of: TeamMode, endpoint_id: UUID) -> None:
    """Remove an endpoint with everything that was or would be sent there; raises NotFound."""
    who.require(Permission.MANAGE_WEBHOOKS, of)
    async with ctx.transaction() as tx:
        await webhooks.delete(tx, of, endpoint_id)
        await _record(tx, who, of, "webhook.delete", endpoint_id)


async def rotate(ctx: Context, who: Principal, of: TeamMode, endpoint_id: UUID | None) -> str:
    """A new signing secret for an endpoint, or (None) for links given with tasks; the former one signs too for a day.

    Raises NotFound.
    """
    who.require(Permission.MANAGE_WEBHOOKS, of)
    async with ctx.transaction() as tx:
        secret = await webhooks.rotate(tx, ctx.settings.keyring, of, endpoint_id)
        await _record(tx, who, of, "webhook.rotate", endpoint_id)
    return secret


async def team_secret(ctx: Context, who: Principal, of: TeamMode) -> str:
    """What signs messages to links given with a task; made when it is first asked for."""
    who.require(Permission.MANAGE_WEBHOOKS, of)
    return await webhooks.team_secret(ctx.db, ctx.settings.keyring, of)


async def deliveries(
    ctx: Context,
    who: Principal,
    of: TeamMode,
    endpoint_id: UUID | None = None,
    *,
    limit: int = 50,
    after: UUID | None = None,
    failed: bool = False,
) -> list[Delivery]:
    """The latest messages to an endpoint, or to the whole team, newest first. Raises NotFound for no such endpoint.

    With `after` those older than that message, with `failed` only those that were given up.
    """
    who.require(Permission.READ_WEBHOOKS, of)
    if endpoint_id is not None:
        await webhooks.find(ctx.db, of, endpoint_id)
    async with ctx.reading() as db:
        return await webhooks.deliveries(db, of, endpoint_id, limit, after=after, failed=failed)


async def replay(ctx: Context, who: Principal, of: TeamMode, message_id: UUID) -> None:
    """Send one message again, under its own id, with the whole retry schedule before it. Raises NotFound."""
    who.require(Permission.MANAGE_WEBHOOKS, of)
    async with ctx.transaction() as tx:
        await webhooks.replay(tx, of, message_id)
        await _record(tx, who, of, "webhook.replay", None, message=webhooks.message_name(message_id), count=1)


async def replay_failed(
    ctx: Context, who: Principal, of: TeamMode, endpoint_id: UUID, since: datetime | None = None
) -> int:
    """Send again what an endpoint has failed to take since then (by default all that is kept); returns how many.

    Raises NotFound.
    """
    who.require(Permission.MANAGE_WEBHOOKS, of)
    async with ctx.transaction() as tx:
        await webhooks.find(tx, of, endpoint_id)
        count = await webhooks.replay_failed(tx, of, endpoint_id, since or datetime.now(UTC) - _KEPT)
        await _record(tx, who, of, "webhook.replay", endpoint_id, count=count)
    return count


async def _record(
    tx: Connection, who: Principal, of: TeamMode, action: str, endpoint_id: UUID | None, **about: Any
) -> None:
    subject = f"team:{of.team_id}" if endpoint_id is None else f"we_{endpoint_id.hex}"
    await audit.record(tx, who.actor, action, subject, team_id=of.team_id, mode=of.mode, **about)
