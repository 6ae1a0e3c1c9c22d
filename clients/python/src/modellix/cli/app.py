"""The commands, and how each ends."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import get_completion_class

from modellix import errors
from modellix._version import VERSION
from modellix.cli import account, batch, catalogue, output, tasks
from modellix.cli.exits import ExitCode, code_of

_JSON = "modellix.json"
_COMPLETE = "_MODELLIX_COMPLETE"


class _Commands(click.Group):
    """Turns errors into a message and an exit code; lists the commands in the order of their story."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except errors.ModellixError as error:
            output.show_error(error, json=ctx.meta[_JSON])
            ctx.exit(code_of(error))
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            if ctx.meta[_JSON]:
                output.as_json({"error": "UsageError", "message": error.format_message()})
            else:
                output.show_error(errors.ModellixError(error.format_message()), json=False)
                output.note(f"  help        {(error.ctx or ctx).command_path} --help")
            ctx.exit(ExitCode.WRONG)
        except BrokenPipeError:
            raise  # nobody reads on, such as `head`: click ends quietly
        except OSError as error:
            output.show_error(errors.ModellixError(str(error)), json=ctx.meta[_JSON])
            ctx.exit(ExitCode.FAULT)
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, message="%(prog)s %(version)s")
def app() -> None:
    """Images and videos of 100+ models, from a terminal.

    First `modellix login`, then `modellix run MODEL --prompt "…"`.
    """


for _command in (*tasks.COMMANDS, *catalogue.COMMANDS, *account.COMMANDS, batch.batch):
    app.add_command(_command)


@app.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands and models in a shell.

    bash: echo 'eval "$(modellix completion bash)"' >> ~/.bashrc
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(app, {}, "modellix", _COMPLETE).source())
