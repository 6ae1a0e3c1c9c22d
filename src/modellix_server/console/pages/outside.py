"""Signing in with an account elsewhere: the way to a provider, and back."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import PlatformError
from modellix_server.console.dispatch import (
    PageRequest,
    away_cookie_name,
    depart_with,
    local_path,
    sign_in_with,
)
from modellix_server.console.kept_form import KeptForm
from modellix_server.console.sign_in_page import go_on, ways
from modellix_server.operations import outside_sign_in, sign_in

_ACCOUNT = "/console/account#methods"


async def start(request: PageRequest) -> Response:
    """Send the browser to a provider to sign in."""
    target, kept = local_path(request.fields.get("next")), KeptForm.read(request.fields.get("kept", "")).text
    name = request.path_params["provider"]
    try:
        url, cookie = await outside_sign_in.start(request.ctx, request.who, name, request.browser, target, kept)
    except PlatformError as error:
        return ways(request, target, kept, problem=error)
    return _depart(request, url, cookie)


async def start_linking(request: PageRequest) -> Response:
    """Send the browser to a provider to link an account."""
    name = request.path_params["provider"]
    url, cookie = await outside_sign_in.start_linking(request.ctx, request.who, name, request.browser, _ACCOUNT)
    return _depart(request, url, cookie)


async def come_back(request: PageRequest) -> Response:
    """Take the browser back, signed in."""
    name, cookie = request.path_params["provider"], request.cookies.get(away_cookie_name(request.ctx), "")
    brought = dict(request.query_params)
    try:
        arrival = await outside_sign_in.finish(request.ctx, request.who, name, brought, cookie, request.browser)
    except PlatformError as error:
        if request.visitor is not None:
            raise
        return depart_with(request.ctx, ways(request, "/console", problem=error), None)
    if arrival.cookie is None:
        return depart_with(request.ctx, RedirectResponse(arrival.target, 303), None)
    request.visitor = await sign_in.authenticate(request.ctx, arrival.cookie)
    response = depart_with(request.ctx, go_on(request, arrival.target, arrival.kept), None)
    return sign_in_with(request.ctx, response, arrival.cookie)


async def unlink(request: PageRequest) -> Response:
    """Let an account sign the user in no more."""
    await outside_sign_in.unlink(request.ctx, request.who, request.fields.get("issuer", ""))
    return RedirectResponse(_ACCOUNT, 303)


def _depart(request: PageRequest, url: str, cookie: str) -> Response:
    """A page that goes on by itself: after a form, browsers follow no redirect to another site (CSP, form-action)."""
    provider = request.ctx.identity_providers[request.path_params["provider"]]
    page = request.render("sign_in/depart.html", url=url, title=provider.title)
    page.headers["Refresh"] = f"0;url={url}"
    return depart_with(request.ctx, page, cookie)
