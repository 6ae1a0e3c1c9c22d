"""What every admin command needs: a connection, who acts, tables and JSON, and plain words when it fails."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import asyncpg
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modellix_server import audit
from modellix_server.base.database import UNREACHABLE, connect
from modellix_server.base.errors import PlatformError
from modellix_server.base.settings import BadSettings, Settings
from modellix_server.embedded.data_directory import CannotStartError, DataDirectory
from modellix_server.vault import UnusableAccount

REFUSED, BAD_SETTINGS, UNREACHED = 1, 2, 3

T = TypeVar("T")


class RefusedError(Exception):
    """The command cannot be carried out as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Where an admin command works."""

    settings: Settings
    db: asyncpg.Connection[asyncpg.Record]
    """One connection of the application's role."""
    actor: str
    """Who acts, for the records."""
    as_json: bool

    async def record(self, action: str, subject: str, *, team_id: int | None = None, **details: Any) -> None:
        """Enter into the audit log what this command did; last in the transaction of the change itself."""
        await audit.record(self.db, audit.Actor(self.actor, _origin()), action, subject, team_id=team_id, **details)

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


def run(data: Path, job: Callable[[CommandContext], Awaitable[T]], *, as_json: bool = False) -> T:
    """Carry out a command; ends the program with one sentence and an exit code when it fails.

    1: refused as asked. 2: settings are wrong or nothing was started here. 3: database or vendor not reached.
    """
    try:
        return asyncio.run(_at_desk(data, job, as_json=as_json))
    except (PlatformError, RefusedError, UnusableAccount) as error:
        _end(REFUSED, error.detail if isinstance(error, PlatformError) else str(error))
    except (BadSettings, CannotStartError) as error:
        _end(BAD_SETTINGS, str(error))
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        _end(BAD_SETTINGS, f"the database refuses us ({error}): check MODELLIX_DATABASE_URL or --data")
    except (asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError):
        _end(BAD_SETTINGS, "the database has not the tables of this version: run `modellix-server migrate`")
    except UNREACHABLE as error:
        _end(
            UNREACHED,
            f"the database does not answer ({type(error).__name__}): is Modellix running? "
            "Start it with `modellix-server up`, or check MODELLIX_DATABASE_URL",
        )


async def _at_desk(data: Path, job: Callable[[CommandContext], Awaitable[T]], *, as_json: bool) -> T:
    settings = DataDirectory(data).settings(os.environ)
    db = await connect(settings.database_url, name="admin")
    try:
        return await job(CommandContext(settings, db, f"admin:{_user()}", as_json))
    finally:
        await db.close()


def _end(code: int, words: str) -> NoReturn:
    typer.secho(f"Error: {words}", fg="red", err=True)
    sys.exit(code)


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
