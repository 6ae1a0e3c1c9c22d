"""Signing in and out."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError, Unauthorized
from modellix_server.console.dispatch import PageRequest, local_path, sign_in_with
from modellix_server.identity import TooManyCodes
from modellix_server.operations import account, sign_in, sign_in_codes


async def ways(request: PageRequest) -> Response:
    """How to sign in here."""
    target = local_path(request.query_params.get("next"))
    if request.visitor is not None:
        return RedirectResponse(target, 303)
    return _ways(request, target)


async def send_code(request: PageRequest) -> Response:
    """Have a code sent, and ask for it; the answer is the same whether or not anybody has the address."""
    email, target = request.fields.get("email", ""), local_path(request.fields.get("next"))
    try:
        await sign_in_codes.send_code(request.ctx, request.who, email, request.browser, language=request.language)
    except (InvalidParameters, TooManyCodes) as error:
        return _ways(request, target, email=email, problem=error)
    return request.render("sign_in/code.html", email=email, next=target, problem="")


async def use_code(request: PageRequest) -> Response:
    """Sign in by a code."""
    email, target = request.fields.get("email", ""), local_path(request.fields.get("next"))
    code = request.fields.get("code", "")
    try:
        cookie = await sign_in_codes.use_code(request.ctx, request.who, email, code, request.browser)
    except InvalidParameters as error:
        return _ways(request, target, email=email, problem=error)
    except Unauthorized as error:
        return request.render("sign_in/code.html", 401, email=email, next=target, problem=error.detail)
    return sign_in_with(request.ctx, RedirectResponse(target, 303), cookie)


async def offer_link(request: PageRequest) -> Response:
    """Ask before a one-time link is used: programs that look at links, as mail scanners do, must not use it up."""
    return await _offer(request)


async def use_link(request: PageRequest) -> Response:
    """Sign in by a one-time link."""
    email, name = request.fields.get("email", ""), request.fields.get("name", "")
    token = request.path_params["token"]
    try:
        cookie = await sign_in.use_link(request.ctx, request.who, token, request.browser, email=email, name=name)
    except InvalidParameters as error:
        return await _offer(request, email=email, name=name, problem=error.detail)
    except NotFound:
        return _used_up(request)
    return sign_in_with(request.ctx, RedirectResponse("/console", 303), cookie)


async def sign_out(request: PageRequest) -> Response:
    """End this browser's session."""
    assert request.visitor is not None
    await account.end_session(request.ctx, request.who, request.visitor.session.id)
    return sign_in_with(request.ctx, RedirectResponse("/sign-in", 303), None)


def ways_with(request: PageRequest, target: str, problem: PlatformError) -> Response:
    """How to sign in here, after a way that led nowhere."""
    return _ways(request, target, problem=problem)


def _ways(request: PageRequest, target: str, *, email: str = "", problem: PlatformError | None = None) -> Response:
    providers = list(request.ctx.identity_providers.values())
    missing = sign_in_codes.missing_settings(request.ctx)
    status, words = (problem.status, problem.detail) if problem else (200, "")
    policy = request.ctx.settings.sign_up
    values = {"invited_only": not (policy.everybody or policy.domains), "domains": sorted(policy.domains)}
    values |= {"next": target, "email": email, "problem": words, "missing": missing, "providers": providers}
    return request.render("sign_in/ways.html", status, **values)


async def _offer(request: PageRequest, *, email: str = "", name: str = "", problem: str = "") -> Response:
    try:
        user = await sign_in.read_link(request.ctx, request.who, request.path_params["token"])
    except NotFound:
        return _used_up(request)
    values = {"user": user, "email": email, "name": name, "problem": problem}
    return request.render("sign_in/link.html", 400 if problem else 200, **values)


def _used_up(request: PageRequest) -> Response:
    return request.render("sign_in/used_up.html", 404)
