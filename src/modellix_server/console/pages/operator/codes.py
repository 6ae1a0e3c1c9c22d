"""Redemption codes."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.billing import MOST_CODES
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.pages.operator import fields
from modellix_server.operations import codes

_PATH = "/operator/codes"


async def show(request: PageRequest) -> Response:
    """All codes in their batches, and the form for more."""
    return await _list(request)


async def create(request: PageRequest) -> Response:
    """Make codes and show their texts, once."""
    try:
        mode = fields.mode(request, 0)
        batch, texts = await codes.create(
            request.ctx,
            request.who,
            name=request.fields.get("name", ""),
            micros=fields.micros(request.fields.get("usd", "")),
            count=fields.whole(request.fields.get("count", "")) or 0,
            live=mode.live,
            expires_at=fields.moment(request, "expires_at"),
        )
    except InvalidParameters as error:
        return await _list(request, problem=error)
    return await _list(request, made=batch.id, texts=texts)


async def revoke(request: PageRequest) -> Response:
    """Make those that nobody has redeemed worthless."""
    await codes.revoke(request.ctx, request.who, request.path_params["batch_id"])
    return RedirectResponse(_PATH, 303)


async def _list(
    request: PageRequest, *, made: int = 0, texts: list[str] | None = None, problem: PlatformError | None = None
) -> Response:
    batches = await codes.list_all(request.ctx, request.who)
    shown = {
        "batches": batches,
        "made": next((one for one in batches if one.id == made), None),
        "texts": texts or [],
        "most": MOST_CODES,
        "problem": problem.detail if problem else "",
        "typed": request.fields if problem else {},
    }
    return request.render("operator/codes.html", problem.status if problem else 200, **shown)
