"""What the frame around every page can do."""

from starlette.responses import RedirectResponse, Response

from modellix_server.console.dispatch import PageRequest, local_path
from modellix_server.operations import account, sign_in


async def switch(request: PageRequest) -> Response:
    """Show another team or mode from now on."""
    assert request.visitor is not None
    who, _ = sign_in.act(request.visitor, request.fields.get("to", ""), request.address)
    await account.show(request.ctx, who)
    return RedirectResponse(local_path(request.fields.get("back")), 303)
