"""The first page of an installation, and of the console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import RedirectResponse, Response

from modellix_server.console.cards import make_card
from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import invitations, keys, members, own_teams, tasks, usage, vendor_accounts
from modellix_server.operations.principal import Permission, user
from modellix_server.tasks import TaskFilter

_LATEST = 6
_RUNNING = 6
_SPENT_DAYS = 7
_PICTURES = ("boat.jpg", "cat.jpg", "house.jpg", "flower.jpg")


@dataclass(frozen=True, slots=True)
class Steps:
    """What of the first minute is done; None where the viewer has nothing to do with it."""

    tried: bool | None
    has_key: bool | None
    called: bool | None
    has_vendor: bool | None
    invited: bool | None

    @property
    def all_done(self) -> bool:
        """Whether nothing is left."""
        return False not in (self.tried, self.has_key, self.called, self.has_vendor, self.invited)


async def welcome(request: PageRequest) -> Response:
    """What this installation is, for who is not signed in."""
    if request.visitor is not None:
        return RedirectResponse("/console", 303)
    models = request.ctx.catalogue.models.values()
    providers = sorted({model.provider for model in models})
    videos = sum(model.type.endswith("video") for model in models)
    return request.render(
        "home/welcome.html", models=len(models), videos=videos, providers=providers, pictures=_PICTURES
    )


async def home(request: PageRequest) -> Response:
    """Balance and spend, what runs, the latest results, and what to do first."""
    if request.membership is None:
        invited = await invitations.list_own(request.ctx, request.who)
        may_create = await own_teams.may_create(request.ctx, request.who)
        new = {"form": "", "problem": "", "typed_team": ""}
        return request.render("home/no_team.html", 200, invitations=invited, may_create=may_create, **new)
    ctx, who = request.ctx, request.who
    running, latest, spent = [], [], None
    if Permission.READ_TASKS in who.permissions:
        running = (await tasks.list_all(ctx, who, who.team, TaskFilter("pending"), after=None, most=_RUNNING)).rows
        latest = (await tasks.list_all(ctx, who, who.team, TaskFilter("success"), after=None, most=_LATEST)).rows
    now = datetime.now(UTC)
    if Permission.READ_MONEY in who.permissions:
        spent = await usage.spent(ctx, who, who.team, _SPENT_DAYS)
    return request.render(
        "home/home.html",
        now=now,
        spent=spent,
        running=[make_card(ctx, task) for task in running],
        latest=[make_card(ctx, task) for task in latest],
        steps=await _steps(request),
        origin=ctx.settings.public_origin,
    )


async def _steps(request: PageRequest) -> Steps:
    ctx, who = request.ctx, request.who
    assert request.visitor is not None
    tried = has_key = called = has_vendor = invited = None
    if Permission.USE_MODELS in who.permissions:
        tried, called = await tasks.first_steps(ctx, who, who.team)
    if Permission.READ_KEYS in who.permissions:
        has_key = any(one.key.state == "active" for one in await keys.list_of_team(ctx, who, who.team))
    if Permission.MANAGE_MEMBERS in who.permissions:
        invited = len(await members.list_all(ctx, who)) > 1
    if request.visitor.user.operator:
        has_vendor = bool(await vendor_accounts.list_all(ctx, user(request.visitor, request.address)))
    return Steps(tried, has_key, called, has_vendor, invited)
