"""`admin webhook`: endpoints of a team, what was sent to them, sending it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from modellix_server.base.ids import task_name
from modellix_server.base.money import micros_from_usd, usd
from modellix_server.cli.command import Limit, TeamName, TestMode, command
from modellix_server.cli.context import CommandContext, RefusedError

if TYPE_CHECKING:
    from modellix_server.webhooks import AlertChoice, Delivery, Endpoint

app = typer.Typer(help="Where teams are told of their tasks.", no_args_is_help=True)

BalanceBelow = Annotated[
    str | None, typer.Option("--balance-below", metavar="USD", help="Tell it when less than this is available.")
]
Budgets = Annotated[bool, typer.Option("--budgets", help="Tell it of budgets at 80 % and 100 %.")]
EndpointName = Annotated[str, typer.Argument(metavar="ID", help="we_…, from `webhook list`.")]


@command(app, "create")
async def create(
    context: CommandContext,
    team: TeamName,
    url: Annotated[str, typer.Argument(metavar="URL", help="An https link.")],
    below: BalanceBelow = None,
    budgets: Budgets = False,
    test: TestMode = False,
) -> None:
    """Tell a link of every ended task of a team, and print its signing secret: it cannot be shown again."""
    from modellix_server.operations import webhooks

    of = await context.team_mode(team, test=test)
    made, secret = await webhooks.create(context.operations, context.who, of, url, _alerts(below, told=budgets))
    if context.as_json:
        context.show({**_endpoint(made), "secret": secret})
        return
    typer.secho(f"The signing secret of endpoint we_{made.id.hex}, shown only now:", err=True)
    typer.echo(secret)


@command(app, "alerts")
async def alerts(
    context: CommandContext,
    team: TeamName,
    endpoint: EndpointName,
    below: BalanceBelow = None,
    budgets: Budgets = False,
    test: TestMode = False,
) -> None:
    """Choose what an endpoint is told beside ended tasks: what is not named it is told no more."""
    from modellix_server.operations import webhooks

    of = await context.team_mode(team, test=test)
    chosen = _alerts(below, told=budgets)
    context.show(_endpoint(await webhooks.change(context.operations, context.who, of, _id(endpoint), alerts=chosen)))


@command(app, "list")
async def list_all(context: CommandContext, team: TeamName, test: TestMode = False) -> None:
    """Show a team's endpoints and how they are doing."""
    from modellix_server.operations import webhooks

    found = await webhooks.list_all(context.operations, context.who, await context.team_mode(team, test=test))
    context.show_all([_endpoint(one) for one in found], none="No endpoints.")


@command(app, "enable")
async def enable(context: CommandContext, team: TeamName, endpoint: EndpointName, test: TestMode = False) -> None:
    """Put an endpoint that was given up back into service."""
    from modellix_server.operations import webhooks

    of = await context.team_mode(team, test=test)
    changed = await webhooks.change(context.operations, context.who, of, _id(endpoint), enabled=True)
    context.show(_endpoint(changed))


@command(app, "delete")
async def delete(context: CommandContext, team: TeamName, endpoint: EndpointName, test: TestMode = False) -> None:
    """Remove an endpoint with everything that waits for it."""
    from modellix_server.operations import webhooks

    of = await context.team_mode(team, test=test)
    await webhooks.delete(context.operations, context.who, of, _id(endpoint))
    context.show({"id": endpoint, "deleted": True})


@command(app, "deliveries")
async def deliveries(context: CommandContext, team: TeamName, limit: Limit = 50, test: TestMode = False) -> None:
    """Show what was sent to a team, and what came of it."""
    from modellix_server.operations import webhooks

    of = await context.team_mode(team, test=test)
    found = await webhooks.deliveries(context.operations, context.who, of, limit=limit)
    context.show_all([_delivery(one) for one in found], none="Nothing was sent.")


@command(app, "replay")
async def replay(context: CommandContext, team: TeamName, endpoint: EndpointName, test: TestMode = False) -> None:
    """Send again everything that an endpoint has failed to take."""
    from modellix_server.operations import webhooks

    of = await context.team_mode(team, test=test)
    count = await webhooks.replay_failed(context.operations, context.who, of, _id(endpoint))
    context.show({"id": endpoint, "replayed": count})


def _id(text: str) -> UUID:
    try:
        return UUID(hex=text.removeprefix("we_"))
    except ValueError:
        raise RefusedError(f"there is no endpoint '{text}'") from None


def _alerts(below: str | None, *, told: bool) -> AlertChoice:
    from modellix_server.webhooks import AlertChoice

    try:
        return AlertChoice(None if below is None else micros_from_usd(below), told)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def _endpoint(one: Endpoint) -> dict[str, Any]:
    return {
        "id": f"we_{one.id.hex}",
        "url": one.url,
        "failing_since": one.failing_since,
        "disabled_at": one.disabled_at,
        "disabled_why": one.disabled_why,
        "created_at": one.created_at,
        "balance_below_usd": None if one.alerts.balance_below is None else usd(one.alerts.balance_below),
        "budgets": one.alerts.budgets,
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    from modellix_server.webhooks import message_name

    last = one.attempts[-1] if one.attempts else None
    return {
        "id": message_name(one.id),
        "task": task_name(one.task_id) if one.task_id else None,
        "url": one.url,
        "event": one.event,
        "state": one.state,
        "attempts": len(one.attempts),
        "last": None if last is None else (last.status or last.error),
        "created_at": one.created_at,
        "next_try_at": one.due_at,
    }
