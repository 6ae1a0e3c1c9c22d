"""A team: members and invitations, roles, policies, history."""

from typing import Any

from starlette.responses import RedirectResponse, Response

from modellix_server.audit import AuditEntry
from modellix_server.base.errors import InvalidParameters, OutOfRange, PlatformError
from modellix_server.base.money import micros_from_usd
from modellix_server.budgets import PERIODS, BudgetLimit
from modellix_server.console import words
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _
from modellix_server.identity import Role, TooManyInvitations
from modellix_server.operations import (
    audit,
    budgets,
    inputs,
    invitations,
    members,
    own_teams,
    sign_in_codes,
)
from modellix_server.operations.principal import ROLE_PERMISSIONS, Permission

_PATH = "/console/team"
_ENTRIES = 50
_FOR_SOME_DAYS = 30


async def show(request: PageRequest) -> Response:
    """One part of the page; `tab` names it."""
    return await _page(request, request.query_params.get("tab", ""))


async def invite(request: PageRequest) -> Response:
    """Invite an address; where no mail can be sent, show the link to hand over."""
    email, name = request.fields.get("email", "").strip(), request.fields.get("role", "")
    values = {"email": email, "role": name}
    try:
        link, number = await invitations.invite(request.ctx, request.who, email, _role(name), language=request.language)
    except (InvalidParameters, TooManyInvitations) as error:
        return await _page(request, "members", form="invite", problem=error, values=values)
    if sign_in_codes.missing_settings(request.ctx):
        return await _page(request, "members", invited=email, link=link)
    return RedirectResponse(f"{_PATH}?tab=members&sent={number}", 303)


async def withdraw(request: PageRequest) -> Response:
    """Take an invitation back."""
    await invitations.withdraw(request.ctx, request.who, request.path_params["invitation_id"])
    return RedirectResponse(_PATH, 303)


async def change_role(request: PageRequest) -> Response:
    """Make a member something else."""
    role = request.fields.get("role", "")
    try:
        await members.change_role(request.ctx, request.who, request.path_params["user_id"], _role(role))
    except InvalidParameters as error:
        return await _page(request, "members", form="members", problem=error)
    return RedirectResponse(_PATH, 303)


async def remove(request: PageRequest) -> Response:
    """End a membership."""
    keys_too = "keys" in request.fields
    try:
        await members.remove(request.ctx, request.who, request.path_params["user_id"], keys_too=keys_too)
    except InvalidParameters as error:
        return await _page(request, "members", form="members", problem=error)
    return RedirectResponse(_PATH, 303)


async def leave(request: PageRequest) -> Response:
    """End one's own membership."""
    try:
        await members.leave(request.ctx, request.who)
    except InvalidParameters as error:
        tab = "members" if request.can("READ_MEMBERS") else "policies"
        return await _page(request, tab, form="members", problem=error)
    return RedirectResponse("/console", 303)


async def rename(request: PageRequest) -> Response:
    """Give the team another name."""
    name = request.fields.get("name", "")
    try:
        await own_teams.rename(request.ctx, request.who, name)
    except InvalidParameters as error:
        return await _page(request, "policies", form="name", problem=error, values={"name": name})
    return RedirectResponse(f"{_PATH}?tab=policies", 303)


async def keep_inputs(request: PageRequest) -> Response:
    """Change how long inputs are kept."""
    keep, typed = request.fields.get("keep", ""), request.fields.get("days", "").strip()
    values = {"keep": keep, "days": typed}
    try:
        days = {"always": None, "never": 0}[keep] if keep in ("always", "never") else _whole(typed)
        await inputs.change_days(request.ctx, request.who, request.who.team.team_id, days)
    except (InvalidParameters, OutOfRange) as error:
        return await _page(request, "policies", form="inputs", problem=error, values=values)
    return RedirectResponse(f"{_PATH}?tab=policies", 303)


async def change_budget(request: PageRequest) -> Response:
    """Set or end the budget of the team in the mode that the page shows."""
    typed, period = request.fields.get("usd", "").strip().removeprefix("$"), request.fields.get("period", "none")
    try:
        limit = BudgetLimit(_micros(typed), period) if typed else None
        await budgets.change_of_team(request.ctx, request.who, request.who.team, limit)
    except (InvalidParameters, OutOfRange) as error:
        values = {"usd": typed, "period": period}
        return await _page(request, "policies", form="budget", problem=error, values=values)
    return RedirectResponse(f"{_PATH}?tab=policies", 303)


