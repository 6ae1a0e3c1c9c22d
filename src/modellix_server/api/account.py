"""Routes about the caller's key, its team's money and usage, and leaked keys."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from modellix_server import ledger
from modellix_server.api.dispatch import Request, authorization_of
from modellix_server.api.lists import answer_list, download, one_page
from modellix_server.api.parsing import Filters, read_json
from modellix_server.base.errors import InvalidFormat, InvalidParameters, Unauthorized
from modellix_server.base.exports import FORMATS, Exported, iso
from modellix_server.base.ids import task_name
from modellix_server.base.money import usd_number
from modellix_server.budgets import Budget
from modellix_server.operations import keys, leaks, money
from modellix_server.operations import usage as usages
from modellix_server.operations.usage import UsageGroup
from modellix_server.tasks import SUM_GROUPS, UsageSum

_TRANSFER_COLUMNS = ("id", "at", "kind", "debit", "credit", "amount", "amount_micros", "task_id", "key_id", "note")
_NAMED = ("key", "member")
_MOST_LEAKS = 100
_LEAK_SHAPES = (
    "the body is an object with 'key' or 'keys', a list of keys, or a list of objects with 'token' as secret "
    "scanners send it"
)


async def validate_key(request: Request) -> Response:
    """`GET /apikey/validate`: always HTTP 200; known clients treat any other status as a connection failure."""
    context = request.context
    try:
        context.caller = await request.ctx.callers.authenticate(authorization_of(request))
    except Unauthorized:
        return request.success({"is_valid": False})
    context.rate = request.ctx.windows.take(context.caller)  # counted, never refused
    return request.success({"is_valid": True})


async def own_key(request: Request) -> Response:
    """`GET /key`: what the key itself may do, and what it has spent."""
    own = await keys.read_own(request.ctx, request.who)
    key = own.key
    return request.success(
        {
            "id": key.id,
            "name": key.name,
            "tag": key.tag,
            "mode": request.who.team.mode,
            "looks_like": f"{key.prefix}…{key.last4}",
            "created_at": iso(key.created_at),
            "expires_at": iso(key.expires_at) if key.expires_at else None,
            "models": None if key.allowed.every else list(key.allowed.models),
            "types": None if key.allowed.every else list(key.allowed.types),
            "limits": {
                "requests_per_minute": own.limits.key_rpm,
                "team_requests_per_minute": own.limits.rpm,
                "team_running_tasks": own.limits.concurrency,
            },
            "budget": _budget(own.budget),
            "team_budget": _budget(own.team_budget),
        }
    )


def _budget(budget: Budget | None) -> Exported | None:
    if budget is None:
        return None
    return {
        "amount": usd_number(budget.amount),
        "period": budget.period,
        "used": usd_number(budget.used),
        "held": usd_number(budget.held),
        "left": usd_number(max(budget.left, 0)),
        "resets_at": iso(budget.resets_at) if budget.resets_at else None,
    }


async def balance(request: Request) -> Response:
    """`GET /team/balance`: what a new task may cost, in USD, of the key's mode."""
    found = await money.balance(request.ctx, request.who, request.who.team)
    return request.success({"balance": usd_number(found.available)})


async def statement(request: Request) -> Response:
    """`GET /team/ledger`: every transfer, newest first; `kind`, `task_id`, `key_id`, `tag`, `from`, `to` narrow it."""
    filters = Filters(request.query_params)
    wanted = ledger.TransferFilter(
        kind=filters.choice("kind", ledger.KINDS),
        task_id=filters.task("task_id"),
        at=filters.span(),
    )
    ctx, who = request.ctx, request.who
    key_id, tag = filters.number("key_id"), filters.text("tag")
    wanted = await money.charges_of(ctx, who, who.team, wanted, key_id=key_id, tag=tag)
    return await answer_list(
        request,
        filters,
        name="ledger",
        columns=_TRANSFER_COLUMNS,
        read=lambda after, most: money.list_transfers(ctx, who, who.team, wanted, after=after, most=most),
        show=_transfer,
        place=(_whole, str),
    )


async def usage(request: Request) -> Response:
    """`GET /team/usage`: tasks that ended between `from` and `to`, summed `by` day, model, key, member or tag."""
    ctx, who, filters = request.ctx, request.who, Filters(request.query_params)
    by = filters.choice("by", SUM_GROUPS) or "day"
    span, form = filters.span(), filters.choice("format", FORMATS)
    filters.done()
    found = await usages.summed(ctx, who, who.team, span, by)
    rows = [{**_group(by, one), **_sums(one.sums)} for one in found.groups]
    if form is not None:
        columns = [f"{by}_id", f"{by}_name"] if by in _NAMED else [by]
        return download(request, "usage", form, [*columns, "succeeded", "failed", "cost"], one_page(rows))
    as_of = None if found.at is None else iso(found.at)
    return request.success({"by": by, "usage": rows, "total": usd_number(found.total.charged), "as_of": as_of})


def _group(by: str, group: UsageGroup) -> Exported:
    if by not in _NAMED:
        return {by: group.id or None}
    id_ = int(group.id) if by == "key" and group.id else group.id or None  # signed-in users submit without a key
    return {f"{by}_id": id_, f"{by}_name": group.name or None}


def _sums(one: UsageSum) -> Exported:
    return {"succeeded": one.succeeded, "failed": one.failed, "cost": usd_number(one.charged)}


def _transfer(transfer: ledger.Transfer) -> Exported:
    return {
        "id": transfer.id,
        "at": iso(transfer.at),
        "kind": transfer.kind,
        "debit": transfer.debit,
        "credit": transfer.credit,
        "amount": usd_number(transfer.amount),
        "amount_micros": transfer.amount,
        "task_id": task_name(transfer.task_id) if transfer.task_id else None,
        "key_id": transfer.key_id,
        "note": transfer.note,
    }


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


async def report_leak(request: Request) -> Response:
    """`POST /keys/leaked`: revokes leaked API keys; at most 100 per request.

    No scanner signature is required. The answer does not tell whether a key existed; whoever has the key could ask
    `GET /apikey/validate` anyway.
    """
    ctx = request.ctx
    ctx.reports.take(request.context.address)
    found = _found(await read_json(request, f"a report has at most {_MOST_LEAKS} keys"))
    if len(found) > _MOST_LEAKS:
        raise InvalidParameters(f"a report has at most {_MOST_LEAKS} keys, got {len(found)}")
    if await leaks.report(ctx, request.who, found):
        ctx.callers.heard("")  # at once in this process; the others are notified by the database
    return request.success({"received": len(found)})


def _found(body: Any) -> dict[str, str | None]:
    """The reported texts, each with the URL where it was found, if given. Raises InvalidFormat."""
    if isinstance(body, dict) and body.keys() <= {"key", "keys"} and body:
        reports = [*([body["key"]] if "key" in body else []), *_list(body.get("keys", []))]
    else:
        reports = _list(body)
    found: dict[str, str | None] = {}
    for report in reports:
        match report:
            case str():
                found[report] = None
            case {"token": str(text), **about}:
                place = about.get("url")
                found[text] = place[:500] if isinstance(place, str) else None
            case _:
                raise InvalidFormat(_LEAK_SHAPES)
    return found


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidFormat(_LEAK_SHAPES)
    return value
