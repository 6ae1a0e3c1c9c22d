"""Makes commands of async functions; options that several commands have."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from modellix_server.cli.context import run
from modellix_server.embedded.data_directory import DEFAULT

Data = Annotated[Path, typer.Option("--data", envvar="MODELLIX_DATA", help="Data directory.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TeamName = Annotated[str, typer.Argument(metavar="TEAM", help="Name of the team.")]
TestMode = Annotated[bool, typer.Option("--test", help="Test mode instead of live.")]
Limit = Annotated[int, typer.Option(help="How many, newest first.", min=1)]

HERE = Path(DEFAULT)
_OF_EVERY_COMMAND = tuple(
    inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)
    for name, default, annotation in (("data", HERE, Data), ("as_json", False, Json))
)

Function = TypeVar("Function", bound=Callable[..., Awaitable[int | None]])


def command(app: typer.Typer, name: str) -> Callable[[Function], Function]:
    """Make an async function a command of `app`: it takes a CommandContext first, then its own options.

    `--data` and `--json` follow them. What it returns is the exit code of the program; None is 0.
    """

    def register(function: Function) -> Function:
        def carry_out(data: Path, as_json: bool, **given: Any) -> None:  # noqa: FBT001 - by keyword, from Typer
            code = run(data, partial(function, **given), as_json=as_json)
            if code:
                raise typer.Exit(code)

        signature = inspect.signature(function, eval_str=True)
        _, *own = signature.parameters.values()
        parameters = [*own, *_OF_EVERY_COMMAND]
        carry_out.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        carry_out.__annotations__ = {}
        carry_out.__doc__ = function.__doc__
        app.command(name)(carry_out)
        return function

    return register
