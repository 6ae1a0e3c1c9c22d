"""Which account a task goes to: the vault's in live mode, the sandbox in test mode."""

from __future__ import annotations

from modellix_server.base.database import Pool
from modellix_server.base.outbound import Origins
from modellix_server.base.settings import Settings
from modellix_server.tasks import Account, api_path
from modellix_server.upstreams import load_all
from modellix_server.vault import Accounts

_SANDBOX_KEY = "sk-sandbox"
_SANDBOX_REGION = "cn"  # the region that offers every model


class AccountFinder(Accounts):
    """The vault's accounts as the engine wants them, and the sandbox's."""

    def __init__(self, db: Pool, settings: Settings) -> None:
        super().__init__(db, settings.master_key)
        self._sandbox_url = settings.sandbox_url.rstrip("/")
        self._upstreams = load_all()

    async def find(self, upstream: str, live: bool) -> Account | None:  # noqa: FBT001 - the engine's signature
        """The account for one mode; None when the operator has configured none."""
        if not live:
            url = f"{self._sandbox_url}/{upstream}{api_path(self._upstreams[upstream])}"
            return Account(upstream, url, _SANDBOX_REGION, Origins.of(url), _SANDBOX_KEY, None, sandbox=True)
        stored = await self.get(upstream)
        if stored is None:
            return None
        origins = Origins.of(stored.base_url, *stored.origins)
        return Account(upstream, stored.base_url, stored.region, origins, stored.key, stored.polls_per_s)

    async def reachable(self, upstream: str, live: bool) -> bool:  # noqa: FBT001 - the API's signature
        """Whether there is an account at all."""
        return not live or await self.get(upstream) is not None
