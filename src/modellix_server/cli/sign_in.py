"""`admin sign-in-link`: a way into the console from the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from modellix_server.cli.command import command
from modellix_server.cli.context import CommandContext


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "sign-in-link")(sign_in_link)


async def sign_in_link(
    context: CommandContext,
    email: Annotated[str | None, typer.Argument(metavar="[EMAIL]", help="Of the user; else the operator.")] = None,
) -> None:
    """Print a link that signs a user in at the console: once, within 15 minutes."""
    from modellix_server.operations import sign_in

    link = await sign_in.create_link(context.operations, context.who, email)
    if context.as_json:
        context.show({"link": link})
    else:
        typer.echo(link)  # whole, however narrow the terminal
