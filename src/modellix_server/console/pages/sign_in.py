"""Signing in and out."""

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, NotFound, Unauthorized
from modellix_server.console.dispatch import PageRequest, local_path, sign_in_with
from modellix_server.console.sign_in_page import go_on, ways
from modellix_server.identity import TooManyCodes
from modellix_server.operations import account, sign_in, sign_in_codes


async def show(request: PageRequest) -> Response:
    """How to sign in here."""
    target = local_path(request.query_params.get("next"))
    if request.visitor is not None:
        return RedirectResponse(target, 303)
    return ways(request, target)


async def send_code(request: PageRequest) -> Response:
    """Have a code sent, and ask for it; the answer is the same whether or not anybody has the address.

    Who has signed in meanwhile, in another window, goes on.
    """
    email, target, kept = request.fields.get("email", ""), *_aim(request)
    if request.visitor is not None:
        return go_on(request, target, kept)
    if "other" in request.fields:
        return ways(request, target, kept, email=email)
    try:
        await sign_in_codes.send_code(request.ctx, request.who, email, request.browser, language=request.language)
    except (InvalidParameters, TooManyCodes) as error:
        return ways(request, target, kept, email=email, problem=error)
    return request.render("sign_in/code.html", email=email, next=target, kept=kept, problem="")


async def use_code(request: PageRequest) -> Response:
    """Sign in by a code."""
    email, target, kept = request.fields.get("email", ""), *_aim(request)
    code = request.fields.get("code", "")
    try:
        cookie = await sign_in_codes.use_code(request.ctx, request.who, email, code, request.browser)
    except InvalidParameters as error:
        return ways(request, target, kept, email=email, problem=error)
    except Unauthorized as error:
        return request.render("sign_in/code.html", 401, email=email, next=target, kept=kept, problem=error.detail)
    request.visitor = await sign_in.authenticate(request.ctx, cookie)
    return sign_in_with(request.ctx, go_on(request, target, kept), cookie)


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


def _aim(request: PageRequest) -> tuple[str, str]:
    """Where somebody was going, and with which form."""
    return local_path(request.fields.get("next")), request.fields.get("kept", "")


async def _offer(request: PageRequest, *, email: str = "", name: str = "", problem: str = "") -> Response:
    try:
        user = await sign_in.read_link(request.ctx, request.who, request.path_params["token"])
    except NotFound:
        return _used_up(request)
    values = {"user": user, "email": email, "name": name, "problem": problem}
    return request.render("sign_in/link.html", 400 if problem else 200, **values)


def _used_up(request: PageRequest) -> Response:
    return request.render("sign_in/used_up.html", 404)
