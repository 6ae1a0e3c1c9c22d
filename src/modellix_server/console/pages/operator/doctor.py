"""What is wrong with the installation, in words, and how it is set."""

from starlette.responses import Response

from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import platform_settings
from modellix_server.operations.maintenance import doctor
from modellix_server.operations.maintenance.doctor import Diagnosis


async def show(request: PageRequest) -> Response:
    """The settings, and the button that examines."""
    return _page(request, None)


async def examine(request: PageRequest) -> Response:
    """Run all checks now."""
    return _page(request, await doctor.diagnose(request.ctx, request.who))


def _page(request: PageRequest, found: list[Diagnosis] | None) -> Response:
    settings = platform_settings.list_all(request.ctx, request.who)
    return request.render("operator/doctor.html", found=found, settings=settings)
