"""Brings the database's tables up to date."""

from __future__ import annotations

import asyncio

from rich.console import Console

from modellix_server.base import migrations
from modellix_server.base.settings import Settings
from modellix_server.main.home import CannotStartError
from modellix_server.main.rooms import ROOMS


async def migrate(settings: Settings) -> list[str]:
    """Apply what is missing and return the names of those migrations. Raises CannotStartError."""
    try:
        applied = await migrations.migrate(settings.owner_database_url, migrations.discover(ROOMS))
    except migrations.ChangedMigration as error:
        raise CannotStartError(f"{error}: this database was made by another version of Modellix") from error
    return [migration.name for migration in applied]


def run(settings: Settings) -> None:
    """Apply what is missing and tell the terminal. Raises CannotStartError."""
    console = Console()
    for name in asyncio.run(migrate(settings)):
        console.print(f"applied {name}", highlight=False)
    console.print("The database is up to date.")
