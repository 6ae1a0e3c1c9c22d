"""Commands for looking after an installation: backup, restore, doctor."""

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from modellix_server.cli.command import HERE, Data, Json, command
from modellix_server.cli.context import CommandContext, told_plainly
from modellix_server.embedded.data_directory import DataDirectory


def register(app: typer.Typer) -> None:
    """Add them to the command line."""
    command(app, "backup")(backup)
    app.command()(restore)
    app.command()(doctor)


async def backup(
    context: CommandContext,
    target: Annotated[
        Path | None, typer.Argument(help="New folder for the backup; by default named by the time.")
    ] = None,
) -> None:
    """Copy the database and the stored files, as of one moment, while the platform runs.

    The secrets are not in it: keep a copy of secrets.json (or of the variables) somewhere else.
    """
    from modellix_server.operations.maintenance.backup import back_up, stamp

    place = target or Path(stamp())
    with told_plainly(OSError):
        manifest = await back_up(context.operations, context.who, place, _say)
    if context.as_json:
        rows = {"backup": str(place), "at": manifest.at, "files": len(manifest.files), "rows": manifest.rows}
        typer.echo(json.dumps(rows))
        return
    size = sum(file.size for file in manifest.files)
    typer.secho(f"✓ {place}: the database and {len(manifest.files):,} files ({size:,} bytes)", fg="green")
    typer.echo("The secrets are not in it. Without them it is of no use: keep a copy of secrets.json somewhere else.")


def restore(
    source: Annotated[Path, typer.Argument(help="A folder that `backup` wrote.", file_okay=False)],
    data: Data = HERE,
    secrets: Annotated[
        Path | None, typer.Option(help="The secrets.json of the backup, if it is not in the data directory yet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a backup into a new data directory, or into the empty database of MODELLIX_DATABASE_URL.

    Everything is checked before and after. Tasks that a vendor may have got after the backup are ended
    without charge, never sent again. Exit code 1 when the ledger does not add up afterwards.
    """
    from modellix_server.operations.maintenance.restore import read_manifest, restore, restore_directory

    data_directory = DataDirectory(data)
    with told_plainly(OSError):
        if os.environ.get("MODELLIX_DATABASE_URL"):
            settings = data_directory.settings(os.environ)
            restored = asyncio.run(restore(source, read_manifest(source), settings, _say))
        else:
            secrets = secrets or data_directory.root / "secrets.json"
            restored = asyncio.run(restore_directory(source, data_directory, secrets, os.environ, _say))
    told = {
        "at": restored.manifest.at,
        "rows": sum(restored.manifest.rows.values()),
        "files": len(restored.manifest.files),
        "ended_as_unknown": restored.doubtful,
        "findings": restored.findings,
    }
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.secho(f"✓ Restored as of {told['at']}: {told['rows']:,} rows, {told['files']:,} files", fg="green")
        if restored.doubtful:
            typer.echo(f"{restored.doubtful:,} tasks may have reached a vendor after the backup: ended, not charged.")
        for finding in restored.findings:
            typer.secho(f"✗ {finding}", fg="red")
    raise typer.Exit(1 if restored.findings else 0)


def doctor(
    data: Data = HERE,
    mail_to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Send a test message there.")] = None,
    as_json: Json = False,
) -> None:
    """Say in words what is wrong with this installation, and what to do about it.

    Exit code 0 when all is well, 1 when something is wrong.
    """
    from modellix_server.operations.maintenance.doctor import examine

    findings = asyncio.run(examine(DataDirectory(data), os.environ, mail_to))
    if as_json:
        typer.echo(json.dumps([{"what": one.what, "grade": one.grade, "says": one.says} for one in findings]))
    else:
        marks = {"good": ("✓", "green"), "warning": ("!", "yellow"), "bad": ("✗", "red")}
        for one in findings:
            mark, colour = marks[one.grade]
            typer.secho(f"{mark} {one.what}: {one.says}", fg=colour)
    raise typer.Exit(1 if any(one.grade == "bad" for one in findings) else 0)


def _say(text: str) -> None:
    Console(stderr=True).print(f"{text} …", style="dim", highlight=False)
