"""`admin key`: API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modellix_server.base.team_mode import mode_word
from modellix_server.cli.command import TestMode, command
from modellix_server.cli.context import CommandContext

if TYPE_CHECKING:
    from modellix_server.identity import ApiKey

app = typer.Typer(help="API keys.", no_args_is_help=True)


@command(app, "create")
async def create(
    context: CommandContext,
    team: Annotated[str, typer.Option(help="Name of the team.")],
    test: TestMode = False,
    name: Annotated[str, typer.Option(help="To tell it from others.")] = "key",
) -> None:
    """Create an API key and print it: it cannot be shown again."""
    from modellix_server.operations import keys

    of = await context.team_mode(team, test=test)
    text, key = await keys.create(context.operations, context.who, of, name)
    if context.as_json:
        context.show({"key": text, **_row(key, team)})
        return
    typer.secho(f"The key '{key.name}' of team '{team}' ({of.mode}), shown only now:", err=True)
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
async def revoke(
    context: CommandContext,
    key_id: Annotated[int, typer.Argument(metavar="ID", help="Number of the key, from `key list`.")],
) -> None:
    """End an API key at once and for good."""
    from modellix_server.operations import keys

    key = await keys.revoke(context.operations, context.who, key_id)
    context.show({"id": key.id, "name": key.name, "revoked_at": key.revoked_at})


def _row(key: ApiKey, team_name: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "team": team_name,
        "mode": mode_word(live=key.live),
        "name": key.name,
        "looks_like": f"{key.prefix}…{key.last4}",
        "created_at": key.created_at,
        "created_by": key.created_by,
        "revoked_at": key.revoked_at,
    }