async def end(request: PageRequest) -> Response:
    """End the team."""
    try:
        await own_teams.end(request.ctx, request.who, request.fields.get("name", ""))
    except InvalidParameters as error:
        return await _page(request, "policies", form="end", problem=error)
    return RedirectResponse("/console", 303)


async def create(request: PageRequest) -> Response:
    """Open another team, and show it."""
    name = request.fields.get("name", "")
    try:
        await own_teams.create(request.ctx, request.who, name)
    except InvalidParameters as error:
        return request.render("team/new.html", 400, form="team", typed_team=name, problem=error.detail)
    return RedirectResponse("/console", 303)


async def _page(
    request: PageRequest,
    tab: str,
    *,
    form: str = "",
    problem: PlatformError | None = None,
    values: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    """The page; `form` had a `problem` with the `values` that were typed."""
    tabs = {
        "members": _("Members") if request.can("READ_MEMBERS") else None,
        "roles": _("Roles"),
        "policies": _("Policies"),
        "history": _("History") if request.can("READ_MEMBERS") else None,
    }
    tabs = {name: text for name, text in tabs.items() if text}
    tab = tab if tab in tabs else next(iter(tabs))
    parts = {"members": _members, "roles": _roles, "policies": _policies, "history": _history}
    shown = {
        "invited": "",
        "link": "",
        "sent": request.query_params.get("sent", ""),
        "tab": tab,
        "tabs": tabs,
        "form": form,
        "typed": values or {},
        **more,
    }
    shown["problem"] = problem.detail if problem else ""
    return request.render(f"team/{tab}.html", problem.status if problem else 200, **shown, **await parts[tab](request))


async def _members(request: PageRequest) -> dict[str, Any]:
    owners_too = Permission.MANAGE_OWNERS in request.who.permissions
    return {
        "members": await members.list_all(request.ctx, request.who),
        "invitations": await invitations.list_of_team(request.ctx, request.who),
        "missing": sign_in_codes.missing_settings(request.ctx),
        "roles": [one for one in Role if owners_too or one is not Role.OWNER],
        "me": request.who.user_id,
    }


async def _roles(request: PageRequest) -> dict[str, Any]:
    assert request.membership is not None
    return {"roles": list(Role), "of_roles": ROLE_PERMISSIONS, "permissions": words.permissions()}


async def _policies(request: PageRequest) -> dict[str, Any]:
    ctx, who = request.ctx, request.who
    days = await inputs.days_kept(ctx, who, who.team.team_id)
    return {
        "limits": await own_teams.read_limits(ctx, who),
        "keep": {None: "always", 0: "never"}.get(days, "days"),
        "days": days or _FOR_SOME_DAYS,
        "budget": await budgets.of_team(ctx, who, who.team),
        "periods": dict(zip(PERIODS, _period_names(), strict=True)),
    }


async def _history(request: PageRequest) -> dict[str, Any]:
    text = request.query_params.get("before", "")
    before = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
    found, names = await audit.list_of_team(request.ctx, request.who, limit=_ENTRIES + 1, before=before)
    return {
        "entries": [_entry(one, names) for one in found[:_ENTRIES]],
        "older": found[_ENTRIES - 1].seq if len(found) > _ENTRIES else None,
        "before": before,
    }


def _entry(entry: AuditEntry, names: dict[str, str]) -> dict[str, Any]:
    """Who works for the platform is shown without the name and machine that the operator knows."""
    by_user = entry.actor.startswith(("user:", "key:"))
    return {
        "at": entry.at,
        "who": names.get(entry.actor, entry.actor) if by_user else _("the platform"),
        "origin": entry.origin.partition(",")[0] if by_user else "",
        "what": words.action(entry),
        "subject": names.get(entry.subject, entry.subject.removeprefix("address:") if "@" in entry.subject else ""),
        "details": words.details(entry),
    }


def _period_names() -> tuple[str, ...]:
    return (_("never"), _("every day"), _("every week"), _("every month"))


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidParameters(_("choose a role")) from None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise InvalidParameters(_("the days must be a whole number"))
    return int(text)


def _micros(text: str) -> int:
    try:
        return micros_from_usd(text)
    except ValueError:
        raise InvalidParameters(_("the amount must be in USD, such as 25 or 0.50")) from None
