"""A team's money: balance, ledger, and how money comes in."""

from uuid import UUID

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.money import micros_from_usd
from modellix_server.billing import CodeRefused, PaymentsOff, ProviderFailed, Recharge, TooManyGuesses
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.ledger import KINDS, TransferFilter
from modellix_server.operations import billing, money, recharges, usage
from modellix_server.operations.principal import Permission

_ROWS = 50
_LATEST = 5


async def show(request: PageRequest) -> Response:
    """Balance and ledger; after a checkout, what became of it."""
    return await _page(request, returned=await _returned(request))


async def recharge(request: PageRequest) -> Response:
    """Go to the page where one pays."""
    amount = request.fields.get("amount", "").strip().removeprefix("$")
    try:
        micros = micros_from_usd(amount)
    except ValueError:
        return await _page(request, amount=amount, refusal=InvalidParameters(_("write an amount in USD, such as 20")))
    try:
        made = await recharges.start(request.ctx, request.who, request.who.team, micros)
    except (InvalidParameters, PaymentsOff, ProviderFailed) as error:
        return await _page(request, amount=amount, refusal=error)
    return RedirectResponse(made.pay_url or "/console/billing", 303)


async def redeem(request: PageRequest) -> Response:
    """Exchange a code for money."""
    code = request.fields.get("code", "")
    try:
        redeemed = await billing.redeem(request.ctx, request.who, request.who.team, code)
    except (CodeRefused, TooManyGuesses) as error:
        return await _page(request, code=code, problem=error)
    await request.read_balance()
    return await _page(request, redeemed=redeemed.amount)


async def _returned(request: PageRequest) -> Recharge | None:
    """The recharge that the payment provider sent the browser back for, as it is there."""
    text = PageFilters(request).text("recharge")
    try:
        wanted = UUID(text) if text else None
    except ValueError:
        raise NotFound(_("there is no such recharge")) from None
    if wanted is None:
        return None
    ctx, who = request.ctx, request.who
    if Permission.RECHARGE not in who.permissions:
        return await recharges.find(ctx, who, who.team, wanted)
    try:
        found = await recharges.look(ctx, who, who.team, wanted)
    except (PaymentsOff, ProviderFailed, NotFound):  # an event will say so
        found = await recharges.find(ctx, who, who.team, wanted)
    await request.read_balance()
    return found


async def _page(
    request: PageRequest,
    *,
    code: str = "",
    problem: PlatformError | None = None,
    redeemed: int | None = None,
    amount: str = "20",
    refusal: PlatformError | None = None,
    returned: Recharge | None = None,
) -> Response:
    ctx, who, filters = request.ctx, request.who, PageFilters(request)
    kind, key_id = filters.choice("kind", KINDS), filters.number("key")
    wanted = TransferFilter(kind="capture" if key_id else kind, key_id=key_id, at=filters.span())
    entries = await money.list_entries(ctx, who, who.team, wanted, after=filters.number("after"), most=_ROWS)
    return request.render(
        "billing/billing.html",
        next((error.status for error in (problem, refusal) if error), 200),
        amount=amount,
        refusal=refusal.detail if refusal else "",
        recharge=returned,
        recharges=(await recharges.list_all(ctx, who, who.team, after=None, most=_LATEST)).rows,
        can_recharge=recharges.possible(ctx, who, who.team),
        code=code,
        problem=problem.detail if problem else "",
        redeemed=redeemed,
        entries=entries,
        filters=filters,
        kinds=KINDS,
        keys=await usage.key_names(ctx, who, who.team),
        next=filters.url(after=str(entries.next)) if entries.next else None,
    )
