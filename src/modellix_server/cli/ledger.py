"""`modellix-server ledger`: whether the money adds up, and which accounts take no new tasks because it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from modellix_server.embedded.data_directory import DEFAULT

app = typer.Typer(help="Look at the books.", no_args_is_help=True)

Data = Annotated[Path, typer.Option("--data", envvar="MODELLIX_DATA", help="Data directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_HERE = Path(DEFAULT)


@app.command()
def verify(
    data: Data = _HERE,
    as_json: Json = False,  # noqa: FBT002 - Typer's way
) -> None:
    """Check that balances, transfers, holds, captures, slots and tasks agree, as of one moment.

    Transfers that were sealed in the audit log must be as they were then, and that log as it was written.
    Exit code 0 when all is well, 1 when something does not add up.
    """
    from modellix_server.cli import context  # noqa: PLC0415 - so that help is instant
    from modellix_server.operations import reconciliation  # noqa: PLC0415 - so that help is instant

    async def check(desk: context.CommandContext) -> list[str]:
        return await reconciliation.verify(desk.db)

    findings = context.run(data, check, as_json=as_json)
    if as_json:
        typer.echo(json.dumps({"clean": not findings, "findings": findings}))
    elif findings:
        typer.echo("\n".join(f"✗ {finding}" for finding in findings))
    else:
        typer.secho("✓ The ledger is clean: balances, transfers, holds and tasks agree.", fg="green")
    raise typer.Exit(1 if findings else 0)


@app.command()
def frozen(
    data: Data = _HERE,
    as_json: Json = False,  # noqa: FBT002 - Typer's way
) -> None:
    """Show the accounts that take no new tasks because their books were found wrong."""
    from modellix_server.cli import context, unfreeze  # noqa: PLC0415

    context.run(data, unfreeze.list_frozen, as_json=as_json)


@app.command("thaw")
def thaw_account(
    note: Annotated[str, typer.Option(help="What was wrong and what was done, for the audit log.")],
    team: Annotated[str | None, typer.Argument(help="Name of the team; without one, the freeze of all teams.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Its test money.")] = False,  # noqa: FBT002 - Typer's way
    restate: Annotated[  # noqa: FBT002
        bool, typer.Option("--restate", help="First make the balance what the transfers say, and end stray holds.")
    ] = False,
    data: Data = _HERE,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Let an account take new tasks again, once its books add up."""
    from modellix_server.cli import context, unfreeze  # noqa: PLC0415

    context.run(data, lambda desk: unfreeze.thaw(desk, team, note, live=not test, restate=restate), as_json=as_json)
