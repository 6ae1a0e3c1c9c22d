"""Admin commands about the master key."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from modellix_server import vault
from modellix_server.base import faults
from modellix_server.base.envelope import Keyring
from modellix_server.base.sealed import key_ids, rewrap
from modellix_server.base.secret import Secret
from modellix_server.cli.context import CommandContext, RefusedError
from modellix_server.embedded.data_directory import DataDirectory
from modellix_server.operations.sealed import SEALED_COLUMNS

_LOCK = 0x6D6F6472


async def rotate(desk: CommandContext, data: Path, *, dry_run: bool) -> int:
    """Bring everything that is sealed under the current master key; the exit code for the command.

    Where the keys lie in the data directory, a new one is made first, unless an earlier rotation was
    interrupted: that one is finished instead.
    """
    keys = desk.settings.keyring
    async with _one_at_a_time(desk):
        old_form = await vault.move_old_keys(desk.db, keys, dry_run=dry_run)
        if not dry_run:
            await vault.renew_canary(desk.db, keys, SEALED_COLUMNS)
        in_use = {key_id for column in SEALED_COLUMNS for key_id in await key_ids(desk.db, column)}
        unfinished = bool(in_use - {keys.current_id})
        new_key = desk.settings.reread_master_keys is not None and not unfinished
        if new_key and dry_run:
            keys = Keyring(Secret(secrets.token_bytes(32)), keys.keys)
        elif new_key:
            DataDirectory(data).add_master_key()
            keys.refresh()
            await faults.point("master_key_added")
        tallies = [await rewrap(desk.db, column, keys, dry_run=dry_run) for column in SEALED_COLUMNS]
        if not dry_run:
            async with desk.db.transaction():
                moved = {
                    tally_of.name: tally.rewrapped for tally_of, tally in zip(SEALED_COLUMNS, tallies, strict=True)
                }
                await desk.record("vault.rotate", f"master_key:{keys.current_id.hex()}", new_key=new_key, moved=moved)
    unopened = [line for tally in (old_form, *tallies) for line in tally.unopened]
    desk.show(
        {
            "dry_run": dry_run,
            "new_master_key": new_key,
            "moved": sum(tally.rewrapped for tally in tallies),
            "moved_from_old_form": old_form.rewrapped,
            "cannot_be_opened": unopened,
        }
    )
    return 1 if unopened else 0


@asynccontextmanager
async def _one_at_a_time(desk: CommandContext) -> AsyncIterator[None]:
    """A lock of this connection's session: it ends with us, however we end."""
    if not await desk.db.fetchval("select pg_try_advisory_lock($1)", _LOCK):
        raise RefusedError("another rotation is under way")
    try:
        yield
    finally:
        await desk.db.execute("select pg_advisory_unlock($1)", _LOCK)
