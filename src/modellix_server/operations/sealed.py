"""What is stored sealed, over all rooms: it is tested at the start and rotates together."""

from __future__ import annotations

from modellix_server import vault, webhooks
from modellix_server.base import log
from modellix_server.base.database import Connection, Pool
from modellix_server.base.settings import Settings

SEALED_COLUMNS = (*vault.SEALED, *webhooks.SEALED)

_LOG = log.get("main")


async def self_test(db: Pool | Connection, settings: Settings) -> None:
    """Refuse to start with a master key that does not open what is stored: BadSettings names the variable.

    A single value that was changed in the database stops nobody but whoever needs it; it is logged.
    """
    for finding in await vault.check_master_keys(db, settings.keyring, SEALED_COLUMNS):
        _LOG.error("a sealed value cannot be opened", value=finding)
