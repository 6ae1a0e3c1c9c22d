"""`admin vault`: the master key."""

from typing import Annotated

import typer

from modellix_server.cli.command import command
from modellix_server.cli.context import CommandContext

app = typer.Typer(help="The master key that your keys at vendors are encrypted under.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The master key that your keys at vendors are encrypted under."""  # a group of one command needs a callback


@command(app, "rotate")
async def rotate(
    context: CommandContext,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only try to open everything, and count.")] = False,
) -> int:
    """Bring all that is encrypted under the current master key, while the platform runs.

    With a data directory, a new key is made first. With settings from the environment, MODELLIX_MASTER_KEY is
    the new key and MODELLIX_OLD_MASTER_KEYS the former one. May be interrupted and run again. Exit code 1 when
    something cannot be opened.
    """
    from modellix_server.operations import master_key

    done = await master_key.rotate(context.operations, context.who, context.data_directory, dry_run=dry_run)
    context.show(
        {
            "dry_run": dry_run,
            "new_master_key": done.new_key,
            "moved": done.moved,
            "moved_from_old_form": done.moved_from_old_form,
            "cannot_be_opened": done.unopened,
        }
    )
    return 1 if done.unopened else 0
