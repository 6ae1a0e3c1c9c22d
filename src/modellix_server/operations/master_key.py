"""The master key that everything sealed is encrypted under: its test at the start of a process, and its rotation."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from modellix_server import audit, vault, webhooks
from modellix_server.base import faults, log
from modellix_server.base.database import Connection, Pool
from modellix_server.base.envelope import Keyring
from modellix_server.base.errors import Unavailable
from modellix_server.base.sealed import key_ids, rewrap
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.embedded.data_directory import DataDirectory
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

SEALED_COLUMNS = (*vault.SEALED, *webhooks.SEALED)
"""What is stored sealed, over all rooms: it is tested at the start and rotates together."""

_LOCK = 0x6D6F6472
_LOG = log.get("operations")


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did, or in a dry run would do."""

    new_key: bool
    """Whether it made a new master key."""
    moved: int
    moved_from_old_form: int
    unopened: list[str]
    """What cannot be opened under any key that is given, and why."""


async def self_test(db: Pool | Connection, settings: Settings) -> None:
    """Refuse to start with a master key that does not open what is stored: BadSettings names the variable.

    A single value that was changed in the database stops nobody but whoever needs it; it is logged.
    """
    for finding in await vault.check_master_keys(db, settings.keyring, SEALED_COLUMNS):
        _LOG.error("a sealed value cannot be opened", value=finding)


async def rotate(ctx: Context, who: Principal, data: DataDirectory, *, dry_run: bool = False) -> Rotation:
    """Bring everything that is sealed under the current master key, while the platform runs. May be interrupted.

    Where the keys lie in the data directory, a new one is made first, unless an earlier rotation was interrupted:
    that one is finished instead. Raises Unavailable while another rotation is under way.
    """
    who.require(Permission.OPERATE)
    keys = ctx.settings.keyring
    async with _alone(ctx) as db:
        old_form = await vault.move_old_keys(db, keys, dry_run=dry_run)
        if not dry_run:
            await vault.renew_canary(db, keys, SEALED_COLUMNS)
        in_use = {key_id for column in SEALED_COLUMNS for key_id in await key_ids(db, column)}
        unfinished = bool(in_use - {keys.current_id})
        new_key = ctx.settings.reread_master_keys is not None and not unfinished
        if new_key and dry_run:
            keys = Keyring(Secret(secrets.token_bytes(32)), keys.keys)
        elif new_key:
            data.add_master_key()
            keys.refresh()
            await faults.point("master_key_added")
        tallies = {column.name: await rewrap(db, column, keys, dry_run=dry_run) for column in SEALED_COLUMNS}
        if not dry_run:
            async with db.transaction():
                moved = {name: tally.rewrapped for name, tally in tallies.items()}
                key = f"master_key:{keys.current_id.hex()}"
                await audit.record(db, who.actor, "vault.rotate", key, new_key=new_key, moved=moved)
    return Rotation(
        new_key,
        sum(tally.rewrapped for tally in tallies.values()),
        old_form.rewrapped,
        [line for tally in (old_form, *tallies.values()) for line in tally.unopened],
    )


@asynccontextmanager
async def _alone(ctx: Context) -> AsyncIterator[Connection]:
    """A connection whose session holds the lock of rotations: it ends with us, however we end."""
    async with ctx.connection("rotate") as db:
        if not await db.fetchval("select pg_try_advisory_lock($1)", _LOCK):
            raise Unavailable("another rotation is under way")
        yield db
