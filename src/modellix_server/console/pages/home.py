"""The first page of an installation, and of the console."""

from starlette.responses import RedirectResponse, Response

from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import invitations, keys, own_teams, tasks
from modellix_server.operations.principal import Permission
from modellix_server.tasks import TaskFilter

_LATEST = 8


async def welcome(request: PageRequest) -> Response:
    """What this installation is, for who is not signed in."""
    if request.visitor is not None:
        return RedirectResponse("/console", 303)
    models = request.ctx.catalogue.models.values()
    providers = sorted({model.provider for model in models})
    return request.render("home/welcome.html", models=len(models), providers=providers)


async def home(request: PageRequest) -> Response:
    """Balance, latest tasks, and what to do first."""
    if request.membership is None:
        invited = await invitations.list_own(request.ctx, request.who)
        may_create = await own_teams.may_create(request.ctx, request.who)
        new = {"form": "", "problem": "", "typed_team": ""}
        return request.render("home/no_team.html", 200, invitations=invited, may_create=may_create, **new)
    ctx, who = request.ctx, request.who
    latest = has_key = None
    if Permission.READ_TASKS in who.permissions:
        latest = (await tasks.list_all(ctx, who, who.team, TaskFilter(), after=None, most=_LATEST)).rows
    if Permission.READ_KEYS in who.permissions:
        has_key = any(one.key.state == "active" for one in await keys.list_of_team(ctx, who, who.team))
    origin = ctx.settings.public_origin
    return request.render("home/home.html", latest=latest, has_key=has_key, origin=origin)
