"""Whether the money adds up, and the accounts that take no new tasks because it does not."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.pages.operator import fields
from modellix_server.operations import freezes, reconciliation
from modellix_server.operations.freezes import StaysFrozen

_PATH = "/operator/ledger"


async def show(request: PageRequest) -> Response:
    """The latest checks, and the frozen accounts."""
    return await _page(request)


async def check(request: PageRequest) -> Response:
    """Have everything checked now."""
    await reconciliation.ask_check(request.ctx, request.who)
    return RedirectResponse(_PATH, 303)


async def unfreeze(request: PageRequest) -> Response:
    """Let an account take new tasks again, once it adds up."""
    try:
        of = fields.mode(request, fields.whole(request.fields.get("team", "")) or 0)
        restate = "restate" in request.fields
        await freezes.unfreeze(request.ctx, request.who, of, request.fields.get("note", ""), restate=restate)
    except (InvalidParameters, StaysFrozen) as error:
        return await _page(request, problem=error)
    return RedirectResponse(_PATH, 303)


async def _page(request: PageRequest, *, problem: PlatformError | None = None) -> Response:
    shown = {
        "checks": await reconciliation.last_check(request.ctx, request.who),
        "frozen": await freezes.list_all(request.ctx, request.who),
        "problem": problem.detail if problem else "",
    }
    return request.render("operator/ledger.html", problem.status if problem else 200, **shown)
