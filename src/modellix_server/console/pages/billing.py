"""A team's money: balance, ledger, and how money comes in."""

from starlette.responses import Response

from modellix_server.base.errors import PlatformError
from modellix_server.billing import CodeRefused, TooManyGuesses
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.query import PageQuery
from modellix_server.ledger import KINDS, TransferFilter
from modellix_server.operations import billing, money, usage

_ROWS = 50


async def show(request: PageRequest) -> Response:
    """Balance and ledger."""
    return await _page(request)


async def redeem(request: PageRequest) -> Response:
    """Exchange a code for money."""
    code = request.fields.get("code", "")
    try:
        redeemed = await billing.redeem(request.ctx, request.who, request.who.team, code)
    except (CodeRefused, TooManyGuesses) as error:
        return await _page(request, code=code, problem=error)
    await request.read_balance()
    return await _page(request, redeemed=redeemed.amount)


async def _page(
    request: PageRequest, *, code: str = "", problem: PlatformError | None = None, redeemed: int | None = None
) -> Response:
    ctx, who, query = request.ctx, request.who, PageQuery(request)
    kind, key_id = query.choice("kind", KINDS), query.number("key")
    wanted = TransferFilter(kind="capture" if key_id else kind, key_id=key_id, at=query.days())
    entries = await money.list_entries(ctx, who, who.team, wanted, after=query.number("after"), most=_ROWS)
    return request.render(
        "billing/billing.html",
        problem.status if problem else 200,
        code=code,
        problem=problem.detail if problem else "",
        redeemed=redeemed,
        entries=entries,
        filters={"kind": wanted.kind, "key": key_id, "from": query.day("from"), "to": query.day("to")},
        kinds=KINDS,
        keys=await usage.key_names(ctx, who, who.team),
        older=query.link(after=entries.next) if entries.next else None,
        newest=query.link(after=None) if query.number("after") else None,
        filtered=any(query.text(name) for name in ("kind", "key", "from", "to")),
    )
