"""A user's account: name, language, how it signs in, its sessions and teams, its end."""

from zoneinfo import available_timezones

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.console import words
from modellix_server.console.dispatch import PageRequest, sign_in_with
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import account, invitations, outside_sign_in, own_teams, sign_in_codes

_PATH = "/console/account"


async def show(request: PageRequest) -> Response:
    """The whole page."""
    return await _page(request)


async def change(request: PageRequest) -> Response:
    """Save the profile."""
    values = {name: request.fields.get(name, "") for name in ("name", "language", "time_zone", "theme")}
    chosen = {name: values[name] or None for name in ("language", "time_zone", "theme")}
    try:
        await account.change(request.ctx, request.who, name=values["name"], **chosen)
    except InvalidParameters as error:
        return await _page(request, form="profile", problem=error, typed=values)
    return RedirectResponse(_PATH, 303)


async def end_session(request: PageRequest) -> Response:
    """Sign one browser out."""
    assert request.visitor is not None
    number = request.path_params["session_id"]
    await account.end_session(request.ctx, request.who, number)
    if number == request.visitor.session.id:
        return sign_in_with(request.ctx, RedirectResponse("/sign-in", 303), None)
    return RedirectResponse(f"{_PATH}#sessions", 303)


async def end_other_sessions(request: PageRequest) -> Response:
    """Sign out everywhere else."""
    await account.end_other_sessions(request.ctx, request.who)
    return RedirectResponse(f"{_PATH}#sessions", 303)


async def delete(request: PageRequest) -> Response:
    """Delete the account, and sign out."""
    try:
        await account.delete(request.ctx, request.who, request.fields.get("email", ""))
    except InvalidParameters as error:
        return await _page(request, form="delete", problem=error)
    return sign_in_with(request.ctx, RedirectResponse("/", 303), None)


async def _page(
    request: PageRequest, *, form: str = "", problem: PlatformError | None = None, typed: dict[str, str] | None = None
) -> Response:
    assert request.visitor is not None
    ctx, who, user = request.ctx, request.who, request.visitor.user
    stored = {"name": user.name, "language": user.language, "time_zone": user.time_zone, "theme": user.theme}
    return request.render(
        "account/account.html",
        problem.status if problem else 200,
        form=form,
        typed_team="",
        problem=problem.detail if problem else "",
        profile=typed or stored,
        zones=sorted(available_timezones()),
        sessions=[(one, words.browser(one.agent)) for one in await account.sessions(ctx, who)],
        ways={"link": _("One-time link"), "code": _("Code by mail")},
        this=request.visitor.session.id,
        missing=sign_in_codes.missing_settings(ctx),
        linked=await outside_sign_in.list_linked(ctx, who),
        titles={slug: one.title for slug, one in ctx.identity_providers.items()},
        invitations=await invitations.list_own(ctx, who),
        may_create=await own_teams.may_create(ctx, who),
    )
