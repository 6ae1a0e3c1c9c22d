"""Tasks of a team."""

from uuid import UUID

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import NotFound
from modellix_server.base.ids import parse_task_name
from modellix_server.console.cards import make_card
from modellix_server.console.dispatch import PageRequest, local_path
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import tasks


async def card(request: PageRequest) -> Response:
    """One task as a card: a piece of a page."""
    task = await tasks.find(request.ctx, request.who, request.who.team, task_id(request))
    return request.render("tasks/card.html", card=make_card(request.ctx, task))


async def cancel(request: PageRequest) -> Response:
    """Cancel a task if it costs nothing."""
    wanted = task_id(request)
    await tasks.cancel(request.ctx, request.who, request.who.team, wanted)
    name = request.path_params["task_id"]
    return RedirectResponse(local_path(request.fields.get("back") or f"/console/tasks/{name}"), 303)


def task_id(request: PageRequest) -> UUID:
    """Of the task that the path names. Raises NotFound."""
    found = parse_task_name(request.path_params["task_id"])
    if found is None:
        raise NotFound(_("there is no such task"))
    return found
