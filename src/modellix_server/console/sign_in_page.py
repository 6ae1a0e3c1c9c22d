"""The pages on which somebody signs in, or shows anew who sits there, and goes on with what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import PlatformError
from modellix_server.console.kept_form import KeptForm
from modellix_server.operations import sign_in, sign_in_codes
from modellix_server.operations.principal import SignInTooOld

if TYPE_CHECKING:
    from modellix_server.console.dispatch import PageRequest


def ways(
    request: PageRequest,
    target: str,
    kept: str = "",
    *,
    email: str = "",
    problem: PlatformError | None = None,
    ended: bool = False,
    too_long: bool = False,
) -> Response:
    """How to sign in here."""
    policy = request.ctx.settings.sign_up
    return request.render(
        "sign_in/ways.html",
        problem.status if problem else 401 if ended else 200,
        next=target,
        kept=kept,
        email=email,
        problem=problem.detail if problem else "",
        ended=ended,
        too_long=too_long,
        invited_only=not (policy.everybody or policy.domains),
        domains=sorted(policy.domains),
        **_offered(request),
    )


async def signed_out(request: PageRequest, cookie: str | None) -> Response:
    """The answer to who is not signed in, or no longer: how to, and after a form go on with it.

    For a script a line, so that the page stays as it is.
    """
    if request.is_piece:
        answer = request.render("sign_in/ended.html", 401)
        answer.headers.update({"HX-Retarget": "#refusal", "HX-Reswap": "innerHTML"})
        return answer
    target = request.here
    if request.method != "POST":
        return RedirectResponse(f"/sign-in?next={quote(target)}", 303)
    kept = KeptForm.of(request.form_fields, await sign_in.former_user(request.ctx, cookie))
    text = kept.text
    return ways(request, target if text else "/console", text, ended=True, too_long=bool(kept) and not text)


def ask_again(request: PageRequest, **values: Any) -> Response:
    """The page that asks who sits at a signed-in browser; what was asked for goes on afterwards, form and all."""
    assert request.visitor is not None
    kept = {
        "next": request.here,
        "kept": KeptForm.of(request.form_fields, request.visitor.user.id).text,
        "sent": False,
        "problem": "",
        "status": SignInTooOld.status,
    }
    return request.render("sign_in/again.html", **{**kept, **_offered(request), **values})


def go_on(request: PageRequest, target: str, kept: str) -> Response:
    """Go on, as who has signed in just now, with what was asked for: a page, or a form with what it had.

    A form of another user is dropped.
    """
    form = KeptForm.read(kept)
    if not form:
        return RedirectResponse(target, 303)
    if request.visitor is None or form.user_id not in (None, request.visitor.user.id):
        return RedirectResponse("/console", 303)
    return request.render("sign_in/go_on.html", action=target, form=form)


def _offered(request: PageRequest) -> dict[str, Any]:
    providers = list(request.ctx.identity_providers.values())
    return {"missing": sign_in_codes.missing_settings(request.ctx), "providers": providers}
