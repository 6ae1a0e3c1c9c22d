"""How the platform does now."""

from starlette.responses import Response

from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import overview


async def show(request: PageRequest) -> Response:
    """Queue, workers, vendors, faults of the last hour, room on the disks."""
    found = await overview.read(request.ctx, request.who)
    return request.render("operator/overview.html", found=found)
