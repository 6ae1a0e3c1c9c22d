"""From a browser's request to a view: session, origin of posts, team and mode, permission; and pages for refusals."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from yarl import query_to_pairs

from modellix_server.announcements import Announcement
from modellix_server.base import log, time_budget
from modellix_server.base.errors import InvalidFormat, NotFound, PlatformError, Unavailable
from modellix_server.base.team_mode import TeamMode
from modellix_server.console import i18n
from modellix_server.console.i18n import gettext as _
from modellix_server.console.kept_form import KeptForm
from modellix_server.console.render import Renderer
from modellix_server.console.sign_in_page import ask_again, signed_out
from modellix_server.identity import AWAY_LASTS, Membership, Visitor
from modellix_server.ledger import Balance
from modellix_server.operations import announcements, money, sign_in
from modellix_server.operations.context import OUT_OF_REACH, ServingContext
from modellix_server.operations.principal import Forbidden, Permission, Principal, SignInTooOld, anybody, member, user
from modellix_server.operations.sign_in import Browser
from modellix_server.requestlog import SubmissionEntry, redact_path
from modellix_server.web.texts import language_of

_MOST_FORM_BYTES = 256 * 1024
_MOST_FORM_BYTES_OF_A_STRANGER = 64 * 1024  # who has no cookie of ours has no long text to send
_MOST_FIELDS = 500
_NO_LETTER = "\ufffd"  # what stands for bytes that are no letter of UTF-8
_NO_LETTER_ESCAPED = "%EF%BF%BD"
_LOCAL = ("localhost", "127.0.0.1", "::1")
_DISMISSED = "modellix-dismissed"
"""Cookie of a script: the announcements that this browser has dismissed, by number, until it is closed."""
_LOG = log.get("console")


class Audience(Enum):
    """Who may see a page."""

    PUBLIC = "everybody"
    SESSION = "signed-in users"
    TEAM = "members of a team with the page's permission"
    OPERATOR = "operators"


class CrossOrigin(Forbidden):
    """A form of another site."""


class PageRequest(Request):
    """A request of a browser, once the dispatcher knows who sits there."""

    def __init__(self, scope: Scope, receive: Receive, ctx: ServingContext, renderer: Renderer) -> None:
        super().__init__(scope, receive)
        self.ctx = ctx
        self._renderer = renderer
        self.form_fields: list[tuple[str, str]] = []
        """Of a posted form, in its order."""
        self.fields: dict[str, str] = {}
        """The same by name; of a field sent twice the last."""
        self.visitor: Visitor | None = None
        self.membership: Membership | None = None
        """Of the team that the page shows."""
        self.who: Principal = anybody(self.address)
        self.made_tasks: list[UUID] = []
        """Accepted by this request, for the log."""
        """Who acts: a member of the team, or on the pages of operators somebody who acts for the whole platform."""
        self.as_member = self.who
        """The same as the frame shows it: in the team, with what its role may do there."""
        self.operating = False
        """Whether the page is one of the operators'."""
        self.announcements: list[Announcement] = []
        """What the frame tells everybody now."""
        self.balance: Balance | None = None
        """Of the team in its mode, for who may see it."""

    @property
    def address(self) -> str:
        """Of the peer; behind trusted proxies, of whom they name."""
        return self.client.host if self.client else "unknown"

    @property
    def browser(self) -> Browser:
        """Where somebody signs in from."""
        return Browser(self.address, self.headers.get("user-agent", ""))

    @property
    def here(self) -> str:
        """Its own path and query."""
        return self.url.path + (f"?{self.url.query}" if self.url.query else "")

    @property
    def is_piece(self) -> bool:
        """Whether a script asks, for a piece of the page that it shows (htmx: `HX-Request`)."""
        return self.headers.get("hx-request") == "true"

    def in_mode(self, *, live: bool) -> Principal:
        """The same member in a mode of the team."""
        assert self.visitor is not None
        assert self.membership is not None
        scope = TeamMode(self.membership.team.id, live=live)
        return member(self.visitor, scope, self.membership.role, self.address)

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page, with what its frame shows."""
        visitor, scope = self.visitor, self.as_member.scope
        frame = {
            "path": self.url.path,
            "here": self.here,
            "language": self.language,
            "theme": visitor.user.theme if visitor else None,
            "time_zone": visitor.user.time_zone if visitor else None,
            "visitor": visitor,
            "membership": self.membership,
            "balance": self.balance,
            "scope": f"{scope.team_id}-{scope.mode}" if scope else "",
            "live": scope.live if scope else False,
            "can": self.can,
            "operating": self.operating,
            "announcements": self.announcements,
            "dismissed": self.cookies.get(_DISMISSED, "").split("."),
            "support": self.ctx.settings.support_contact,
            "request_id": self.scope.get("request_id"),
        }
        return self._renderer.page(template, status, **frame, **values)

    def can(self, permission: str) -> bool:
        """Whether the member has a permission, by its name: what it may not do, a page does not offer."""
        return Permission[permission] in self.as_member.permissions

    @property
    def language(self) -> str:
        """Of the page: the user's choice, or what the browser asks for."""
        return language_of(self.visitor.user.language if self.visitor else None, self._accepts)

    @property
    def _accepts(self) -> str:
        return self.headers.get("accept-language", "")

    async def identify(self, access: Audience, permission: Permission | None) -> Response | None:
        """Find out who asks, and whether they may; a redirect to the sign-in page for who is not signed in.

        Raises CrossOrigin, Forbidden, InvalidFormat, Unavailable.
        """
        i18n.read_in(self.language)
        cookie = self.cookies.get(cookie_name(self.ctx))
        if self.method == "POST":
            _require_own_page(self)
            if not self.headers.get("content-type", "").startswith("multipart/"):  # a file, which its view receives
                self.form_fields = await _read_form(
                    self, _MOST_FORM_BYTES if cookie else _MOST_FORM_BYTES_OF_A_STRANGER
                )
            self.fields = dict(self.form_fields)
        self.visitor = await sign_in.authenticate(self.ctx, cookie)
        if self.visitor is not None:
            i18n.read_in(self.language)
            wanted = self.fields.get("scope") or self.query_params.get("scope")
            self.who, self.membership = sign_in.act(self.visitor, wanted, self.address)
            self.as_member = self.who
        if access is Audience.PUBLIC:
            return None
        if self.visitor is None:
            return await signed_out(self, cookie)
        if not self.is_piece:
            self.announcements = await announcements.current(self.ctx, self.who)
        if access is Audience.OPERATOR:
            self.operating, self.who = True, user(self.visitor, self.address)
            self.who.require(Permission.OPERATE)
            return None
        if access is Audience.TEAM and self.membership is None:
            raise Forbidden(_("you belong to no team"))
        if permission is not None:
            self.who.require(permission)
        await self.read_balance()
        return None

    async def read_balance(self) -> None:
        """Read the balance that the frame shows; again after a view has changed it."""
        if self.membership is not None and Permission.READ_MONEY in self.who.permissions:
            self.balance = await money.balance(self.ctx, self.who, self.who.team)


