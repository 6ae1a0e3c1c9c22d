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
from modellix_server.operations import balance_alerts, billing, budget_alerts, money, recharges, sign_in_codes, usage
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


async def add_alert(request: PageRequest) -> Response:
    """Tell this user when the balance is low."""
    typed = request.fields.get("threshold", "").strip().removeprefix("$")
    try:
        await balance_alerts.add(request.ctx, request.who, request.who.team, micros_from_usd(typed))
    except (ValueError, InvalidParameters) as error:
        problem = (
            error
            if isinstance(error, InvalidParameters)
            else InvalidParameters(_("write an amount in USD, such as 20"))
        )
        return await _page(request, threshold=typed, alert_problem=problem)
    return RedirectResponse("/console/billing#alerts", 303)


async def change_budget_alert(request: PageRequest) -> Response:
    """Tell this user of budgets, or no more."""
    await budget_alerts.change(request.ctx, request.who, request.who.team, told=request.fields.get("told") == "yes")
    return RedirectResponse("/console/billing#alerts", 303)


async def remove_alert(request: PageRequest) -> Response:
    """Tell this user no more."""
    await balance_alerts.remove(request.ctx, request.who, request.who.team, request.path_params["alert_id"])
    return RedirectResponse("/console/billing#alerts", 303)


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
    threshold: str = "5",
    alert_problem: PlatformError | None = None,
) -> Response:
    ctx, who, filters = request.ctx, request.who, PageFilters(request)
    wanted = TransferFilter(kind=filters.choice("kind", KINDS), at=filters.span())
    key_id, tag = filters.number("key"), filters.text("tag")
    wanted = await money.charges_of(ctx, who, who.team, wanted, key_id=key_id, tag=tag)
    entries = await money.list_entries(ctx, who, who.team, wanted, after=filters.number("after"), most=_ROWS)
    return request.render(
        "billing/billing.html",
        next((error.status for error in (problem, refusal, alert_problem) if error), 200),
        amount=amount,
        refusal=refusal.detail if refusal else "",
        recharge=returned,
        recharges=(await recharges.list_all(ctx, who, who.team, after=None, most=_LATEST)).rows,
        can_recharge=recharges.possible(ctx, who, who.team),
        alerts=await balance_alerts.list_own(ctx, who, who.team),
        told_of_budgets=await budget_alerts.is_told(ctx, who, who.team),
        threshold=threshold,
        alert_problem=alert_problem.detail if alert_problem else "",
        mail_missing=sign_in_codes.missing_settings(ctx),
        code=code,
        problem=problem.detail if problem else "",
        redeemed=redeemed,
        entries=entries,
        filters=filters,
        kinds=KINDS,
        keys=await usage.key_names(ctx, who, who.team),
        tags=await usage.tags(ctx, who, who.team),
        next=filters.url(after=str(entries.next)) if entries.next else None,
    )
