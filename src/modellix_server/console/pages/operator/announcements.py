"""What everybody who uses the console is told."""

from datetime import UTC, datetime

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _
from modellix_server.console.pages.operator import fields
from modellix_server.operations import announcements

_PATH = "/operator/announcements"


async def show(request: PageRequest) -> Response:
    """All announcements, and the form for another one."""
    return await _list(request)


async def add(request: PageRequest) -> Response:
    """Show a line of text between two times."""
    try:
        ends_at = fields.moment(request, "until")
        if ends_at is None:
            raise InvalidParameters(_("say until when it is shown"))
        await announcements.add(
            request.ctx,
            request.who,
            request.fields.get("text", ""),
            urgent="urgent" in request.fields,
            starts_at=fields.moment(request, "from"),
            ends_at=ends_at,
        )
    except InvalidParameters as error:
        return await _list(request, error)
    return RedirectResponse(_PATH, 303)


async def end(request: PageRequest) -> Response:
    """Show one no more."""
    await announcements.end(request.ctx, request.who, request.path_params["number"])
    return RedirectResponse(_PATH, 303)


async def _list(request: PageRequest, problem: PlatformError | None = None) -> Response:
    shown = {
        "found": await announcements.list_all(request.ctx, request.who),
        "now": datetime.now(UTC),
        "problem": problem.detail if problem else "",
        "typed": request.fields if problem else {},
    }
    return request.render("operator/announcements.html", problem.status if problem else 200, **shown)
