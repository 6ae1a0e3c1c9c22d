"""The teams, and what an operator does for one."""

from typing import Any

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.base.team_mode import TeamMode
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.console.pages.operator import fields
from modellix_server.ledger import InsufficientBalance, TransferFilter
from modellix_server.operations import freezes, money, teams
from modellix_server.operations.freezes import StaysFrozen
from modellix_server.operations.money import CreditedMeanwhile

_PATH = "/operator/teams"
_ROWS = 50
_ENTRIES = 10


async def show(request: PageRequest) -> Response:
    """Teams by name, and the form for another one."""
    return await _list(request)


async def create(request: PageRequest) -> Response:
    """Open a team without money and without members."""
    try:
        team = await teams.create(request.ctx, request.who, request.fields.get("name", ""))
    except InvalidParameters as error:
        return await _list(request, error)
    return RedirectResponse(f"{_PATH}/{team.id}", 303)


async def read(request: PageRequest) -> Response:
    """One team."""
    return await _one(request)


async def credit(request: PageRequest) -> Response:
    """Put money into an account of the team, or take a correction out."""
    team_id, note = request.path_params["team_id"], request.fields.get("reason", "").strip()
    await teams.details(request.ctx, request.who, team_id)
    try:
        of = fields.mode(request, team_id)
        if not 0 < len(note) <= 500:
            raise InvalidParameters(_("say the reason: it is kept with the transfer"))
        seen = fields.whole(request.fields.get(f"seen_{of.mode}", ""))
        micros = fields.micros(request.fields.get("usd", ""))
        await money.credit(request.ctx, request.who, of, micros, note, seen=seen)
    except (InvalidParameters, InsufficientBalance, CreditedMeanwhile) as error:
        return await _one(request, "credit", error)
    return RedirectResponse(f"{_PATH}/{team_id}", 303)


async def change_limits(request: PageRequest) -> Response:
    """Change what the team may do at a time."""
    team_id, names = request.path_params["team_id"], ("concurrency", "most_waiting", "rpm", "key_rpm")
    await teams.details(request.ctx, request.who, team_id)
    try:
        wanted = {name: fields.whole(request.fields.get(name, "")) for name in names}
        await teams.change_limits(request.ctx, request.who, team_id, **wanted)
    except InvalidParameters as error:
        return await _one(request, "limits", error)
    return RedirectResponse(f"{_PATH}/{team_id}", 303)


async def freeze(request: PageRequest) -> Response:
    """Let an account of the team take no new tasks."""
    team_id = request.path_params["team_id"]
    try:
        of = fields.mode(request, team_id)
        await freezes.freeze(request.ctx, request.who, of, request.fields.get("reason", ""))
    except (InvalidParameters, StaysFrozen) as error:
        return await _one(request, "freeze", error)
    return RedirectResponse(f"{_PATH}/{team_id}", 303)


async def unfreeze(request: PageRequest) -> Response:
    """Let it take them again, once it adds up."""
    team_id = request.path_params["team_id"]
    await teams.details(request.ctx, request.who, team_id)
    try:
        of, restate = fields.mode(request, team_id), "restate" in request.fields
        await freezes.unfreeze(request.ctx, request.who, of, request.fields.get("note", ""), restate=restate)
    except (InvalidParameters, StaysFrozen) as error:
        return await _one(request, "freeze", error)
    return RedirectResponse(f"{_PATH}/{team_id}", 303)


async def _list(request: PageRequest, problem: PlatformError | None = None) -> Response:
    query = PageFilters(request)
    text, after = query.text("q") or "", query.number("after")
    found = await teams.search(request.ctx, request.who, text, after=after, most=_ROWS)
    shown = {
        "found": found.rows,
        "text": text,
        "newest": query.url() if after else None,
        "older": query.url(after=str(found.next)) if found.next else None,
        "problem": problem.detail if problem else "",
        "typed_team": request.fields.get("name", ""),
    }
    return request.render("operator/teams.html", problem.status if problem else 200, **shown)


async def _one(request: PageRequest, form: str = "", problem: PlatformError | None = None) -> Response:
    """The page; `form` had a `problem` with what was typed."""
    ctx, who, team_id = request.ctx, request.who, request.path_params["team_id"]
    found = await teams.details(ctx, who, team_id)
    accounts: dict[str, Any] = {}
    for of in (TeamMode(team_id, live=True), TeamMode(team_id, live=False)):
        entries = await money.list_entries(ctx, who, of, TransferFilter(), after=None, most=_ENTRIES)
        accounts[of.mode] = {
            "balance": found.overview.live if of.live else found.overview.test,
            "frozen": found.frozen.get(of.mode),
            "entries": entries.rows,
            "seen": await money.last_funding(ctx, who, of),
        }
    shown = {
        "found": found,
        "team": found.overview.team,
        "limits": found.overview.limits,
        "accounts": accounts,
        "form": form,
        "problem": problem.detail if problem else "",
        "typed": request.fields if problem else {},
    }
    return request.render("operator/team.html", problem.status if problem else 200, **shown)
