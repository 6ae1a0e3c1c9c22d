"""What a command works with: operations' context, who acts; tables and JSON, and plain words when it fails.

Imports little: what a command needs is imported when it runs, so that help is instant.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modellix_server.base.settings import BadSettings
from modellix_server.embedded.data_directory import CannotStartError, DataDirectory

if TYPE_CHECKING:
    from modellix_server.base.team_mode import TeamMode
    from modellix_server.operations.context import Context
    from modellix_server.operations.principal import Principal

REFUSED, BAD_SETTINGS, UNREACHED = 1, 2, 3
_CONNECTIONS = 2
_STATEMENT_MS = 60_000

T = TypeVar("T")


class RefusedError(Exception):
    """The command cannot be carried out as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Where a command works."""

    operations: Context
    """What every operation takes first."""
    who: Principal
    """The operator at this terminal."""
    data_directory: DataDirectory
    as_json: bool

    async def team_mode(self, team: str, *, test: bool) -> TeamMode:
        """A team in one mode, by the team's name. Raises NotFound."""
        from modellix_server.base.team_mode import TeamMode
        from modellix_server.operations import teams

        return TeamMode((await teams.find(self.operations, self.who, team)).id, live=not test)

    def show(self, value: Mapping[str, Any]) -> None:
        """Print one thing."""
        if self.as_json:
            typer.echo(json.dumps(value, default=_plain))
            return
        table = Table.grid(padding=(0, 2))
        for name, cell in value.items():
            table.add_row(Text(name.replace("_", " "), "dim"), Text(_words(cell)))
        Console().print(table)

    def show_all(self, values: Sequence[Mapping[str, Any]], *, none: str) -> None:
        """Print several things alike, or `none` in words when there are none."""
        if self.as_json:
            typer.echo(json.dumps(values, default=_plain))
            return
        if not values:
            typer.echo(none)
            return
        table = Table()
        for name in values[0]:
            table.add_column(name.replace("_", " "), overflow="fold")
        for value in values:
            table.add_row(*(Text(_words(cell)) for cell in value.values()))
        Console().print(table)

    def show_findings(self, findings: Sequence[str], *, none: str) -> int:
        """Print what a check has found, or `none` in words; the exit code: 1 when it found something."""
        if self.as_json:
            typer.echo(json.dumps({"clean": not findings, "findings": findings}))
        elif findings:
            typer.echo("\n".join(f"✗ {finding}" for finding in findings))
        else:
            typer.secho(f"✓ {none}", fg="green")
        return 1 if findings else 0


def run(data: Path, job: Callable[[CommandContext], Awaitable[T]], *, as_json: bool = False) -> T:
    """Carry out a command; ends the program with one sentence and an exit code when it fails.

    1: refused as asked. 2: settings are wrong or nothing was started here. 3: database or vendor not reached.
    """
    import asyncpg

    from modellix_server.base.database import UNREACHABLE
    from modellix_server.base.errors import PlatformError
    from modellix_server.vault import UnusableAccount

    try:
        with told_plainly():
            return asyncio.run(_carry_out(data, job, as_json=as_json))
    except (PlatformError, RefusedError, UnusableAccount) as error:
        end(REFUSED, error.detail if isinstance(error, PlatformError) else str(error))
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        end(BAD_SETTINGS, f"the database refuses us ({error}): check MODELLIX_DATABASE_URL or --data")
    except (asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError):
        end(BAD_SETTINGS, "the database has not the tables of this version: run `modellix-server migrate`")
    except (asyncpg.DataError, UnicodeEncodeError) as error:
        end(REFUSED, f"a value is out of range, or not valid text: {error}")
    except UNREACHABLE as error:
        end(
            UNREACHED,
            f"the database does not answer ({type(error).__name__}): is Modellix running? "
            "Start it with `modellix-server up`, or check MODELLIX_DATABASE_URL",
        )


@contextmanager
def told_plainly(*also: type[Exception]) -> Iterator[None]:
    """End with one readable line, not a traceback, for what the operator can put right."""
    expected: tuple[type[Exception], ...] = (BadSettings, CannotStartError, *also)
    try:
        yield
    except expected as error:
        end(BAD_SETTINGS, str(error))


def end(code: int, words: str) -> NoReturn:
    """End the program with a sentence on standard error."""
    typer.secho(f"Error: {words}", fg="red", err=True)
    sys.exit(code)


async def _carry_out(data: Path, job: Callable[[CommandContext], Awaitable[T]], *, as_json: bool) -> T:
    from modellix_server.base.database import open_pool
    from modellix_server.operations.context import Context
    from modellix_server.operations.principal import operator

    data_directory = DataDirectory(data)
    settings = data_directory.settings(os.environ)
    db = await open_pool(settings.database_url, size=_CONNECTIONS, name="admin", statement_timeout_ms=_STATEMENT_MS)
    try:
        return await job(CommandContext(Context(settings, db), operator(_user(), _origin()), data_directory, as_json))
    finally:
        await db.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _origin() -> str:
    """This machine, and the one that the operator came from over SSH."""
    came_from = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return f"{socket.gethostname()} from {came_from}" if came_from else socket.gethostname()


def _words(cell: object) -> str:
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case datetime():
            return cell.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        case list() | tuple():
            return "\n".join(str(one) for one in cell) or "-"
        case _:
            return str(cell)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(type(value).__name__)
