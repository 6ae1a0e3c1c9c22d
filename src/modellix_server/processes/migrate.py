"""`modellix-server migrate`: the database's tables brought up to date, told to the terminal."""

import asyncio

from rich.console import Console

from modellix_server.base.settings import Settings
from modellix_server.operations.maintenance.migrate import migrate


def run(settings: Settings) -> None:
    """Apply what is missing. Raises CannotStartError."""
    console = Console()
    for name in asyncio.run(migrate(settings)):
        console.print(f"applied {name}", highlight=False)
    console.print("The database is up to date.")
