"""Checks that this process has the master keys that stored secrets were sealed under."""

from __future__ import annotations

from collections.abc import Iterable

from modellix_server.base.database import Connection, Pool
from modellix_server.base.envelope import CannotOpen, Keyring
from modellix_server.base.sealed import SealedColumn, key_ids, unopened
from modellix_server.base.settings import BadSettings
from modellix_server.vault import store
from modellix_server.vault.store import old_key_id

_REMEDY = (
    "Set MODELLIX_MASTER_KEY to the key used before, or give that one in MODELLIX_OLD_MASTER_KEYS. "
    "If it is lost, store each vendor key again (`modellix-server admin upstream set`), "
    "then run `modellix-server admin vault rotate`"
)


async def check_master_keys(db: Pool | Connection, keys: Keyring, columns: Iterable[SealedColumn]) -> list[str]:
    """Open every sealed value; returns a description of each one that was altered.

    Raises BadSettings if a master key is missing. In an empty database it stores a canary, which the next process
    must be able to open.
    """
    if await store.read_canary(db) is None:
        await store.plant_canary(db, keys)
    strange = await store.old_key_ids(db) - {old_key_id(key) for key in keys.keys}
    if strange:
        raise BadSettings(f"MODELLIX_MASTER_KEY is not the key that the vendor keys were stored under. {_REMEDY}")
    broken: list[str] = []
    for column in columns:
        for key_id, count in (await key_ids(db, column)).items():
            if not keys.knows(key_id):
                raise BadSettings(
                    f"MODELLIX_MASTER_KEY is not the key that {count} of {column.name} were sealed under. {_REMEDY}"
                )
        broken += await unopened(db, column, keys)
    return broken


async def renew_canary(db: Pool | Connection, keys: Keyring, columns: Iterable[SealedColumn]) -> bool:
    """Replace the canary of a lost master key if no other value is sealed under that key; returns whether it did."""
    sealed = await store.read_canary(db)
    if sealed is None:
        return False
    try:
        keys.open(sealed, *store.CANARY.context("true"))
    except CannotOpen:
        for column in columns:
            if column is not store.CANARY and any(not keys.knows(one) for one in await key_ids(db, column)):
                return False
        await store.plant_canary(db, keys, over=sealed)
        return True
    return False
