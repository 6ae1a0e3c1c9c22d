"""The command `model-gallery`."""

from pathlib import Path
from typing import Annotated

import typer

from modellix_server.cli.command import command
from modellix_server.cli.context import CommandContext


def register(app: typer.Typer) -> None:
    """Add it to the command line."""
    command(app, "model-gallery")(model_gallery)


async def model_gallery(
    context: CommandContext,
    out: Annotated[list[Path], typer.Option(help="Where to: an .html page or a .png picture; may be repeated.")] = [  # noqa: B006
        Path("model-gallery.html")
    ],
    team: Annotated[str, typer.Option(help="Whose test money pays.")] = "default",
    model_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only models of this type; may be repeated.")
    ] = None,
    provider: Annotated[list[str] | None, typer.Option(help="Only models of this provider; may be repeated.")] = None,
    concurrency: Annotated[int, typer.Option(help="Tasks at a time.", min=1, max=100)] = 3,
) -> int:
    """Run every model's examples in test mode on the running platform, and show the results on one page."""
    from modellix_server.cli.model_gallery import gallery

    return await gallery.make(context, team, out, model_type or [], provider or [], concurrency)
