"""The accounts at the vendors."""

from typing import Any

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _
from modellix_server.console.pages.operator import fields
from modellix_server.operations import vendor_accounts
from modellix_server.operations.vendor_accounts import AccountExists, AccountOverview, KeyCheck
from modellix_server.vault import UnusableAccount

_PATH = "/operator/vendors"


async def show(request: PageRequest) -> Response:
    """All accounts, and the form for another one."""
    return await _list(request)


async def add(request: PageRequest) -> Response:
    """Store another account."""
    upstream, name = request.fields.get("upstream", ""), request.fields.get("name", "").strip()
    try:
        await _store(request, upstream, name, over=False)
    except (InvalidParameters, AccountExists) as error:
        return await _list(request, problem=error)
    return RedirectResponse(_PATH, 303)


async def check(request: PageRequest) -> Response:
    """Ask the vendor whether it takes the key, and say what came of it."""
    one = await _find(request)
    upstream, name = one.account.upstream, one.account.name
    try:
        found = await vendor_accounts.check_key(request.ctx, request.who, upstream, name)
    except UnusableAccount as error:
        return await _list(request, problem=InvalidParameters(str(error)))
    good = found.verdict == vendor_accounts.ACCEPTED
    return await _list(request, checked=one.account, good=good, words=_in_words(found), answer=found)


async def read(request: PageRequest) -> Response:
    """One account and the forms that change it."""
    return _one(request, await _find(request))


async def change(request: PageRequest) -> Response:
    """Change an account's share."""
    one = await _find(request)
    try:
        weight = fields.whole(request.fields.get("weight", ""))
        account = one.account
        await vendor_accounts.change(request.ctx, request.who, account.upstream, account.name, weight=weight)
    except InvalidParameters as error:
        return _one(request, one, form="share", problem=error)
    return RedirectResponse(_PATH, 303)


async def replace(request: PageRequest) -> Response:
    """Give an account another key, and what belongs to it."""
    one = await _find(request)
    try:
        await _store(request, one.account.upstream, one.account.name, over=True)
    except InvalidParameters as error:
        return _one(request, one, form="key", problem=error)
    return RedirectResponse(_PATH, 303)


async def disable(request: PageRequest) -> Response:
    """Send no new tasks there."""
    return await _enable(request, enabled=False)


async def enable(request: PageRequest) -> Response:
    """Let it take new tasks."""
    return await _enable(request, enabled=True)


async def _enable(request: PageRequest, *, enabled: bool) -> Response:
    account = (await _find(request)).account
    await vendor_accounts.change(request.ctx, request.who, account.upstream, account.name, enabled=enabled)
    return RedirectResponse(_PATH, 303)


async def _store(request: PageRequest, upstream: str, name: str, *, over: bool) -> None:
    typed = {field: request.fields.get(field, "").strip() for field in ("region", "base_url", "origins", "polls")}
    await vendor_accounts.store(
        request.ctx,
        request.who,
        upstream,
        request.fields.get("key", "").strip(),
        name=name,
        base_url=typed["base_url"] or None,
        region=typed["region"] or None,
        origins=typed["origins"].replace(",", " ").split(),
        polls_per_s=_rate(typed["polls"]),
        weight=fields.whole(request.fields.get("weight", "")),
        over=over,
    )


def _rate(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise InvalidParameters(_("status queries a second are a number, such as 5 or 0.5")) from None


async def _find(request: PageRequest) -> AccountOverview:
    wanted = request.path_params["upstream"], request.path_params["name"]
    for one in await vendor_accounts.list_all(request.ctx, request.who):
        if (one.account.upstream, one.account.name) == wanted:
            return one
    raise NotFound(_("there is no such vendor account"))


async def _list(request: PageRequest, problem: PlatformError | None = None, **more: Any) -> Response:
    found = await vendor_accounts.list_all(request.ctx, request.who)
    shown = {
        "accounts": found,
        "upstreams": vendor_accounts.upstreams(request.ctx, request.who),
        "problem": problem.detail if problem else "",
        "typed": request.fields if problem else {},
        "checked": None,
        **more,
    }
    return request.render("operator/vendors.html", problem.status if problem else 200, **shown)


def _one(request: PageRequest, one: AccountOverview, form: str = "", problem: PlatformError | None = None) -> Response:
    shown = {
        "one": one,
        "regions": vendor_accounts.upstreams(request.ctx, request.who).get(one.account.upstream, ()),
        "form": form,
        "problem": problem.detail if problem else "",
        "typed": request.fields if problem else {},
    }
    return request.render("operator/vendor.html", problem.status if problem else 200, **shown)


def _in_words(found: KeyCheck) -> str:
    return {
        vendor_accounts.ACCEPTED: _("The vendor takes the key. Nothing was charged."),
        vendor_accounts.REFUSED: _("The vendor refuses the key. Check the key, and that it is of this region."),
        vendor_accounts.UNREACHABLE: _("The vendor cannot be reached from here. Check the address and the network."),
        vendor_accounts.LOST: _("The vendor broke off its answer. Test again in a moment."),
        vendor_accounts.BUSY: _("The vendor is busy or out of order. Test again in a moment."),
        vendor_accounts.UNCLEAR: _(
            "This answer is none of those that the vendor documents for a good or a bad key. Check the address."
        ),
    }[found.verdict]
