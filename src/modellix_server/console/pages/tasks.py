"""Tasks of a team: as pictures, or as a table."""

from collections.abc import Mapping
from typing import get_args
from uuid import UUID

from starlette.responses import Response

from modellix_server.base.errors import InvalidFormat
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.catalogue import ModelType
from modellix_server.console import words
from modellix_server.console.cards import make_card
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.openapi.schemas import FAILURES, STATUSES
from modellix_server.operations import members, tasks, usage
from modellix_server.operations.principal import Permission
from modellix_server.tasks import TaskFilter

TYPES = get_args(ModelType)
_VIEWS = {"gallery": 24, "table": 50}


async def listed(request: PageRequest) -> Response:
    """The tasks of the team in this mode, newest first."""
    filters = PageFilters(request)
    view = filters.choice("view", _VIEWS) or "gallery"
    type_, model = filters.choice("type", TYPES), filters.text("model")
    catalogue = request.ctx.catalogue.models
    wanted = TaskFilter(
        status=filters.choice("status", STATUSES),
        model=model,
        key_id=filters.number("key"),
        submitted=filters.span(),
        models=None if type_ is None else [name for name, one in catalogue.items() if one.type == type_],
        error_code=filters.choice("code", FAILURES),
        text=filters.text("q"),
    )
    page = await tasks.list_all(
        request.ctx, request.who, request.who.team, wanted, after=_after(filters), most=_VIEWS[view]
    )
    return request.render(
        "tasks/tasks.html",
        cards=[make_card(request.ctx, task) for task in page.rows],
        names=await submitter_names(request),
        next=None if page.next is None else filters.url(after=task_name(page.next)),
        filters=filters,
        view=view,
        models=sorted(catalogue),
        types=[(one, words.model_type(one)) for one in TYPES],
        codes=[(one, words.failure(one)) for one in FAILURES],
        keys=await usage.key_names(request.ctx, request.who, request.who.team),
    )


async def submitter_names(request: PageRequest) -> Mapping[str, str]:
    """Who submits tasks: `key:7` and `user:3` -> a name, as far as the viewer may know it."""
    ctx, who = request.ctx, request.who
    names = {f"key:{number}": name for number, name in (await usage.key_names(ctx, who, who.team)).items()}
    if Permission.READ_MEMBERS in who.permissions:
        names |= {f"user:{one.user_id}": one.name for one in await members.list_all(ctx, who)}
    return names


def _after(filters: PageFilters) -> UUID | None:
    text = filters.text("after")
    if text is None:
        return None
    found = parse_task_name(text)
    if found is None:
        raise InvalidFormat(_("this is no place in the list"))
    return found
