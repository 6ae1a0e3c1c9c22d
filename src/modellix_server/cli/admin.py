# ruff: noqa: FBT002, PLC0415 - flags are Typer's way; each command imports what it runs when it runs, so that help is instant
"""`modellix-server admin`: teams, keys, vendor accounts, prices and webhooks, from a terminal or a program."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from modellix_server.embedded.data_directory import DEFAULT

app = typer.Typer(help="Teams, keys, vendor accounts and prices.", no_args_is_help=True)
_teams = typer.Typer(help="Teams, their money and their limits.", no_args_is_help=True)
_keys = typer.Typer(help="API keys.", no_args_is_help=True)
_upstreams = typer.Typer(help="Your accounts at the vendors.", no_args_is_help=True)
_vault = typer.Typer(help="The master key that your keys at vendors are encrypted under.", no_args_is_help=True)
_tasks = typer.Typer(help="What became of tasks.", no_args_is_help=True)
_webhooks = typer.Typer(help="Where teams are told of their tasks.", no_args_is_help=True)
_prices = typer.Typer(help="Your prices over the catalogue's list prices.", no_args_is_help=True)
app.add_typer(_teams, name="team")
app.add_typer(_keys, name="key")
app.add_typer(_upstreams, name="upstream")
app.add_typer(_vault, name="vault")
app.add_typer(_prices, name="price")
app.add_typer(_tasks, name="task")
app.add_typer(_webhooks, name="webhook")

Data = Annotated[Path, typer.Option("--data", envvar="MODELLIX_DATA", help="Data directory.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TeamName = Annotated[str, typer.Argument(metavar="TEAM", help="Name of the team.")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="provider/id, or '*' for every model.")]
TierName = Annotated[str | None, typer.Option("--tier", help="Only this tier of the model.")]
TestMode = Annotated[bool, typer.Option("--test", help="Test mode instead of live.")]
EndpointName = Annotated[str, typer.Argument(metavar="ID", help="we_…, from `webhook list`.")]
UpstreamName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the upstream, such as dashscope.")]

_HERE = Path(DEFAULT)


@_teams.command("create")
def create_team(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 characters.")],
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Create a team, without money."""
    from modellix_server.cli import admin_teams, context

    context.run(data, partial(admin_teams.create, name=name), as_json=as_json)


@_teams.command("list")
def list_teams(data: Data = _HERE, as_json: Json = False) -> None:
    """Show every team with its money and limits."""
    from modellix_server.cli import admin_teams, context

    context.run(data, admin_teams.list_all, as_json=as_json)


