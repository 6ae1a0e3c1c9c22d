"""Cache of decrypted accounts, for the processes that call vendors."""

import time
from collections.abc import Callable

from modellix_server.base import log
from modellix_server.base.database import Pool
from modellix_server.base.envelope import Keyring
from modellix_server.base.notify import Follower
from modellix_server.vault import store
from modellix_server.vault.store import StoredAccount

_TTL_S = 2.0
_LOG = log.get("vault")


class Accounts(Follower):
    """Decrypted accounts by upstream, cached for 2 s and dropped when one changes."""

    channel = "modellix_vault"

    def __init__(self, db: Pool, keys: Keyring, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock
        self._known: dict[str, tuple[float, list[StoredAccount]]] = {}
        self._changes = 0
        self._told: dict[str, set[str]] = {}

    async def of(self, upstream: str) -> list[StoredAccount]:
        """The accounts at an upstream, the enabled ones first, then the oldest.

        One whose key cannot be opened is left out, and logged once.
        """
        entry = self._known.get(upstream)
        if entry is not None and self._clock() < entry[0]:
            return entry[1]
        changes = self._changes
        accounts, unusable = await store.open_accounts(self._db, self._keys, upstream)
        told, self._told[upstream] = self._told.get(upstream, set()), {str(one) for one in unusable}
        for why in self._told[upstream] - told:
            _LOG.error("an account cannot be used", upstream=upstream, error=why)
        if changes == self._changes:  # else the answer may predate a change
            self._known[upstream] = (self._clock() + _TTL_S, accounts)
        return accounts

    def heard(self, payload: str) -> None:  # noqa: ARG002 - which row changed makes no difference
        """Drop all entries: an account changed."""
        self._changes += 1
        self._known.clear()
