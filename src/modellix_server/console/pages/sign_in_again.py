"""Showing anew who sits at a signed-in browser, before acts that weigh heavily."""

from starlette.responses import Response

from modellix_server.base.errors import PlatformError, Unauthorized
from modellix_server.console.dispatch import PageRequest, local_path, sign_in_with
from modellix_server.console.sign_in_page import ask_again, go_on
from modellix_server.identity import TooManyCodes
from modellix_server.operations import sign_in_codes


async def send_code(request: PageRequest) -> Response:
    """Send a code to the user's address, and ask for it."""
    assert request.visitor is not None
    if sign_in_codes.missing_settings(request.ctx):
        return _ask(request, sent=False)
    email, language = request.visitor.user.email, request.language
    try:
        await sign_in_codes.send_code(request.ctx, request.who, email, request.browser, language=language)
    except TooManyCodes as error:
        return _ask(request, sent=True, problem=error)
    return _ask(request, sent=True)


async def use_code(request: PageRequest) -> Response:
    """Go on with what was asked for: a page, or a form with what it had."""
    try:
        cookie = await sign_in_codes.confirm(request.ctx, request.who, request.fields.get("code", ""))
    except Unauthorized as error:
        return _ask(request, sent=True, problem=error)
    target, kept = local_path(request.fields.get("next")), request.fields.get("kept", "")
    return sign_in_with(request.ctx, go_on(request, target, kept), cookie)


def _ask(request: PageRequest, *, sent: bool, problem: PlatformError | None = None) -> Response:
    status, words = (problem.status, problem.detail) if problem else (200, "")
    target, kept = local_path(request.fields.get("next")), request.fields.get("kept", "")
    return ask_again(request, status=status, next=target, kept=kept, sent=sent, problem=words)
