"""Invitations as the invited see them."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import NotFound
from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import invitations, sign_in_codes


async def offer(request: PageRequest) -> Response:
    """What an invitation's link shows: for whom it is, and how to accept it."""
    try:
        found = await invitations.read(request.ctx, request.who, request.path_params["token"])
    except NotFound:
        return request.render("invitation/used_up.html", 404)
    missing = sign_in_codes.missing_settings(request.ctx)
    return request.render("invitation/invitation.html", invitation=found, missing=missing)


async def accept(request: PageRequest) -> Response:
    """Join the team of a link."""
    try:
        await invitations.accept(request.ctx, request.who, request.path_params["token"])
    except NotFound:
        return request.render("invitation/used_up.html", 404)
    return RedirectResponse("/console", 303)


async def accept_own(request: PageRequest) -> Response:
    """Join a team that invited one's own address."""
    await invitations.accept_own(request.ctx, request.who, request.path_params["invitation_id"])
    return RedirectResponse("/console", 303)
