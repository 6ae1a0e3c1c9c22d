"""`modellix-server ledger verify`: whether the money adds up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from modellix_server.main.home import DEFAULT

app = typer.Typer(help="Look at the books.", no_args_is_help=True)


@app.callback()
def books() -> None:
    """Look at the books."""


@app.command()
def verify(
    data: Annotated[Path, typer.Option("--data", envvar="MODELLIX_DATA", help="Data directory.")] = Path(DEFAULT),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - Typer's way
) -> None:
    """Check that balances, transfers, holds, captures, slots and tasks agree, as of one moment.

    Exit code 0 when all is well, 1 when something does not add up.
    """
    from modellix_server import tasks  # noqa: PLC0415 - so that help is instant
    from modellix_server.main import admin_desk  # noqa: PLC0415

    async def check(desk: admin_desk.Desk) -> list[str]:
        return await tasks.verify(desk.db)

    findings = admin_desk.run(data, check, as_json=as_json)
    if as_json:
        typer.echo(json.dumps({"clean": not findings, "findings": findings}))
    elif findings:
        typer.echo("\n".join(f"✗ {finding}" for finding in findings))
    else:
        typer.secho("✓ The ledger is clean: balances, transfers, holds and tasks agree.", fg="green")
    raise typer.Exit(1 if findings else 0)
