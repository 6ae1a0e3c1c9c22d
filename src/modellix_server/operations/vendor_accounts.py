"""The operator's accounts at the vendors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from modellix_server import audit, tasks, vault
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import AnswerLost, NotSent, Outbound
from modellix_server.catalogue import Route
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import AccountHealth, Breaker, VendorAccount, account_address, api_path
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Order, UnmappedAnswer, Upstream
from modellix_server.vault import MAIN, ListedAccount

_TIMEOUT_S = 15.0
_HEALTH_SPAN = timedelta(hours=1)

ACCEPTED, REFUSED, UNREACHABLE = "key accepted", "key refused", "unreachable"
LOST, BUSY, UNCLEAR = "no whole answer", "vendor is busy, try again", "answer that the vendor does not document"


class AccountExists(PlatformError):
    """There is an account of this name already."""

    status: ClassVar[int] = 409
    category: ClassVar[str] = "Conflict"
    code: ClassVar[str] = "account_exists"


@dataclass(frozen=True, slots=True)
class AccountOverview:
    """An account and how it does."""

    account: ListedAccount
    breaker: Breaker | None
    """Open, when the vendor does not answer there."""
    health: AccountHealth | None
    """Of live attempts of the last hour; None without any."""


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What came of asking a vendor about a key."""

    verdict: str
    """ACCEPTED, REFUSED, UNREACHABLE, LOST, BUSY or UNCLEAR."""
    http_status: int | None
    vendor_says: str | None


async def store(
    ctx: Context,
    who: Principal,
    upstream: str,
    key: str,
    *,
    name: str = MAIN,
    base_url: str | None = None,
    region: str | None = None,
    origins: Sequence[str] = (),
    polls_per_s: float | None = None,
    weight: int | None = None,
    over: bool = True,
) -> ListedAccount:
    """Store an account over the former one of this name; without address and region those of the vendor are taken.

    Raises InvalidParameters for what cannot be right; AccountExists, unless `over`, when there is a former one.
    """
    who.require(Permission.OPERATE)
    who.require_fresh()
    found = find_upstream(upstream)
    by_region = found.capabilities.origins
    if region is None:
        region = "intl" if "intl" in by_region else next(iter(by_region))
    if region not in by_region:
        raise InvalidParameters(f"{upstream} has no region '{region}', but {', '.join(by_region)}")
    about: dict[str, Any] = {
        "base_url": _whole(base_url, found) if base_url else by_region[region],
        "region": region,
        "origins": list(origins),
        "polls_per_s": polls_per_s,
    }
    async with ctx.transaction() as tx:
        if not over and await vault.has_account(tx, upstream, name):
            raise AccountExists(f"there is an account '{name}' at {upstream}: change that one, or take another name")
        await vault.set_account(tx, ctx.settings.keyring, upstream, key, name=name, weight=weight, **about)
        stored = await _listed(tx, ctx, upstream, name)
        await _record(tx, who, "upstream.set", stored, about | {"weight": stored.weight})
    return stored


async def change(
    ctx: Context,
    who: Principal,
    upstream: str,
    name: str,
    *,
    weight: int | None = None,
    enabled: bool | None = None,
) -> ListedAccount:
    """Change an account's share of new submissions. Raises InvalidParameters or NotFound."""
    who.require(Permission.OPERATE)
    who.require_fresh()
    async with ctx.transaction() as tx:
        await vault.change_account(tx, upstream, name, weight=weight, enabled=enabled)
        changed = await _listed(tx, ctx, upstream, name)
        await _record(tx, who, "upstream.change", changed, {"weight": changed.weight, "enabled": changed.enabled})
    return changed


async def list_all(ctx: Context, who: Principal) -> list[AccountOverview]:
    """Every account with its health, by upstream."""
    who.require(Permission.OPERATE)
    broken = {one.upstream: one for one in await tasks.list_open(ctx.db) if one.live}
    async with ctx.reading() as db:
        accounts = await vault.list_accounts(db, ctx.settings.keyring)
        health = await tasks.account_health(db, datetime.now(UTC) - _HEALTH_SPAN)
    return [
        AccountOverview(one, broken.get(account_address(one.upstream, one.name)), health.get((one.upstream, one.name)))
        for one in accounts
    ]


def upstreams(ctx: Context, who: Principal) -> dict[str, tuple[str, ...]]:
    """The vendors that there are adapters for, each with its regions."""
    who.require(Permission.OPERATE)
    return {name: tuple(one.capabilities.origins) for name, one in ctx.upstreams.items()}


async def check_key(ctx: Context, who: Principal, upstream: str, name: str = MAIN) -> KeyCheck:
    """Ask the vendor about something that does not exist, which costs nothing.

    Raises NotFound, or UnusableAccount when the stored key cannot be opened.
    """
    who.require(Permission.OPERATE)
    found = find_upstream(upstream)
    stored = await vault.open_account(ctx.db, ctx.settings.keyring, upstream, name)
    if stored is None:
        named = "" if name == MAIN else f" named '{name}'"
        raise NotFound(f"no account for {upstream}{named}: modellix-server admin upstream set {upstream}")
    origins = Origins.of(stored.base_url, *stored.origins)
    account = VendorAccount(upstream, stored.base_url, stored.region, origins, stored.key, stored.polls_per_s)
    outbound = Outbound(ctx.settings.allow_networks)
    try:
        return await _ask(found, account, VendorHttp(account, outbound, _TIMEOUT_S))
    finally:
        await outbound.close()


def find_upstream(name: str) -> Upstream:
    """Raises InvalidParameters."""
    known: Mapping[str, Upstream] = load_all()
    if name not in known:
        raise InvalidParameters(f"unknown upstream '{name}'; known: {', '.join(known)}")
    return known[name]


async def _ask(upstream: Upstream, account: VendorAccount, http: VendorHttp) -> KeyCheck:
    route = Route(upstream=upstream.name, models={}, wire={}, to={})
    order = Order(attempt="task-test-0", route=route, params={}, key=account.key, region=account.region)
    taken = None
    try:
        taken = await upstream.takes_key(order, http)
    except NotSent as error:
        return KeyCheck(UNREACHABLE, http.status, str(error))
    except AnswerLost as error:
        return KeyCheck(LOST, http.status, str(error))
    except UnmappedAnswer:
        pass
    if taken is None:
        busy = http.status is not None and (http.status == 429 or http.status >= 500)
        return KeyCheck(BUSY if busy else UNCLEAR, http.status, http.words)
    return KeyCheck(ACCEPTED if taken else REFUSED, http.status, http.words)


def _whole(base_url: str, upstream: Upstream) -> str:
    """The operator may name just a host; the API then lies where the vendor's own does."""
    return base_url.rstrip("/") + api_path(upstream) if urlsplit(base_url).path in ("", "/") else base_url


async def _listed(tx: Connection, ctx: Context, upstream: str, name: str) -> ListedAccount:
    accounts = await vault.list_accounts(tx, ctx.settings.keyring)
    return next(one for one in accounts if (one.upstream, one.name) == (upstream, name))


async def _record(
    tx: Connection, who: Principal, action: str, account: ListedAccount, about: Mapping[str, Any]
) -> None:
    await audit.record(tx, who.actor, action, f"upstream:{account.upstream}", account=account.name, **about)
