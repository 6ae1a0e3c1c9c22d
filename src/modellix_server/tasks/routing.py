"""Where an attempt goes: a route of its model and a vendor account there. The one place that chooses.

In live mode the accounts are the operator's, of which there may be several at an upstream; in test mode each upstream
has one, in the sandbox. What was chosen is stored with the attempt, so that polls of a running task depend neither on
today's catalogue nor on which accounts are enabled now.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from modellix_server import vault
from modellix_server.base.database import Pool
from modellix_server.base.errors import Unavailable
from modellix_server.base.external_link import Origins
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Model, Route
from modellix_server.tasks.breakers import Breakers
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Upstream
from modellix_server.vault import MAIN, Accounts

NO_ACCOUNT_RETRY_S = 30.0
_NO_PROVIDER = "provider temporarily unavailable"
_OPERATOR_S = 60  # until then an operator may have mended it
_REFUSED_S = 60.0
"""For how long a model is kept from an account that refused it as the operator's matter (quota, key), or its files."""
_SANDBOX_KEY = "sk-sandbox"
_SANDBOX_REGION = "cn"  # of a vendor with several, the one that offers every model


def account_address(upstream: str, name: str) -> str:
    """An account as breakers and records name it: `dashscope`, `dashscope/backup`."""
    return upstream if name == MAIN else f"{upstream}/{name}"


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
    name: str = MAIN
    weight: int = 1

    @property
    def address(self) -> str:
        """As `account_address`."""
        return account_address(self.upstream, self.name)


@dataclass(frozen=True, slots=True)
class Destination:
    """A route and an account, as an attempt keeps them."""

    route: Route
    account: str
    """Its name at the route's upstream."""
    region: str
    """The account's, when the attempt was made."""

    @property
    def address(self) -> str:
        """As `account_address`."""
        return account_address(self.route.upstream, self.account)

    @property
    def vendor_model(self) -> str:
        """What the vendor calls the model."""
        return self.route.models[self.region]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A destination that a new attempt may have."""

    destination: Destination
    preference: int
    """The route's place in the model file: 0 is the first."""
    weight: int
    tries: int = 0
    """Attempts of the task that the account has refused, or that never reached it."""
    refused: bool = False
    """As `Routing.refused`, lately."""


def choose(candidates: Sequence[Candidate], draw: float) -> Candidate:
    """The destination of a new attempt: not refused lately, the least tried, the first route; among those by weight.

    `draw` is from 0 up to 1.
    """
    best = min((one.refused, one.tries, one.preference) for one in candidates)
    group = [one for one in candidates if (one.refused, one.tries, one.preference) == best]
    at = draw * sum(one.weight for one in group)
    for one in group:
        at -= one.weight
        if at < 0:
            return one
    return group[-1]


def api_path(upstream: Upstream) -> str:
    """Where the vendor's API lies below its host, such as `/api/v1`."""
    return urlsplit(next(iter(upstream.capabilities.origins.values()))).path.rstrip("/")