@_teams.command("limits")
def set_limits(
    name: TeamName,
    concurrency: Annotated[int | None, typer.Option(help="Unfinished tasks at a time; 0 stops new ones.")] = None,
    rpm: Annotated[int | None, typer.Option(help="Requests per minute over all keys.")] = None,
    key_rpm: Annotated[int | None, typer.Option(help="Requests per minute of each key.")] = None,
    waiting: Annotated[int | None, typer.Option(help="Accepted tasks that may wait for a free slot.")] = None,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Change the limits of a team; without options, show them. In force at once."""
    from modellix_server.cli import admin_teams, context

    job = partial(
        admin_teams.set_limits, name=name, concurrency=concurrency, rpm=rpm, key_rpm=key_rpm, most_waiting=waiting
    )
    context.run(data, job, as_json=as_json)


@_teams.command("credit")
def credit(
    name: TeamName,
    usd: Annotated[str | None, typer.Option(help="Amount in USD; negative takes a correction out.")] = None,
    micros: Annotated[int | None, typer.Option(help="Amount in millionths of a USD.")] = None,
    test: TestMode = False,
    note: Annotated[str | None, typer.Option(help="Kept with the transfer.")] = None,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Put money into a team's purse."""
    from modellix_server.cli import admin_teams, context

    job = partial(admin_teams.credit, name=name, amount_usd=usd, micros=micros, note=note, live=not test)
    context.run(data, job, as_json=as_json)


@_keys.command("create")
def create_key(
    team: Annotated[str, typer.Option(help="Name of the team.")],
    test: TestMode = False,
    name: Annotated[str, typer.Option(help="To tell it from others.")] = "key",
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Create an API key and print it: it cannot be shown again."""
    from modellix_server.cli import admin_teams, context

    job = partial(admin_teams.create_key, team_name=team, key_name=name, live=not test)
    context.run(data, job, as_json=as_json)


@_keys.command("list")
def list_keys(
    team: Annotated[str | None, typer.Option(help="Only keys of this team.")] = None,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Show API keys, without their texts."""
    from modellix_server.cli import admin_teams, context

    context.run(data, partial(admin_teams.list_keys, team_name=team), as_json=as_json)


@_keys.command("revoke")
def revoke_key(
    key_id: Annotated[int, typer.Argument(metavar="ID", help="Number of the key, from `key list`.")],
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """End an API key at once and for good."""
    from modellix_server.cli import admin_teams, context

    context.run(data, partial(admin_teams.revoke_key, key_id=key_id), as_json=as_json)


@_upstreams.command("set")
def set_upstream(
    name: UpstreamName,
    base_url: Annotated[str | None, typer.Option(help="Instead of the vendor's usual address.")] = None,
    region: Annotated[str | None, typer.Option(help="The vendor's region of the account.")] = None,
    result_origin: Annotated[
        list[str] | None, typer.Option(help="A further origin that results may come from; may be repeated.")
    ] = None,
    polls_per_second: Annotated[float | None, typer.Option(help="Instead of the vendor's usual limit.")] = None,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Store your account at a vendor. The key is read from standard input, or asked for at a terminal."""
    from modellix_server.cli import admin_upstreams, context

    job = partial(
        admin_upstreams.set_account,
        name=name,
        base_url=base_url,
        region=region,
        origins=result_origin or [],
        polls_per_s=polls_per_second,
    )
    context.run(data, job, as_json=as_json)


@_upstreams.command("list")
def list_upstreams(data: Data = _HERE, as_json: Json = False) -> None:
    """Show your accounts at vendors; of each key only the end."""
    from modellix_server.cli import admin_upstreams, context

    context.run(data, admin_upstreams.list_all, as_json=as_json)


@_upstreams.command("test")
def try_upstream(name: UpstreamName, data: Data = _HERE, as_json: Json = False) -> None:
    """Ask the vendor whether it takes the key. Costs nothing; exit code 1 when refused, 3 when not reached."""
    from modellix_server.cli import admin_upstreams, context

    raise typer.Exit(context.run(data, partial(admin_upstreams.test, name=name), as_json=as_json))


@_vault.callback()
def vault_commands() -> None:
    """The master key that your keys at vendors are encrypted under."""


@_vault.command("rotate")
def rotate_master_key(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only try to open everything, and count.")] = False,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Bring all that is encrypted under the current master key, while the platform runs.

    With a data directory, a new key is made first. With settings from the environment, MODELLIX_MASTER_KEY is
    the new key and MODELLIX_OLD_MASTER_KEYS the former one. May be interrupted and run again. Exit code 1 when
    something cannot be opened.
    """
    from modellix_server.cli import admin_vault, context

    job = partial(admin_vault.rotate, data=data, dry_run=dry_run)
    raise typer.Exit(context.run(data, job, as_json=as_json))


@_prices.command("set")
def set_price(
    model: ModelName,
    tier: TierName = None,
    usd: Annotated[str | None, typer.Option(help="Price of one image or second in USD.")] = None,
    factor: Annotated[str | None, typer.Option(help="Times the list price, such as 1.2.")] = None,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Price a model. New requests pay it within 2 s; accepted tasks keep their quote."""
    from modellix_server.cli import admin_prices, context

    job = partial(admin_prices.set_price, model=model, tier=tier, amount_usd=usd, factor=factor)
    context.run(data, job, as_json=as_json)


@_prices.command("clear")
def clear_price(model: ModelName, tier: TierName = None, data: Data = _HERE, as_json: Json = False) -> None:
    """Take back what `price set` said about a model or a tier."""
    from modellix_server.cli import admin_prices, context

    context.run(data, partial(admin_prices.clear, model=model, tier=tier), as_json=as_json)


@_prices.command("list")
def list_prices(data: Data = _HERE, as_json: Json = False) -> None:
    """Show your prices and margins."""
    from modellix_server.cli import admin_prices, context

    context.run(data, admin_prices.list_all, as_json=as_json)


@_tasks.command("show")
def show_task(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="task-…, as its submitter got it.")],
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Tell a task's whole story: moves, attempts, the vendor's words (without secrets), money."""
    from modellix_server.cli import admin_tasks, context

    context.run(data, partial(admin_tasks.show, name=task_id), as_json=as_json)


@_tasks.command("review")
def review_tasks(
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Show what a person should look at: unknown outcomes, odd measurements, words nobody knows."""
    from modellix_server.cli import admin_tasks, context

    context.run(data, partial(admin_tasks.list_reviews, limit=limit), as_json=as_json)


@_webhooks.command("create")
def create_endpoint(
    team: TeamName,
    url: Annotated[str, typer.Argument(metavar="URL", help="An https link.")],
    test: TestMode = False,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Tell a link of every ended task of a team, and print its signing secret: it cannot be shown again."""
    from modellix_server.cli import admin_webhooks, context

    context.run(data, partial(admin_webhooks.create, team=team, url=url, live=not test), as_json=as_json)


@_webhooks.command("list")
def list_endpoints(team: TeamName, test: TestMode = False, data: Data = _HERE, as_json: Json = False) -> None:
    """Show a team's endpoints and how they are doing."""
    from modellix_server.cli import admin_webhooks, context

    context.run(data, partial(admin_webhooks.list_all, team=team, live=not test), as_json=as_json)


@_webhooks.command("enable")
def enable_endpoint(
    team: TeamName, endpoint: EndpointName, test: TestMode = False, data: Data = _HERE, as_json: Json = False
) -> None:
    """Put an endpoint that was given up back into service."""
    from modellix_server.cli import admin_webhooks, context

    job = partial(admin_webhooks.enable, team=team, endpoint=endpoint, live=not test)
    context.run(data, job, as_json=as_json)


@_webhooks.command("delete")
def delete_endpoint(
    team: TeamName, endpoint: EndpointName, test: TestMode = False, data: Data = _HERE, as_json: Json = False
) -> None:
    """Remove an endpoint with everything that waits for it."""
    from modellix_server.cli import admin_webhooks, context

    job = partial(admin_webhooks.delete, team=team, endpoint=endpoint, live=not test)
    context.run(data, job, as_json=as_json)


@_webhooks.command("deliveries")
def list_deliveries(
    team: TeamName,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    test: TestMode = False,
    data: Data = _HERE,
    as_json: Json = False,
) -> None:
    """Show what was sent to a team, and what came of it."""
    from modellix_server.cli import admin_webhooks, context

    context.run(data, partial(admin_webhooks.deliveries, team=team, limit=limit, live=not test), as_json=as_json)


@_webhooks.command("replay")
def replay_failed(
    team: TeamName, endpoint: EndpointName, test: TestMode = False, data: Data = _HERE, as_json: Json = False
) -> None:
    """Send again everything that an endpoint has failed to take."""
    from modellix_server.cli import admin_webhooks, context

    job = partial(admin_webhooks.replay, team=team, endpoint=endpoint, live=not test)
    context.run(data, job, as_json=as_json)
