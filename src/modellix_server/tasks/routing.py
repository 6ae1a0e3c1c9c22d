"""Where a task goes: the operator's account in live mode, the sandbox in test mode."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from modellix_server import vault
from modellix_server.base.database import Pool
from modellix_server.base.errors import Unavailable
from modellix_server.base.outbound import Origins
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Route
from modellix_server.tasks.breakers import Breakers
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Upstream
from modellix_server.vault import Accounts

_NO_PROVIDER = "provider temporarily unavailable"
_OPERATOR_S = 60  # until then an operator may have mended it
_SANDBOX_KEY = "sk-sandbox"
_SANDBOX_REGION = "cn"  # of a vendor with several, the one that offers every model


@dataclass(frozen=True, slots=True)
class VendorAccount:
    """What the engine needs to call a vendor. `key` goes to `base_url` and nowhere else."""

    upstream: str
    base_url: str
    region: str
    origins: Origins
    """Where calls and results of this account may go beyond the public internet."""
    key: str = field(repr=False)
    polls_per_s: float | None
    """The operator's own limit on status queries; None takes the vendor's."""
    sandbox: bool = False


FindAccount = Callable[[str, bool], Awaitable[VendorAccount | None]]
"""(upstream, live) -> the account, or None when the operator has configured none."""


def api_path(upstream: Upstream) -> str:
    """Where the vendor's API lies below its host, such as `/api/v1`."""
    return urlsplit(next(iter(upstream.capabilities.origins.values()))).path.rstrip("/")


class AccountFinder(Accounts):
    """The vault's accounts as the engine wants them, and the sandbox's."""

    def __init__(self, db: Pool, settings: Settings, breakers: Breakers | None = None) -> None:
        """With `breakers`, a vendor that does not answer is an obstacle too."""
        self._breakers = breakers
        super().__init__(db, settings.keyring)
        self._sandbox_url = settings.sandbox_url.rstrip("/")
        self._sandbox = {name: self._in_sandbox(upstream) for name, upstream in load_all().items()}
        self._live: dict[str, tuple[vault.StoredAccount, VendorAccount]] = {}

    async def find(self, upstream: str, live: bool) -> VendorAccount | None:  # noqa: FBT001 - the engine's signature
        """The account for one mode; None when the operator has configured none."""
        if not live:
            return self._sandbox[upstream]
        stored = next((one for one in await self.of(upstream) if one.enabled), None)
        if stored is None:  # a key that cannot be opened is as good as none: tasks wait
            return None
        known = self._live.get(upstream)
        if known is None or known[0] is not stored:
            origins = Origins.of(stored.base_url, *stored.origins)
            account = VendorAccount(upstream, stored.base_url, stored.region, origins, stored.key, stored.polls_per_s)
            known = self._live[upstream] = (stored, account)
        return known[1]

    def _in_sandbox(self, upstream: Upstream) -> VendorAccount:
        url = f"{self._sandbox_url}/{upstream.name}{api_path(upstream)}"
        regions = upstream.capabilities.origins
        region = _SANDBOX_REGION if _SANDBOX_REGION in regions else next(iter(regions))
        return VendorAccount(upstream.name, url, region, Origins.of(url), _SANDBOX_KEY, None, sandbox=True)

    async def obstacle(self, route: Route, live: bool) -> Unavailable | None:  # noqa: FBT001 - the API's signature
        """Why no task can be sent by a route, and when to ask again; None when it can."""
        account = await self.find(route.upstream, live)
        if account is None:
            return Unavailable(_NO_PROVIDER, retry_after_s=_OPERATOR_S)
        if account.region not in route.models:
            others = ", ".join(sorted(route.models))
            why = f"the provider offers this model not in our region '{account.region}' but in: {others}"
            return Unavailable(why, retry_after_s=_OPERATOR_S)
        left_s = self._breakers.pause_left_s(route.upstream, live=live) if live and self._breakers else None
        return None if left_s is None else Unavailable(_NO_PROVIDER, retry_after_s=math.ceil(left_s))