class Routing(Accounts):
    """The vault's accounts as the engine wants them, and the sandbox's; and the choice among them."""

    def __init__(self, db: Pool, settings: Settings, breakers: Breakers) -> None:
        super().__init__(db, settings.keyring)
        self._breakers = breakers
        self._sandbox_url = settings.sandbox_url.rstrip("/")
        self._sandbox = {name: self._in_sandbox(upstream) for name, upstream in load_all().items()}
        self._live: dict[tuple[str, str], tuple[vault.StoredAccount, VendorAccount]] = {}
        self._refused: dict[tuple[str, str, bool], float] = {}

    async def pick(self, model: Model, tried: Sequence[str], *, live: bool) -> Destination | float:
        """Where the next attempt of a task goes, or for how many seconds it has to wait.

        `tried` are the addresses of the accounts that have had its former attempts.
        """
        if not live and len(model.routes) == 1:  # most tasks of the sandbox: there is nothing to choose
            route = model.routes[0]
            only = Destination(route, MAIN, self._sandbox[route.upstream].region)
            if only.region in route.models:
                wait_s = await self._breakers.wait_s(only.address, live=live)
                return only if wait_s is None else wait_s
        candidates = await self._candidates(model, tried, live=live)
        if not candidates:
            return NO_ACCOUNT_RETRY_S
        waits: list[float] = []
        while candidates:
            one = candidates[0] if len(candidates) == 1 else choose(candidates, random.random())  # noqa: S311
            wait_s = await self._breakers.wait_s(one.destination.address, live=live)
            if wait_s is None:
                return one.destination
            waits.append(wait_s)
            candidates.remove(one)
        return min(waits)

    async def has_other(self, model: Model, tried: Sequence[str], *, live: bool) -> bool:
        """Whether there is an account that has not had an attempt of the task and would take one now."""
        return any(
            not (one.tries or one.refused) and self._breakers.pause_left_s(one.destination.address, live=live) is None
            for one in await self._candidates(model, tried, live=live)
        )

    def refused(self, model: Model, destination: Destination, *, live: bool) -> None:
        """Note that an account refuses a model for the operator's sake, or gets no files: others come first a while."""
        self._refused[destination.address, model.slug, live] = time.monotonic() + _REFUSED_S

    async def account(self, destination: Destination, *, live: bool) -> VendorAccount | None:
        """The account of an attempt, enabled or not; None when its key cannot be opened any more."""
        if not live:
            return self._sandbox[destination.route.upstream]
        for stored in await self.of(destination.route.upstream):
            if stored.name == destination.account:
                return self._usable(stored)
        return None

    async def former(self, model: Model, *, live: bool) -> Destination | None:
        """Where an attempt went that a version made which did not record it: the first route, the main account."""
        route = model.routes[0]
        if not live:
            return Destination(route, MAIN, self._sandbox[route.upstream].region)
        for stored in await self.of(route.upstream):
            if stored.name == MAIN:
                return Destination(route, MAIN, stored.region)
        return None

    async def obstacle(self, model: Model, live: bool) -> Unavailable | None:  # noqa: FBT001 - the API's signature
        """Why no task of a model can be sent anywhere, and when to ask again; None when one can."""
        accounts = [
            account
            for route in model.routes
            for account in await self._enabled(route.upstream, live=live)
            if account.region in route.models
        ]
        if not accounts:
            return Unavailable(await self._why_nowhere(model, live=live), retry_after_s=_OPERATOR_S)
        if not live:
            return None
        pauses = [self._breakers.pause_left_s(account.address, live=live) for account in accounts]
        lefts = [left_s for left_s in pauses if left_s is not None]
        if len(lefts) < len(pauses):
            return None
        return Unavailable(_NO_PROVIDER, retry_after_s=math.ceil(min(lefts)))

    async def _candidates(self, model: Model, tried: Sequence[str], *, live: bool) -> list[Candidate]:
        now = time.monotonic()
        return [
            Candidate(
                Destination(route, account.name, account.region),
                preference,
                account.weight,
                tried.count(account.address),
                self._refused.get((account.address, model.slug, live), 0.0) > now,
            )
            for preference, route in enumerate(model.routes)
            for account in await self._enabled(route.upstream, live=live)
            if account.region in route.models
        ]

    async def _enabled(self, upstream: str, *, live: bool) -> list[VendorAccount]:
        if not live:
            return [self._sandbox[upstream]]
        return [self._usable(stored) for stored in await self.of(upstream) if stored.enabled]

    def _usable(self, stored: vault.StoredAccount) -> VendorAccount:
        known = self._live.get((stored.upstream, stored.name))
        if known is None or known[0] is not stored:
            account = VendorAccount(
                stored.upstream,
                stored.base_url,
                stored.region,
                Origins.of(stored.base_url, *stored.origins),
                stored.key,
                stored.polls_per_s,
                name=stored.name,
                weight=stored.weight,
            )
            known = self._live[stored.upstream, stored.name] = (stored, account)
        return known[1]

    def _in_sandbox(self, upstream: Upstream) -> VendorAccount:
        url = f"{self._sandbox_url}/{upstream.name}{api_path(upstream)}"
        regions = upstream.capabilities.origins
        region = _SANDBOX_REGION if _SANDBOX_REGION in regions else next(iter(regions))
        return VendorAccount(upstream.name, url, region, Origins.of(url), _SANDBOX_KEY, None, sandbox=True)

    async def _why_nowhere(self, model: Model, *, live: bool) -> str:
        for route in model.routes:
            for account in await self._enabled(route.upstream, live=live):
                others = ", ".join(sorted(route.models))
                return f"the provider offers this model not in our region '{account.region}' but in: {others}"
        return _NO_PROVIDER
