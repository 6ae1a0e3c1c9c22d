"""Webhooks of a team in one mode: endpoints, their secrets, what was sent there."""

from __future__ import annotations

import re
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidFormat, InvalidParameters, NotFound, OutOfRange
from modellix_server.base.money import micros_from_usd, usd
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import webhooks
from modellix_server.webhooks import AlertChoice, message_name

_ENDPOINT, _MESSAGE = re.compile(r"we_([0-9a-f]{32})", re.ASCII), re.compile(r"msg_([0-9a-f]{32})", re.ASCII)
_A_PAGE = 50
_THERE = "/console/webhooks"


async def show(request: PageRequest) -> Response:
    """Endpoints, and the latest deliveries to one or all of them."""
    return await _page(request)


async def create(request: PageRequest) -> Response:
    """Add an endpoint and show its secret, once."""
    url = request.fields.get("url", "").strip()
    try:
        made, secret = await webhooks.create(request.ctx, request.who, request.who.team, url, _alerts(request))
    except (InvalidParameters, OutOfRange) as error:
        return await _page(request, problem=error.detail, typed=url)
    return await _page(request, secret=secret, secret_of=made.url)


async def change(request: PageRequest) -> Response:
    """Point an endpoint elsewhere and choose its alerts, or disable or enable it."""
    fields, endpoint_id = request.fields, _endpoint(request)
    url = fields["url"].strip() if "url" in fields else None
    enabled = {"yes": True, "no": False}.get(fields.get("enabled", ""))
    ctx, who = request.ctx, request.who
    try:
        alerts = None if url is None else _alerts(request)
        await webhooks.change(ctx, who, who.team, endpoint_id, url=url, enabled=enabled, alerts=alerts)
    except (InvalidParameters, OutOfRange) as error:
        return await _page(request, problem=error.detail, typed=url or "", editing=endpoint_id)
    return RedirectResponse(_THERE, 303)


async def delete(request: PageRequest) -> Response:
    """Remove an endpoint with all its messages."""
    await webhooks.delete(request.ctx, request.who, request.who.team, _endpoint(request))
    return RedirectResponse(_THERE, 303)


async def rotate(request: PageRequest) -> Response:
    """A new secret for an endpoint, shown once."""
    endpoint_id = _endpoint(request)
    secret = await webhooks.rotate(request.ctx, request.who, request.who.team, endpoint_id)
    found = await webhooks.find(request.ctx, request.who, request.who.team, endpoint_id)
    return await _page(request, secret=secret, secret_of=found.url)


async def team_secret(request: PageRequest) -> Response:
    """Show what signs messages to links given with tasks; with `rotate`, a new one."""
    ctx, who = request.ctx, request.who
    if request.fields.get("rotate"):
        secret = await webhooks.rotate(ctx, who, who.team, None)
    else:
        secret = await webhooks.team_secret(ctx, who, who.team)
    return await _page(request, secret=secret)


async def replay(request: PageRequest) -> Response:
    """Send one message again."""
    found = _id(_MESSAGE, request.path_params["message_id"], _("there is no such message"))
    await webhooks.replay(request.ctx, request.who, request.who.team, found)
    return RedirectResponse(_THERE, 303)


async def replay_failed(request: PageRequest) -> Response:
    """Send again what an endpoint has failed to take."""
    endpoint_id = _endpoint(request)
    await webhooks.replay_failed(request.ctx, request.who, request.who.team, endpoint_id)
    return RedirectResponse(f"{_THERE}?endpoint=we_{endpoint_id.hex}", 303)


async def _page(
    request: PageRequest,
    *,
    secret: str = "",
    secret_of: str = "",
    problem: str = "",
    typed: str = "",
    editing: UUID | None = None,
) -> Response:
    ctx, who, filters = request.ctx, request.who, PageFilters(request)
    chosen, after = filters.text("endpoint"), filters.text("after")
    endpoint_id = _id(_ENDPOINT, chosen, _("there is no such endpoint")) if chosen else None
    place = _MESSAGE.fullmatch(after) if after else None
    if after and place is None:
        raise InvalidFormat(_("this is no place in the list"))
    failed = filters.choice("status", ("failed",)) is not None
    before = UUID(hex=place[1]) if place else None
    found = await webhooks.deliveries(ctx, who, who.team, endpoint_id, limit=_A_PAGE, after=before, failed=failed)
    return request.render(
        "webhooks/webhooks.html",
        400 if problem else 200,
        endpoints=[
            (f"we_{one.id.hex}", one, _plain(one.alerts.balance_below))
            for one in await webhooks.list_all(ctx, who, who.team)
        ],
        deliveries=[(message_name(one.id), one) for one in found],
        next=filters.url(after=message_name(found[-1].id)) if len(found) == _A_PAGE else None,
        filters=filters,
        secret=secret,
        secret_of=secret_of,
        problem=problem,
        typed=typed,
        below=request.fields.get("below", ""),
        budgets="budgets" in request.fields,
        editing=f"we_{editing.hex}" if editing else None,
    )


def _alerts(request: PageRequest) -> AlertChoice:
    typed = request.fields.get("below", "").strip().removeprefix("$")
    try:
        return AlertChoice(micros_from_usd(typed) if typed else None, "budgets" in request.fields)
    except ValueError:
        raise InvalidParameters(_("write an amount in USD, such as 20")) from None


def _plain(micros: int | None) -> str:
    return "" if micros is None else usd(micros).removesuffix("00")


def _endpoint(request: PageRequest) -> UUID:
    return _id(_ENDPOINT, request.path_params["endpoint_id"], _("there is no such endpoint"))


def _id(form: re.Pattern[str], text: str, otherwise: str) -> UUID:
    """The UUID in a public id. Raises NotFound."""
    found = form.fullmatch(text)
    if found is None:
        raise NotFound(otherwise)
    return UUID(hex=found[1])
