"""What needs a person's eye, and the whole history of a task of any team."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.pages.operator import fields
from modellix_server.operations import audit, reviews
from modellix_server.tasks import DECISIONS, ReviewDecided

_PATH = "/operator/reviews"
_ROWS = 50


async def show(request: PageRequest) -> Response:
    """Those to be decided, or with `show=decided` the others."""
    return await _list(request)


async def decide(request: PageRequest) -> Response:
    """Record what was decided."""
    decision, note = request.fields.get("decision", ""), request.fields.get("note", "")
    number = request.path_params["review_id"]
    try:
        await reviews.decide(request.ctx, request.who, number, decision, note)
    except (InvalidParameters, ReviewDecided) as error:
        return await _list(request, number, error)
    return RedirectResponse(_PATH, 303)


async def task(request: PageRequest) -> Response:
    """One task: its moves, attempts, the vendor's words, money."""
    found = await reviews.history(request.ctx, request.who, request.path_params["task_id"])
    return request.render("operator/task.html", found=found, task=found.task)


async def _list(request: PageRequest, of: int = 0, problem: PlatformError | None = None) -> Response:
    query, before = PageFilters(request), fields.before(request)
    decided = query.choice("show", ("decided",)) == "decided"
    found = await reviews.list_all(request.ctx, request.who, _ROWS + 1, before=before, decided=decided)
    names = await audit.names(request.ctx, request.who, [one.decision.by for one in found if one.decision])
    shown = {
        "found": found[:_ROWS],
        "names": names,
        "decided": decided,
        "decisions": DECISIONS,
        "newest": query.url(before=None) if before else None,
        "older": query.url(before=str(found[_ROWS - 1].id)) if len(found) > _ROWS else None,
        "of": of,
        "problem": problem.detail if problem else "",
        "typed": request.fields if problem else {},
    }
    return request.render("operator/reviews.html", problem.status if problem else 200, **shown)
