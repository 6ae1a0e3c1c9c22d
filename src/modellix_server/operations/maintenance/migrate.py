"""Brings the database's tables and functions up to date."""

from modellix_server.base import migrations
from modellix_server.base.functions import discover_functions
from modellix_server.base.settings import Settings
from modellix_server.embedded.data_directory import CannotStartError

ROOMS = tuple(
    f"modellix_server.{room}"
    for room in (
        "identity",
        "limits",
        "ledger",
        "budgets",
        "pricing",
        "billing",
        "results",
        "requestlog",
        "vault",
        "webhooks",
        "mail",
        "announcements",
        "tasks",
        "audit",
    )
)
"""The rooms that keep tables of their own."""


async def migrate(settings: Settings) -> list[str]:
    """Apply what is missing or has changed and return the names of those files. Raises CannotStartError."""
    try:
        applied = await migrations.migrate(
            settings.owner_database_url, migrations.discover(ROOMS), discover_functions(ROOMS)
        )
    except migrations.ChangedMigration as error:
        raise CannotStartError(f"{error}: this database was made by another version of Modellix") from error
    return [file.name for file in applied]
