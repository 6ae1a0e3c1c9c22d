"""The prices in force, kept in memory by the processes that quote."""

import asyncio

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Pool
from modellix_server.catalogue import Prices
from modellix_server.pricing import store

_log = log.get("pricing")
_EVERY_S = 2.0


class PriceBook:
    """The operator's prices, at most 2 s old while the database can be asked. Reading costs nothing.

    A quote from prices that are a moment old is still valid: the task freezes it.
    """

    def __init__(self, db: Pool) -> None:
        """Call `refresh` before the first quote: the prices must have been read."""
        self._db = db
        self._prices: Prices | None = None

    def prices(self) -> Prices:
        """Those in force."""
        assert self._prices is not None, "refresh comes first"
        return self._prices

    async def refresh(self) -> None:
        """Read the prices now."""
        self._prices = await store.book(self._db)

    async def keep_fresh(self) -> None:
        """Read them again every 2 s until cancelled; an unreachable database leaves them as they are."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.refresh()
            except DATABASE_ERRORS as error:
                _log.warning("prices could not be read again", error=type(error).__name__)
