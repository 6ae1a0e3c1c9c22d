"""`admin code`: redemption codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modellix_server.base.money import micros_from_usd, usd
from modellix_server.base.team_mode import mode_word
from modellix_server.cli.command import TestMode, command
from modellix_server.cli.context import CommandContext, RefusedError

if TYPE_CHECKING:
    from modellix_server.billing import CodeBatch

app = typer.Typer(help="Redemption codes.", no_args_is_help=True)


@command(app, "create")
async def create(
    context: CommandContext,
    amount: Annotated[str, typer.Option("--usd", help="What each code is worth, in USD.")],
    count: Annotated[int, typer.Option(help="How many codes.", min=1, max=1000)] = 1,
    days: Annotated[int | None, typer.Option(help="Days until they expire.", min=1, max=3650)] = None,
    test: TestMode = False,
    name: Annotated[str, typer.Option(help="To tell these codes from others.")] = "codes",
) -> None:
    """Create redemption codes and print them: they cannot be shown again."""
    from modellix_server.operations import codes

    try:
        micros = micros_from_usd(amount)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    batch, texts = await codes.create(
        context.operations, context.who, name=name, micros=micros, count=count, live=not test, expires_at=expires_at
    )
    if context.as_json:
        context.show({"codes": texts, **_row(batch)})
        return
    typer.secho(f"Codes {batch.id} ('{batch.name}', {usd(micros)} USD each), shown only now:", err=True)
    typer.echo("\n".join(texts))


@command(app, "list")
async def list_all(context: CommandContext) -> None:
    """Show the codes that were made together, without their texts."""
    from modellix_server.operations import codes

    found = await codes.list_all(context.operations, context.who)
    context.show_all([_row(one) for one in found], none="No codes yet: modellix-server admin code create --usd 10")


@command(app, "revoke")
async def revoke(
    context: CommandContext, batch: Annotated[int, typer.Argument(metavar="ID", help="Number from `code list`.")]
) -> None:
    """Make those codes of a batch worthless that nobody has redeemed."""
    from modellix_server.operations import codes

    context.show(_row(await codes.revoke(context.operations, context.who, batch)))


def _row(batch: CodeBatch) -> dict[str, Any]:
    return {
        "id": batch.id,
        "name": batch.name,
        "mode": mode_word(live=batch.live),
        "usd": usd(batch.amount),
        "made": batch.codes,
        "redeemed": batch.redeemed,
        "expires_at": batch.expires_at,
        "created_at": batch.created_at,
        "created_by": batch.created_by,
        "revoked_at": batch.revoked_at,
    }
