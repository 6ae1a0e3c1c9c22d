"""Authentication on the hot path: a small cache in front of batched look-ups.

The cache is an optimisation of refusals and reads only. Whether a key may still spend money is asked
again in the transaction that accepts a task (`identity.active_keys`).
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

from modellix_server.base.batcher import Batcher
from modellix_server.base.database import DATABASE_ERRORS, UNREACHABLE, Pool
from modellix_server.base.errors import Unauthorized, Unavailable
from modellix_server.base.notify import Follower
from modellix_server.base.secret import Secret
from modellix_server.identity import api_keys, keys, store
from modellix_server.identity.store import Caller

_TTL_S = 5.0  # how long a change goes unnoticed if its notification is lost
_NOTED_EVERY_S = 5.0
_MOST = 50_000  # about 20 MB


class Callers(Follower):
    """Authenticates callers; caches only while it is notified of every change."""

    channel = "modellix_identity"

    def __init__(self, db: Pool, secret: Secret, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._pepper = api_keys.pepper(secret)
        self._clock = clock
        self._find: Batcher[bytes, tuple[Caller, float | None] | None] = Batcher(self._look_up)
        # Keyed by the digest of the whole header: no key's text stays in memory, and no two keys share an entry.
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._used: dict[int, datetime] = {}
        self._changes = 0
        self._hearing = False

    def cached(self, header: str | None) -> Caller | None:
        """The caller, if this very header was accepted moments ago. None proves nothing about the key."""
        if header is None:
            return None
        entry = self._known.get(_digest(header))
        return entry[1] if entry is not None and self._clock() < entry[0] else None

    async def authenticate(self, header: str | None) -> Caller:
        """The caller behind an `Authorization` header.

        Raises Unauthorized for a missing, malformed, unknown, expired or revoked key, Unavailable without the database.
        """
        if (known := self.cached(header)) is not None:
            return known
        text = keys.presented(header)
        if text is None or header is None:
            raise _refused()
        changes = self._changes
        try:
            found = await self._find(keys.stored_form(text, self._pepper))
        except UNREACHABLE as error:
            raise Unavailable("the database cannot be reached", retry_after_s=1) from error
        if found is None:
            raise _refused()
        caller, lasts_s = found
        if self._hearing and changes == self._changes:  # else the answer may predate a change
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[_digest(header)] = (
                self._clock() + (_TTL_S if lasts_s is None else min(_TTL_S, lasts_s)),
                caller,
            )
        return caller

    def following(self) -> None:
        """Start caching: every change is notified from now on."""
        self._hearing = True

    def heard(self, payload: str) -> None:  # noqa: ARG002 - which row changed makes no difference
        """Empty the cache: a key, a team or a limit changed."""
        self._changes += 1
        self._known.clear()

    def lost(self) -> None:
        """Stop caching: a revocation might not be notified."""
        self._hearing = False
        self.heard("")

    async def keep_noting_use(self) -> None:
        """Record every few seconds which keys were used, until cancelled."""
        while True:
            await asyncio.sleep(_NOTED_EVERY_S)
            await self.note_use()

    async def note_use(self) -> None:
        """Record which keys were used; later, while the database cannot be reached.

        Keys are noted where they are looked up: a key in use is, every few seconds. The hot path does nothing for it.
        """
        used, self._used = self._used, {}
        try:
            if used:
                await api_keys.note_use(self._db, used)
        except DATABASE_ERRORS:
            self._used = used | self._used

    async def _look_up(self, hashes: list[bytes]) -> list[tuple[Caller, float | None] | None]:
        found = await store.callers(self._db, hashes)
        now = datetime.now(UTC)
        self._used |= {caller.key_id: now for caller, _ in found.values()}
        return [found.get(one) for one in hashes]


def _digest(header: str) -> bytes:
    return hashlib.blake2b(header.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _refused() -> Unauthorized:
    return Unauthorized("invalid or missing API key")
