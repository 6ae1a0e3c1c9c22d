"""Admin commands about webhooks: endpoints of a team, what was sent to them, sending it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import typer
from yarl import URL

from modellix_server import identity, webhooks
from modellix_server.base.ids import task_name
from modellix_server.base.team_mode import TeamMode
from modellix_server.cli.context import CommandContext, RefusedError
from modellix_server.webhooks import Delivery, Endpoint

_KEPT = timedelta(days=30)


async def create(desk: CommandContext, team: str, url: str, *, live: bool) -> None:
    """Create an endpoint and print its signing secret, alone on standard output."""
    settings = desk.settings
    purse = await _purse(desk, team, live=live)
    async with desk.db.transaction():
        made, secret = await webhooks.create(desk.db, settings.keyring, purse, url, settings.allow_networks)
        await _record(desk, "webhook.create", _name(made), purse, host=URL(made.url).host)
    if desk.as_json:
        desk.show({**_endpoint(made), "secret": secret})
        return
    typer.secho(f"The signing secret of endpoint {_name(made)}, shown only now:", err=True)
    typer.echo(secret)


async def list_all(desk: CommandContext, team: str, *, live: bool) -> None:
    """Show a team's endpoints."""
    found = await webhooks.list_all(desk.db, await _purse(desk, team, live=live))
    desk.show_all([_endpoint(one) for one in found], none="No endpoints.")


async def delete(desk: CommandContext, team: str, endpoint: str, *, live: bool) -> None:
    """Remove an endpoint."""
    purse = await _purse(desk, team, live=live)
    async with desk.db.transaction():
        await webhooks.delete(desk.db, purse, _id(endpoint))
        await _record(desk, "webhook.delete", endpoint, purse)
    desk.show({"id": endpoint, "deleted": True})


async def enable(desk: CommandContext, team: str, endpoint: str, *, live: bool) -> None:
    """Put an endpoint back into service."""
    purse = await _purse(desk, team, live=live)
    async with desk.db.transaction():
        changed = await webhooks.change(desk.db, purse, _id(endpoint), (), url=None, enabled=True)
        await _record(desk, "webhook.change", endpoint, purse, enabled=True)
    desk.show(_endpoint(changed))


async def deliveries(desk: CommandContext, team: str, limit: int, *, live: bool) -> None:
    """Show the latest messages to a team, endpoints or not."""
    found = await webhooks.deliveries(desk.db, await _purse(desk, team, live=live), None, limit)
    desk.show_all([_delivery(one) for one in found], none="Nothing was sent.")


async def replay(desk: CommandContext, team: str, endpoint: str, *, live: bool) -> None:
    """Send again what an endpoint has failed to take."""
    purse = await _purse(desk, team, live=live)
    await webhooks.find(desk.db, purse, _id(endpoint))
    since = datetime.now(UTC) - _KEPT
    async with desk.db.transaction():
        count = await webhooks.replay_failed(desk.db, purse, _id(endpoint), since)
        await _record(desk, "webhook.replay", endpoint, purse, count=count)
    desk.show({"id": endpoint, "replayed": count})


async def _record(desk: CommandContext, action: str, subject: str, purse: TeamMode, **details: Any) -> None:
    mode = "live" if purse.live else "test"
    await desk.record(action, subject, team_id=purse.team_id, mode=mode, **details)


async def _purse(desk: CommandContext, team: str, *, live: bool) -> TeamMode:
    return TeamMode((await identity.find_team(desk.db, team)).id, live)


def _id(text: str) -> UUID:
    try:
        return UUID(hex=text.removeprefix("we_"))
    except ValueError:
        raise RefusedError(f"there is no endpoint '{text}'") from None


def _name(one: Endpoint) -> str:
    return f"we_{one.id.hex}"


def _endpoint(one: Endpoint) -> dict[str, Any]:
    return {
        "id": _name(one),
        "url": one.url,
        "failing_since": one.failing_since,
        "disabled_at": one.disabled_at,
        "disabled_why": one.disabled_why,
        "created_at": one.created_at,
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    last = one.attempts[-1] if one.attempts else None
    return {
        "id": webhooks.message_name(one.id),
        "task": task_name(one.task_id),
        "url": one.url,
        "event": one.event,
        "state": one.state,
        "attempts": len(one.attempts),
        "last": None if last is None else (last.status or last.error),
        "created_at": one.created_at,
        "next_try_at": one.due_at,
    }
