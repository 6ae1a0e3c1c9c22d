"""Who runs the platform."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import operators

_PATH = "/operator/operators"


async def show(request: PageRequest) -> Response:
    """All operators, and the form for another one."""
    return await _list(request)


async def add(request: PageRequest) -> Response:
    """Make a user an operator."""
    try:
        await operators.add(request.ctx, request.who, request.fields.get("email", "").strip())
    except InvalidParameters as error:
        return await _list(request, error)
    return RedirectResponse(_PATH, 303)


async def remove(request: PageRequest) -> Response:
    """Take the flag away."""
    try:
        await operators.remove(request.ctx, request.who, request.path_params["user_id"])
    except InvalidParameters as error:
        return await _list(request, error)
    return RedirectResponse(_PATH, 303)


async def _list(request: PageRequest, problem: PlatformError | None = None) -> Response:
    shown = {
        "found": await operators.list_all(request.ctx, request.who),
        "problem": problem.detail if problem else "",
        "email": request.fields.get("email", ""),
    }
    return request.render("operator/operators.html", problem.status if problem else 200, **shown)
