"""API keys of a team."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters
from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import keys


async def show(request: PageRequest) -> Response:
    """The keys of the team in both modes, and the form for a new one."""
    return await _page(request)


async def create(request: PageRequest) -> Response:
    """Create a key and show its text, once."""
    name = request.fields.get("name", "").strip()
    live = request.fields.get("mode") == "live"
    who = request.in_mode(live=live)
    try:
        text, _ = await keys.create(request.ctx, who, who.team, name)
    except InvalidParameters as error:
        return await _page(request, name=name, chosen="live" if live else "test", problem=error.detail)
    return await _page(request, text=text)


async def revoke(request: PageRequest) -> Response:
    """End a key."""
    live = request.fields.get("mode") == "live"
    await keys.revoke(request.ctx, request.in_mode(live=live), request.path_params["key_id"])
    return RedirectResponse("/console/api-key", 303)


async def _page(
    request: PageRequest, *, name: str = "", chosen: str = "", text: str = "", problem: str = ""
) -> Response:
    found = []
    for live in (False, True):
        who = request.in_mode(live=live)
        found += await keys.list_of_team(request.ctx, who, who.team)
    found.sort(key=lambda one: (one.key.state != "active", -one.key.id))
    own = request.who.team.mode
    values = {"keys": found, "name": name, "chosen": chosen or own, "text": text, "problem": problem}
    return request.render("api_keys/api_keys.html", 400 if problem else 200, **values, me=request.who.id)
