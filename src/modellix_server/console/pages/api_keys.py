"""API keys of a team: made, limited, rotated, ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, OutOfRange
from modellix_server.base.money import micros_from_usd, usd
from modellix_server.budgets import PERIODS, BudgetLimit
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.identity import AllowedModels
from modellix_server.operations import keys, usage
from modellix_server.operations.keys import KeyOptions, KeyOverview
from modellix_server.operations.principal import Principal

_PATH = "/console/api-key"
_ROWS = 100
_DAYS = ("7", "30", "90", "365")
_OVERLAPS_H = (0, 1, 24, 168)


@dataclass(frozen=True, slots=True)
class _Form:
    """What the fields of a key's limits hold."""

    picked: frozenset[str] = frozenset()
    """Names of ticked boxes: `model:alibaba/qwen-image`, `type:text-to-image`."""
    budget: str = ""
    reset: str = "monthly"
    expires: str = ""
    """Empty: never; days; `keep`: as it is."""
    name: str = ""
    live: bool = False
    tag: str = ""


async def show(request: PageRequest) -> Response:
    """The keys of the team in both modes, and the form for a new one."""
    return await _list(request, _Form(live=request.who.team.live))


async def create(request: PageRequest) -> Response:
    """Create a key and show its text, once."""
    form = _form(request)
    who = request.in_mode(live=form.live)
    try:
        text, key = await keys.create(request.ctx, who, who.team, form.name, _options(form, None))
    except (InvalidParameters, OutOfRange) as error:
        return await _list(request, form, problem=error.detail)
    return await _list(request, _Form(live=form.live), text=text, made=key.id)


async def read(request: PageRequest) -> Response:
    """One key and the form that changes its limits."""
    one = await keys.find(request.ctx, _principal(request), request.path_params["key_id"])
    return await _one(request, one, _form_of(one))


async def change(request: PageRequest) -> Response:
    """Change a key's limits."""
    who, key_id, form = _principal(request), request.path_params["key_id"], _form(request)
    one = await keys.find(request.ctx, who, key_id)
    try:
        await keys.change(request.ctx, who, key_id, _options(form, one.key.expires_at))
    except (InvalidParameters, OutOfRange) as error:
        return await _one(request, one, form, problem=error.detail)
    return _back()


async def rotate(request: PageRequest) -> Response:
    """Give a key another text and show it, once."""
    hours = request.fields.get("overlap_h", "")
    if not hours.isdecimal() or int(hours) not in _OVERLAPS_H:
        raise InvalidParameters(_("choose how long the former key still works"))
    text, key = await keys.rotate(request.ctx, _principal(request), request.path_params["key_id"], overlap_h=int(hours))
    return await _list(request, _Form(live=key.live), text=text, made=key.id, rotated=True)


async def revoke(request: PageRequest) -> Response:
    """End a key."""
    await keys.revoke(request.ctx, _principal(request), request.path_params["key_id"])
    return _back()


async def delete(request: PageRequest) -> Response:
    """Take an ended key off the list."""
    await keys.delete(request.ctx, _principal(request), request.path_params["key_id"])
    return _back()


async def download(request: PageRequest) -> Response:
    """The key that the page has just shown, as a file that programs read."""
    text = keys.as_env_file(request.fields.get("key", ""), request.ctx.settings.public_origin)
    headers = {"Content-Disposition": 'attachment; filename="modellix.env"', "Cache-Control": "no-store"}
    return Response(text, media_type="text/plain; charset=utf-8", headers=headers)


def _principal(request: PageRequest) -> Principal:
    """The member in the mode of the key, which its form or its link names."""
    mode = request.fields.get("mode") or request.query_params.get("mode")
    return request.in_mode(live=mode == "live")


def _back() -> Response:
    return RedirectResponse(_PATH, 303)


async def _list(
    request: PageRequest, form: _Form, *, text: str = "", made: int = 0, rotated: bool = False, problem: str = ""
) -> Response:
    found: list[KeyOverview] = []
    for live in (False, True):
        who = request.in_mode(live=live)
        found += await keys.list_of_team(request.ctx, who, who.team)
    found.sort(key=lambda one: (one.key.state != "active", -one.key.id))
    filters = PageFilters(request)
    first = filters.number("after") or 0
    more = first + _ROWS
    return request.render(
        "api_keys/api_keys.html",
        400 if problem else 200,
        keys=found[first:more],
        filters=filters,
        older=f"{_PATH}?after={more}" if more < len(found) else None,
        form=form,
        text=text,
        made=next((one.key for one in found if one.key.id == made), None),
        rotated=rotated,
        problem=problem,
        me=request.who.id,
        overlaps=_OVERLAPS_H,
        **await _choices(request),
    )


async def _one(request: PageRequest, one: KeyOverview, form: _Form, *, problem: str = "") -> Response:
    status = 400 if problem else 200
    return request.render(
        "api_keys/change.html", status, one=one, form=form, problem=problem, **await _choices(request)
    )


async def _choices(request: PageRequest) -> dict[str, object]:
    by_type: dict[str, list[str]] = {}
    for model in request.ctx.catalogue.models.values():
        by_type.setdefault(model.type, []).append(model.slug)
    tags = await usage.tags(request.ctx, request.who, request.who.team)
    return {"by_type": by_type, "periods": PERIODS, "days": _DAYS, "tags": tags}


def _form(request: PageRequest) -> _Form:
    fields = request.fields
    return _Form(
        frozenset(name for name in fields if name.startswith(("model:", "type:"))),
        fields.get("budget", "").strip(),
        fields.get("reset", "none"),
        fields.get("expires", ""),
        fields.get("name", "").strip(),
        fields.get("mode") == "live",
        fields.get("tag", "").strip(),
    )


def _form_of(one: KeyOverview) -> _Form:
    key, budget = one.key, one.budget
    picked = [*(f"model:{slug}" for slug in key.allowed.models), *(f"type:{type_}" for type_ in key.allowed.types)]
    return _Form(
        frozenset(picked),
        usd(budget.amount).removesuffix("00") if budget else "",
        budget.period if budget else "monthly",
        "keep" if key.expires_at else "",
        key.name,
        key.live,
        key.tag or "",
    )


def _options(form: _Form, expires_at: datetime | None) -> KeyOptions:
    """What the fields ask for; `expires_at` is what the key has now. Raises InvalidParameters."""
    if form.expires != "keep":
        if form.expires not in ("", *_DAYS):
            raise InvalidParameters(_("choose when the key expires"))
        expires_at = datetime.now(UTC) + timedelta(days=int(form.expires)) if form.expires else None
    allowed = AllowedModels(_picked(form, "model:"), _picked(form, "type:"))
    return KeyOptions(allowed, _budget(form), expires_at, form.tag or None)


def _picked(form: _Form, prefix: str) -> tuple[str, ...]:
    return tuple(sorted(name.removeprefix(prefix) for name in form.picked if name.startswith(prefix)))


def _budget(form: _Form) -> BudgetLimit | None:
    if not form.budget:
        return None
    try:
        return BudgetLimit(micros_from_usd(form.budget.removeprefix("$")), form.reset)
    except ValueError:
        raise InvalidParameters(_("a budget is an amount in USD, such as 20 or 0.50")) from None