View = Callable[[PageRequest], Awaitable[Response]]


class ViewEndpoint:
    """A view as an ASGI application."""

    def __init__(
        self, ctx: ServingContext, renderer: Renderer, view: View, access: Audience, permission: Permission | None
    ) -> None:
        self._ctx = ctx
        self._renderer = renderer
        self._view = view
        self._access = access
        self._permission = permission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every refusal becomes a page that says what to do."""
        request = PageRequest(scope, receive, self._ctx, self._renderer)
        started = time.perf_counter()
        time_budget.begin()
        log.bind(request=scope.get("request_id"))
        try:
            response = await request.identify(self._access, self._permission) or await self._view(request)
        except ClientDisconnect:
            return
        except SignInTooOld:
            response = ask_again(request)
        except PlatformError as error:
            response = refused(request, error)
        except OUT_OF_REACH as error:
            _LOG.warning("a page needs what is out of reach", view=self._view.__name__, error=type(error).__name__)
            response = refused(request, Unavailable(_("the database cannot be reached"), retry_after_s=5))
        except Exception:  # noqa: BLE001 - a page says so, and the log why
            _LOG.exception("a page failed", view=self._view.__name__)  # paths may hold a sign-in link
            response = refused(request, PlatformError(_("this is our fault, and it is in our log")))
        await response(scope, receive, send)
        _log_submissions(request, response, time.perf_counter() - started)


def _log_submissions(request: PageRequest, response: Response, took_s: float) -> None:
    """Log the call as that which made the tasks, as calls of programs are."""
    for task_id in request.made_tasks:
        received, sent = (int(one.headers.get("content-length", 0)) for one in (request, response))
        request.ctx.request_log.record(
            SubmissionEntry(
                task_id,
                request.who.team.team_id,
                request.who.team.live,
                redact_path(request.url.path),
                int(took_s * 1_000_000),
                received,
                sent,
                request.scope.get("request_id"),
            )
        )


def refused(request: PageRequest, error: PlatformError) -> Response:
    """The page of a refusal; for a script a line, to be shown above what the page shows."""
    if request.is_piece:
        answer = request.render("refusal.html", error.status, detail=error.detail)
        answer.headers.update({"HX-Retarget": "#refusal", "HX-Reswap": "innerHTML"})
        return answer
    again = KeptForm.of(request.form_fields) if isinstance(error, Unavailable) else KeptForm()
    values = {"category": error.category, "detail": error.detail, "action": request.here, "form": again}
    return request.render("error.html", error.status, **values)


def not_found(ctx: ServingContext, renderer: Renderer) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The answer to what matches no route."""

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        page = PageRequest(request.scope, request.receive, ctx, renderer)
        i18n.read_in(page.language)
        if error.status_code == 405:
            refusal: PlatformError = PlatformError(_("this page takes no such request"))
            return page.render(
                "error.html", 405, category=refusal.category, detail=refusal.detail, form=KeptForm(), action=""
            )
        return refused(page, NotFound(_("there is no such page")))

    return answer


