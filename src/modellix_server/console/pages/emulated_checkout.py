"""The payment emulator's page, where one pays for a recharge in test mode. It is made by the sandbox."""

from urllib.parse import urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response

from modellix_server.base.errors import NotFound
from modellix_server.base.outbound import Answer
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import recharges
from modellix_server.operations.principal import anybody

_POLICY = "default-src 'none'; style-src 'self'; form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'"


async def show(request: PageRequest) -> Response:
    """The page."""
    return _pass_on(request, await _ask(request, None))


async def act(request: PageRequest) -> Response:
    """Pay, or leave."""
    return _pass_on(request, await _ask(request, urlencode({"do": request.fields.get("do", "")})))


async def _ask(request: PageRequest, form: str | None) -> Answer:
    checkout = request.path_params["checkout"]
    return await recharges.emulated_page(request.ctx, anybody(request.address), checkout, form)


def _pass_on(request: PageRequest, answer: Answer) -> Response:
    origin = request.ctx.settings.public_origin
    if answer.status == 303:
        target = answer.headers.get("location", "")
        if not target.startswith(f"{origin}/"):
            raise NotFound(_("there is no such checkout"))
        return RedirectResponse(target, 303)
    headers = {"Content-Security-Policy": _POLICY.format(origin), "Cache-Control": "no-store"}
    return HTMLResponse(answer.body, headers=headers)
