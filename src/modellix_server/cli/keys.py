"""`admin key`: API keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modellix_server.base.team_mode import mode_word
from modellix_server.cli.budget_options import BudgetAmount, Reset, budget_limit
from modellix_server.cli.command import TestMode, command
from modellix_server.cli.context import CommandContext

if TYPE_CHECKING:
    from modellix_server.identity import ApiKey

KeyId = Annotated[int, typer.Argument(metavar="ID", help="Number of the key, from `key list`.")]

app = typer.Typer(help="API keys.", no_args_is_help=True)


@command(app, "create")
async def create(
    context: CommandContext,
    team: Annotated[str, typer.Option(help="Name of the team.")],
    test: TestMode = False,
    name: Annotated[str, typer.Option(help="To tell it from others.")] = "key",
    model: Annotated[list[str] | None, typer.Option(help="A model that it may use; may be repeated.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="A type of which it may use all models; may be repeated.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Of keys that belong together, such as a project.")] = None,
    budget: BudgetAmount = None,
    reset: Reset = "none",
    days: Annotated[int | None, typer.Option("--expires-days", help="It is refused after so many days.", min=1)] = None,
) -> None:
    """Create an API key and print it: it cannot be shown again."""
    from modellix_server.identity import AllowedModels
    from modellix_server.operations import keys

    of = await context.team_mode(team, test=test)
    options = keys.KeyOptions(
        AllowedModels(tuple(model or ()), tuple(kind or ())),
        budget_limit(budget, reset),
        datetime.now(UTC) + timedelta(days=days) if days is not None else None,
        tag,
    )
    text, key = await keys.create(context.operations, context.who, of, name, options)
    if context.as_json:
        context.show({"key": text, **_row(key, team)})
        return
    typer.secho(f"The key '{key.name}' of team '{team}' ({of.mode}), shown only now:", err=True)
    typer.echo(text)


@command(app, "tag")
async def tag(
    context: CommandContext,
    key_id: KeyId,
    text: Annotated[str | None, typer.Argument(metavar="[TAG]", help="Without one it has none any more.")] = None,
) -> None:
    """Give an API key another tag: what it costs, and has cost, is summed there."""
    from modellix_server.operations import keys

    key = await keys.change_tag(context.operations, context.who, key_id, text)
    context.show({"id": key.id, "name": key.name, "tag": key.tag})


@command(app, "rotate")
async def rotate(
    context: CommandContext,
    key_id: KeyId,
    overlap: Annotated[
        int, typer.Option("--overlap-hours", help="How long the former text works too; 0: no more.")
    ] = 24,
) -> None:
    """Give an API key another text and print it. Limits, budget and records stay with the key."""
    from modellix_server.operations import keys

    text, key = await keys.rotate(context.operations, context.who, key_id, overlap_h=overlap)
    if context.as_json:
        context.show({"key": text, "id": key.id, "name": key.name, "former_works_until": key.overlap_ends_at})
        return
    until = f"until {key.overlap_ends_at:%Y-%m-%d %H:%M} UTC" if key.overlap_ends_at else "no more"
    typer.secho(f"The new text of key '{key.name}', shown only now; the former one works {until}:", err=True)
    typer.echo(text)


@command(app, "list")
async def list_all(
    context: CommandContext, team: Annotated[str | None, typer.Option(help="Only keys of this team.")] = None
) -> None:
    """Show API keys, without their texts."""
    from modellix_server.operations import keys

    found = await keys.list_all(context.operations, context.who, team)
    context.show_all([_row(key, name) for key, name in found], none="No keys.")


@command(app, "revoke")
async def revoke(context: CommandContext, key_id: KeyId) -> None:
    """End an API key at once and for good."""
    from modellix_server.operations import keys

    key = await keys.revoke(context.operations, context.who, key_id)
    context.show({"id": key.id, "name": key.name, "revoked_at": key.revoked_at})


@command(app, "delete")
async def delete(context: CommandContext, key_id: KeyId) -> None:
    """List an API key no more that is revoked or expired. The books go on naming it."""
    from modellix_server.operations import keys

    key = await keys.delete(context.operations, context.who, key_id)
    context.show({"id": key.id, "name": key.name, "deleted_at": key.deleted_at})


def _row(key: ApiKey, team_name: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "team": team_name,
        "mode": mode_word(live=key.live),
        "name": key.name,
        "tag": key.tag,
        "looks_like": f"{key.prefix}…{key.last4}",
        "created_at": key.created_at,
        "created_by": key.created_by,
        "allowed": "all" if key.allowed.every else str(key.allowed),
        "used_at": key.used_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
