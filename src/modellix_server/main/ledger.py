"""`modellix-server ledger verify`: whether the money adds up."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated

import typer
from rich.console import Console

from modellix_server.base.database import connect
from modellix_server.main.home import Home

app = typer.Typer(help="Look at the books.", no_args_is_help=True)

_TIMEOUT_MS = 600_000


@app.callback()
def books() -> None:
    """Look at the books."""


@app.command()
def verify(
    data: Annotated[str, typer.Option("--data", envvar="MODELLIX_DATA", help="The data directory.")] = "data",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Check that balances, transfers, holds, captures, slots and tasks agree, as of one moment.

    Exit code 0 when all is well, 1 when something does not add up.
    """
    findings = asyncio.run(_verify(data))
    if as_json:
        print(json.dumps({"clean": not findings, "findings": findings}))  # noqa: T201
    elif findings:
        console = Console()
        for finding in findings:
            console.print(f"[red]✗[/red] {finding}")
    else:
        Console().print("[green]✓[/green] The ledger is clean: balances, transfers, holds and tasks agree.")
    raise typer.Exit(1 if findings else 0)


async def _verify(data: str) -> list[str]:
    from modellix_server import tasks  # noqa: PLC0415 - as in cli: imported when it runs, so that help is instant

    db = await connect(Home(data).settings(os.environ).database_url, name="verify", statement_timeout_ms=_TIMEOUT_MS)
    try:
        return await tasks.verify(db)
    finally:
        await db.close()