def cookie_name(ctx: ServingContext) -> str:
    """Of the session's cookie; with the prefix, nobody else can set it (RFC 6265bis, 4.1.3)."""
    return "__Host-modellix" if _is_secure(ctx) else "modellix"


def sign_in_with(ctx: ServingContext, response: Response, cookie: str | None) -> Response:
    """The answer that signs a browser in, or, with None, out."""
    secure = _is_secure(ctx)
    if cookie is None:
        response.delete_cookie(cookie_name(ctx), path="/", secure=secure, httponly=True, samesite="lax")
    else:
        response.set_cookie(cookie_name(ctx), cookie, path="/", secure=secure, httponly=True, samesite="lax")
    return response


def away_cookie_name(ctx: ServingContext) -> str:
    """Of the cookie by which a browser is known that comes back from an identity provider."""
    return f"{cookie_name(ctx)}-away"


def depart_with(ctx: ServingContext, response: Response, cookie: str | None) -> Response:
    """The answer that sends a browser to a provider, or, with None, takes it back."""
    lasts = int(AWAY_LASTS.total_seconds()) if cookie is not None else 0
    response.set_cookie(
        away_cookie_name(ctx), cookie or "", lasts, path="/", secure=_is_secure(ctx), httponly=True, samesite="lax"
    )
    return response


def local_path(text: str | None) -> str:
    """A path of this installation to go on with; the console's home for anything else, such as another site."""
    fit = text and text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if fit and text is not None and len(text) <= 2_000 else "/console"


def _is_secure(ctx: ServingContext) -> bool:
    origin = urlsplit(ctx.settings.public_origin)
    return origin.scheme == "https" or origin.hostname in _LOCAL


def _require_own_page(request: Request) -> None:
    """Raise CrossOrigin for a form of another site.

    Browsers say where a request comes from (Fetch Metadata), older ones at least its Origin; a client that says neither
    is no browser, and has no cookie that somebody else could use.
    """
    site = request.headers.get("sec-fetch-site")
    if site:
        own = site in ("same-origin", "none")
    elif (origin := request.headers.get("origin")) is not None:
        own = urlsplit(origin).netloc == request.headers.get("host")
    else:
        own = True
    if not own:
        raise CrossOrigin(_("this form came from another site"))


async def _read_form(request: Request, most_bytes: int) -> list[tuple[str, str]]:
    """The fields of a form, within limits. Raises InvalidFormat."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most_bytes:
        raise InvalidFormat(_("this form is too large"))
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise InvalidFormat(_("this form is too large"))
    try:
        text = body.decode()
        fields = query_to_pairs(text, max_fields=_MOST_FIELDS)
        sent = text.count(_NO_LETTER) + text.upper().count(_NO_LETTER_ESCAPED)
        if sum(part.count(_NO_LETTER) for field in fields for part in field) != sent:
            raise ValueError("escapes that are not UTF-8")
    except ValueError:
        raise InvalidFormat(_("this form cannot be read")) from None
    return fields
