"""Opened accounts, kept for a moment in the processes that call vendors."""

from __future__ import annotations

import time
from collections.abc import Callable

from modellix_server.base.database import Pool
from modellix_server.base.envelope import Keyring
from modellix_server.vault import store
from modellix_server.vault.store import StoredAccount

_TTL_S = 2.0


class Accounts:
    """Accounts by upstream, at most 2 s old; fresher as a `base.notify.Follower`."""

    channel = "modellix_vault"

    def __init__(self, db: Pool, keys: Keyring, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock
        self._known: dict[str, tuple[float, StoredAccount | None]] = {}
        self._changes = 0

    async def get(self, upstream: str) -> StoredAccount | None:
        """The account at an upstream, None without one; raises UnusableAccount when its key cannot be opened."""
        entry = self._known.get(upstream)
        if entry is not None and self._clock() < entry[0]:
            return entry[1]
        changes = self._changes
        account = await store.open_account(self._db, self._keys, upstream)
        if changes == self._changes:  # else the answer may predate a change
            self._known[upstream] = (self._clock() + _TTL_S, account)
        return account

    def following(self) -> None:
        """Nothing to do: what is kept ages by itself."""

    def heard(self, payload: str) -> None:  # noqa: ARG002 - which row changed makes no difference
        """Forget all accounts: one changed."""
        self._changes += 1
        self._known.clear()

    def lost(self) -> None:
        """Nothing to do: what is kept ages by itself."""
