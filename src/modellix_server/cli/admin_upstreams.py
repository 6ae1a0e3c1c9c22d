"""Admin commands about the operator's accounts at the vendors."""

from __future__ import annotations

import re
import sys
from typing import Any
from urllib.parse import urlsplit

import typer

from modellix_server import vault
from modellix_server.base.outbound import AnswerLost, NotSent, Origins, Outbound
from modellix_server.catalogue import Route
from modellix_server.cli.context import UNREACHED, CommandContext, RefusedError
from modellix_server.tasks import Breaker, list_open
from modellix_server.tasks.accounts import VendorAccount, api_path
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Order, UnmappedAnswer, Upstream

_NO_SUCH_TASK = "00000000-0000-0000-0000-000000000000"
_TIMEOUT_S = 15.0
# Some vendors refuse a key under status 200 or 400, so their words count as well.
_KEY_REFUSED = re.compile(r"invalid.?api.?key|unauthorized|not.authorized|authentication|login fail", re.IGNORECASE)


async def set_account(
    desk: CommandContext,
    name: str,
    base_url: str | None,
    region: str | None,
    origins: list[str],
    polls_per_s: float | None,
) -> None:
    """Store the account, with the key from standard input."""
    upstream = _find(name)
    origins_by_region = upstream.traits.origins
    if region is None:
        region = "intl" if "intl" in origins_by_region else next(iter(origins_by_region))
    if region not in origins_by_region:
        raise RefusedError(f"{name} has no region '{region}', but {', '.join(origins_by_region)}")
    key = _read_key(name)
    base_url = _whole(base_url, upstream) if base_url else origins_by_region[region]
    async with desk.db.transaction():
        await vault.set_account(
            desk.db,
            desk.settings.keyring,
            name,
            key,
            base_url=base_url,
            region=region,
            origins=origins,
            polls_per_s=polls_per_s,
        )
        about: dict[str, Any] = {"base_url": base_url, "region": region, "origins": origins, "polls_per_s": polls_per_s}
        await desk.record("upstream.set", f"upstream:{name}", **about)
    listed = {one.upstream: one for one in await vault.list_accounts(desk.db, desk.settings.keyring)}
    desk.show(_account(listed[name]))


def _whole(base_url: str, upstream: Upstream) -> str:
    """The operator may name just a host; the API then lies where the vendor's own does."""
    return base_url.rstrip("/") + api_path(upstream) if urlsplit(base_url).path in ("", "/") else base_url


async def list_all(desk: CommandContext) -> None:
    """Show the accounts; of each key only the end."""
    accounts = await vault.list_accounts(desk.db, desk.settings.keyring)
    broken = {one.upstream: one for one in await list_open(desk.db) if one.live}
    desk.show_all(
        [{**_account(one), "answers": _answers(broken.get(one.upstream))} for one in accounts],
        none=f"No vendor accounts: live requests get 503. Known upstreams: {', '.join(load_all())}",
    )


async def test(desk: CommandContext, name: str) -> int:
    """Ask the vendor about a task that does not exist, which costs nothing; the exit code for the command."""
    upstream = _find(name)
    stored = await vault.open_account(desk.db, desk.settings.keyring, name)
    if stored is None:
        raise RefusedError(f"no account for {name}: modellix-server admin upstream set {name}")
    account = VendorAccount(
        name,
        stored.base_url,
        stored.region,
        Origins.of(stored.base_url, *stored.origins),
        stored.key,
        stored.polls_per_s,
    )
    outbound = Outbound(desk.settings.allow_networks)
    http = VendorHttp(account, outbound, _TIMEOUT_S)
    try:
        verdict, words = await _ask(upstream, account, http)
    finally:
        await outbound.close()
    desk.show({"upstream": name, "verdict": verdict, "http_status": http.status, "vendor_says": words})
    return {"key accepted": 0, "unreachable": UNREACHED}.get(verdict, 1)


async def _ask(upstream: Upstream, account: VendorAccount, http: VendorHttp) -> tuple[str, str | None]:
    route = Route(upstream=upstream.name, models={}, wire={}, to={})
    order = Order(attempt="task-test-0", route=route, params={}, key=account.key, region=account.region)
    try:
        await upstream.poll(_NO_SUCH_TASK, order, http)
    except NotSent as error:
        return "unreachable", str(error)
    except AnswerLost as error:
        return "no whole answer", str(error)
    except UnmappedAnswer:
        pass  # expected: no such task
    words, status = http.words, http.status or 0
    if status in (401, 403) or _KEY_REFUSED.search(words or ""):
        return "key refused", words
    if status == 429 or status >= 500:
        return "vendor is busy, try again", words
    return "key accepted", words


def _find(name: str) -> Upstream:
    known = load_all()
    if name not in known:
        raise RefusedError(f"unknown upstream '{name}'; known: {', '.join(known)}")
    return known[name]


def _read_key(name: str) -> str:
    """The vendor's key, never from the command line, where every process of the machine could read it."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"API key of {name}", hide_input=True)).strip()
    return sys.stdin.readline().strip()


def _answers(broken: Breaker | None) -> str:
    if broken is None:
        return "yes"
    return f"no, since {broken.opened_at:%Y-%m-%d %H:%M} UTC: {broken.reason}"


def _account(one: vault.ListedAccount) -> dict[str, Any]:
    return {
        "upstream": one.upstream,
        "base_url": one.base_url,
        "region": one.region,
        "key": f"…{one.last4}" if one.last4 else "cannot be opened: stored under another master key, or changed",
        "result_origins": list(one.origins),
        "polls_per_s": one.polls_per_s,
        "updated_at": one.updated_at,
    }
