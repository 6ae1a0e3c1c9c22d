"""`modellix-server audit`: who did what, and whether the log is as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from modellix_server.embedded.data_directory import DEFAULT

app = typer.Typer(help="Who did what, when and from where.", no_args_is_help=True)

Data = Annotated[Path, typer.Option("--data", envvar="MODELLIX_DATA", help="Data directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_HERE = Path(DEFAULT)


@app.command("list")
def list_entries(
    team: Annotated[str | None, typer.Option(help="Only what concerns this team.")] = None,
    before: Annotated[int | None, typer.Option(help="Only entries before this number.", min=1)] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=10_000)] = 50,
    data: Data = _HERE,
    as_json: Json = False,  # noqa: FBT002 - Typer's way
) -> None:
    """Show what people and rare events did, newest first."""
    from modellix_server import audit, identity  # noqa: PLC0415 - so that help is instant
    from modellix_server.cli import context  # noqa: PLC0415

    async def show(desk: context.CommandContext) -> None:
        team_id = None if team is None else (await identity.find_team(desk.db, team)).id
        entries = await audit.list_entries(desk.db, limit=limit, before=before, team_id=team_id)
        rows = [
            {
                "seq": one.seq,
                "at": one.at,
                "actor": one.actor,
                "origin": one.origin,
                "action": one.action,
                "subject": one.subject,
                "team_id": one.team_id,
                "details": json.loads(one.details) if desk.as_json else one.details,
            }
            for one in entries
        ]
        desk.show_all(rows, none="Nothing yet.")

    context.run(data, show, as_json=as_json)


@app.command()
def head(data: Data = _HERE) -> None:
    """Print number and hash of the last entry, to be kept where nobody who can write to the database can write."""
    from modellix_server import audit  # noqa: PLC0415
    from modellix_server.cli import context  # noqa: PLC0415

    async def show(desk: context.CommandContext) -> None:
        typer.echo(str(await audit.head(desk.db)))

    context.run(data, show)


@app.command()
def verify(
    noted: Annotated[
        list[str] | None, typer.Option("--head", help="What `audit head` printed once; may be repeated.")
    ] = None,
    data: Data = _HERE,
    as_json: Json = False,  # noqa: FBT002 - Typer's way
) -> None:
    """Check that no entry was changed, removed, added or moved, as of one moment.

    That the newest ones are all there shows only with --head. Exit code 0 when all is well, 1 when not.
    """
    from modellix_server import audit  # noqa: PLC0415
    from modellix_server.cli import context  # noqa: PLC0415

    async def check(desk: context.CommandContext) -> list[str]:
        try:
            heads = [audit.Head.of(text) for text in noted or []]
        except ValueError:
            raise context.RefusedError("--head takes what `audit head` printed: a number, a colon, a hash") from None
        async with desk.db.transaction(isolation="repeatable_read", readonly=True):
            return await audit.verify(desk.db, heads)

    findings = context.run(data, check, as_json=as_json)
    if as_json:
        typer.echo(json.dumps({"clean": not findings, "findings": findings}))
    elif findings:
        typer.echo("\n".join(f"✗ {finding}" for finding in findings))
    else:
        typer.secho("✓ The audit log is as it was written.", fg="green")
    raise typer.Exit(1 if findings else 0)
