"""`admin team`: teams, their money and their limits."""

from dataclasses import asdict
from typing import Annotated

import typer

from modellix_server.base.money import micros_from_usd, usd
from modellix_server.cli.budget_options import BudgetAmount, Reset, budget_limit, shown_budget
from modellix_server.cli.command import TeamName, TestMode, command
from modellix_server.cli.context import CommandContext, RefusedError

app = typer.Typer(help="Teams, their money and their limits.", no_args_is_help=True)


@command(app, "create")
async def create(
    context: CommandContext, name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 characters.")]
) -> None:
    """Create a team, without money."""
    from modellix_server.operations import teams

    team = await teams.create(context.operations, context.who, name)
    context.show({"id": team.id, "name": team.name, "created_at": team.created_at})


@command(app, "list")
async def list_all(context: CommandContext) -> None:
    """Show every team with its money and limits."""
    from modellix_server.operations import teams

    rows = [
        {
            "id": one.team.id,
            "name": one.team.name,
            "live_usd": usd(one.live.available),
            "test_usd": usd(one.test.available),
            **asdict(one.limits),
            "created_at": one.team.created_at,
        }
        for one in await teams.list_all(context.operations, context.who)
    ]
    context.show_all(rows, none="No teams yet: modellix-server admin team create NAME")


@command(app, "limits")
async def limits(
    context: CommandContext,
    name: TeamName,
    concurrency: Annotated[int | None, typer.Option(help="Unfinished tasks at a time; 0 stops new ones.")] = None,
    rpm: Annotated[int | None, typer.Option(help="Requests per minute over all keys.")] = None,
    key_rpm: Annotated[int | None, typer.Option(help="Requests per minute of each key.")] = None,
    waiting: Annotated[int | None, typer.Option(help="Accepted tasks that may wait for a free slot.")] = None,
) -> None:
    """Change the limits of a team; without options, show them. In force at once."""
    from modellix_server.operations import teams

    team = await teams.find(context.operations, context.who, name)
    now = await teams.change_limits(
        context.operations,
        context.who,
        team.id,
        concurrency=concurrency,
        rpm=rpm,
        key_rpm=key_rpm,
        most_waiting=waiting,
    )
    context.show({"team": team.name, **asdict(now)})


@command(app, "inputs")
async def inputs(
    context: CommandContext,
    name: TeamName,
    days: Annotated[int | None, typer.Option(help="Redact them after so many days; 0: once a task has ended.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep them as long as the records.")] = False,
) -> None:
    """Change how long the inputs of a team are kept; without options, show it. Cost and all else stay."""
    from modellix_server.operations import inputs, teams

    if keep and days is not None:
        raise RefusedError("say either --days or --keep")
    team = await teams.find(context.operations, context.who, name)
    if keep or days is not None:
        await inputs.change_days(context.operations, context.who, team.id, days)
    context.show({"team": team.name, "input_days": await inputs.days_kept(context.operations, context.who, team.id)})


@command(app, "budget")
async def budget(
    context: CommandContext,
    name: TeamName,
    amount: BudgetAmount = None,
    reset: Reset = "none",
    end: Annotated[bool, typer.Option("--end", help="End the budget: only the balance limits the team.")] = False,
    test: TestMode = False,
) -> None:
    """Change the budget of a team over all its keys and users; without options, show it and its use."""
    from modellix_server.operations import budgets

    limit = budget_limit(amount, reset)
    if end and limit is not None:
        raise RefusedError("say either --budget or --end")
    of = await context.team_mode(name, test=test)
    if end or limit is not None:
        await budgets.change_of_team(context.operations, context.who, of, limit)
    now = await budgets.of_team(context.operations, context.who, of)
    context.show({"team": name, "mode": of.mode, **shown_budget(now)})


@command(app, "credit")
async def credit(
    context: CommandContext,
    name: TeamName,
    amount: Annotated[str | None, typer.Option("--usd", help="Amount in USD; negative takes a correction out.")] = None,
    micros: Annotated[int | None, typer.Option(help="Amount in millionths of a USD.")] = None,
    test: TestMode = False,
    note: Annotated[str | None, typer.Option(help="Kept with the transfer.")] = None,
) -> None:
    """Put money into a team's balance."""
    from modellix_server.operations import money

    if (amount is None) == (micros is None):
        raise RefusedError("say the amount with either --usd or --micros")
    if micros is None:
        try:
            micros = micros_from_usd(amount or "")
        except ValueError as error:
            raise RefusedError(str(error)) from None
    of = await context.team_mode(name, test=test)
    available = await money.credit(context.operations, context.who, of, micros, note)
    context.show({"team": name, "mode": of.mode, "credited_usd": usd(micros), "available_usd": usd(available)})
