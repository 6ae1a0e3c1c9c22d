"""`audit`: who did what, and whether the log is as it was written."""

import json
from typing import Annotated

import typer

from modellix_server.cli.command import command
from modellix_server.cli.context import CommandContext, RefusedError

app = typer.Typer(help="Who did what, when and from where.", no_args_is_help=True)


@command(app, "list")
async def list_entries(
    context: CommandContext,
    team: Annotated[str | None, typer.Option(help="Only what concerns this team.")] = None,
    before: Annotated[int | None, typer.Option(help="Only entries before this number.", min=1)] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=10_000)] = 50,
) -> None:
    """Show recorded actions, newest first."""
    from modellix_server.operations import audit, teams

    team_id = None if team is None else (await teams.find(context.operations, context.who, team)).id
    entries = await audit.list_entries(context.operations, context.who, limit=limit, before=before, team_id=team_id)
    rows = [
        {
            "seq": one.seq,
            "at": one.at,
            "actor": one.actor,
            "origin": one.origin,
            "action": one.action,
            "subject": one.subject,
            "team_id": one.team_id,
            "details": json.loads(one.details) if context.as_json else one.details,
        }
        for one in entries
    ]
    context.show_all(rows, none="Nothing yet.")


@command(app, "head")
async def head(context: CommandContext) -> None:
    """Print number and hash of the last entry, to be kept where nobody who can write to the database can write."""
    from modellix_server.operations import audit

    found = str(await audit.head(context.operations, context.who))
    if context.as_json:
        context.show({"head": found})
    else:
        typer.echo(found)


@command(app, "verify")
async def verify(
    context: CommandContext,
    noted: Annotated[
        list[str] | None, typer.Option("--head", help="What `audit head` printed once; may be repeated.")
    ] = None,
) -> int:
    """Check that no entry was changed, removed, added or moved, as of one moment.

    That the newest ones are all there shows only with --head. Exit code 0 when all is well, 1 when not.
    """
    from modellix_server.audit import Head
    from modellix_server.operations import audit

    try:
        heads = [Head.of(text) for text in noted or []]
    except ValueError:
        raise RefusedError("--head takes what `audit head` printed: a number, a colon, a hash") from None
    findings = await audit.verify(context.operations, context.who, heads)
    return context.show_findings(findings, none="The audit log is as it was written.")
