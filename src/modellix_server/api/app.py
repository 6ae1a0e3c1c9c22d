"""The application: all routes, each declared once with its access level and permission, and 404 and 405 answers.

Submissions and status reads bypass the router.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match

from modellix_server.api import about, account, files, logs, models, tasks, uploads, webhooks
from modellix_server.api.about import Document
from modellix_server.api.callbacks import vendor_callback
from modellix_server.api.context import ApiContext
from modellix_server.api.dispatch import CLOSED, Guarded, Handler, Receive, Scope, Send, refusal
from modellix_server.api.events import stream_task, submit_and_stream
from modellix_server.api.files import same_origin
from modellix_server.api.hot.client_connection import CONNECTION
from modellix_server.api.hot.coded_body import decoded
from modellix_server.api.hot.exchange import HotEndpoint
from modellix_server.api.hot.status import read_task
from modellix_server.api.hot.submit import may_name_model, submit_task
from modellix_server.api.no_such_route import OPENAI_NOT_HERE, OPENAI_WITHOUT_BASE, no_such_route
from modellix_server.api.openai_api.answers import error_reply
from modellix_server.api.openai_api.routes import PATHS as OPENAI_PATHS
from modellix_server.api.openai_api.routes import openai_routes
from modellix_server.api.payments import payment_event
from modellix_server.base.json_body import WHOLE_BODY
from modellix_server.base.settings import Settings
from modellix_server.limits import AddressLimit, RateLimited
from modellix_server.openapi.operation import Access, Declared
from modellix_server.operations.principal import Permission

_API = "/api/v1/"
_TASKS = "/api/v1/tasks/"
_SUBMIT_PATHS = (
    "/api/v1/{provider}/{model}",
    "/api/v1/{provider}/{model}/async",
    "/api/v1/{type}/{provider}/{model}/async",
)
_STREAM_PATHS = ("/api/v1/{provider}/{model}/stream", "/api/v1/{type}/{provider}/{model}/stream")

_EVERYWHERE = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
]

_BODILESS = ("GET", "HEAD", "OPTIONS", None)

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def on_every_answer(settings: Settings) -> list[tuple[str, str]]:
    """Headers that the server adds to every answer: for `uvicorn.Config(headers=…)`.

    The Content-Security-Policy is not among them, as pages have their own.
    """
    if settings.public_origin.startswith("https://"):
        return [*_EVERYWHERE, ("strict-transport-security", "max-age=31536000")]
    return list(_EVERYWHERE)


class _EndpointName(StringConvertor):
    """Keeps `/webhooks/secret` and the like from matching as an endpoint's id, whatever the method."""

    regex = "(?!(?:secret|deliveries)(?:/|$))[^/]+"


register_url_convertor("endpoint", _EndpointName())
_HOOK = "/api/v1/webhooks/{endpoint_id:endpoint}"
_PLAIN: tuple[tuple[str, str, Handler, Permission], ...] = (
    ("GET", "/api/v1/models", models.list_models, Permission.READ_MODELS),
    ("GET", "/api/v1/models/{provider}/{model}", models.describe_model, Permission.READ_MODELS),
    ("POST", "/api/v1/quote", models.quote, Permission.USE_MODELS),
    ("GET", "/api/v1/key", account.own_key, Permission.READ_TEAM),
    ("GET", "/api/v1/team/balance", account.balance, Permission.READ_MONEY),
    ("GET", "/api/v1/team/ledger", account.statement, Permission.READ_MONEY),
    ("GET", "/api/v1/team/usage", account.usage, Permission.READ_MONEY),
    ("GET", "/api/v1/logs", logs.list_calls, Permission.READ_LOGS),
    ("GET", "/api/v1/media/files", uploads.list_files, Permission.READ_FILES),
    ("POST", "/api/v1/media/files", uploads.upload_file, Permission.MANAGE_FILES),
    ("DELETE", "/api/v1/media/files/{file_id}", uploads.delete_file, Permission.MANAGE_FILES),
    ("GET", "/api/v1/tasks", tasks.list_of_tasks, Permission.READ_TASKS),
    ("GET", "/api/v1/tasks/{task_id}/stream", stream_task, Permission.READ_TASKS),
    ("POST", "/api/v1/tasks/{task_id}/cancel", tasks.cancel_task, Permission.USE_MODELS),
    ("DELETE", "/api/v1/tasks/{task_id}/result", tasks.delete_task_result, Permission.USE_MODELS),
    ("GET", "/api/v1/webhooks", webhooks.list_endpoints, Permission.READ_WEBHOOKS),
    ("POST", "/api/v1/webhooks", webhooks.create_endpoint, Permission.MANAGE_WEBHOOKS),
    ("GET", "/api/v1/webhooks/secret", webhooks.team_secret, Permission.MANAGE_WEBHOOKS),
    ("POST", "/api/v1/webhooks/secret/rotate", webhooks.rotate_team_secret, Permission.MANAGE_WEBHOOKS),
    ("GET", "/api/v1/webhooks/deliveries", webhooks.deliveries, Permission.READ_WEBHOOKS),
    ("POST", "/api/v1/webhooks/deliveries/{message_id}/replay", webhooks.replay, Permission.MANAGE_WEBHOOKS),
    ("GET", _HOOK, webhooks.find_endpoint, Permission.READ_WEBHOOKS),
    ("PATCH", _HOOK, webhooks.change_endpoint, Permission.MANAGE_WEBHOOKS),
    ("DELETE", _HOOK, webhooks.delete_endpoint, Permission.MANAGE_WEBHOOKS),
    ("POST", f"{_HOOK}/rotate", webhooks.rotate, Permission.MANAGE_WEBHOOKS),
    ("GET", f"{_HOOK}/deliveries", webhooks.deliveries, Permission.READ_WEBHOOKS),
    ("POST", f"{_HOOK}/replay", webhooks.replay_failed, Permission.MANAGE_WEBHOOKS),
)
"""Routes for callers with a key."""
_PUBLIC: tuple[tuple[str, str, Handler, Permission | None], ...] = (
    ("GET", "/api/v1/apikey/validate", account.validate_key, None),
    ("POST", "/api/v1/keys/leaked", account.report_leak, Permission.REPORT_LEAKS),
    ("GET", "/healthz", about.healthy, None),
    ("GET", "/readyz", about.ready, None),
)


class _SubmitRoute(Declared):
    """A submission to any provider; paths such as `/api/v1/team/balance` have the same form and do not match."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if may_name_model(scope["path"]) else (Match.NONE, {})


_OTHERS = (
    *("/api", OPENAI_PATHS, "/callbacks/", "/payments/", "/results/", "/files/", "/samples/"),
    *("/healthz", "/readyz", "/openapi.json", "/openapi/"),
)
"""Where the paths begin that are not pages."""
_API_SCHEMA = "/models/{provider}/{model}/api_schema"
"""Beside the public page of a model: clients of the original ask for it there, without a key."""
_MCP = "/mcp"
"""Where the paths begin that have limits of their own."""
_FILES = ("/samples/", "/results/", "/files/")
"""Where paths of files begin: only turns keep a crowd of requests for them from one pass of the event loop."""


def build_app(ctx: ApiContext, pages: App | None = None) -> App:
    """The application of one API process: submissions and status reads bypass the router.

    `pages` answers what is not for programs, but never under a host of its own for files.
    """
    submit, stream, read = _hot_endpoints(ctx)
    router = build_router(ctx)
    files_origin = ctx.settings.results_origin if ctx.settings.results_url else None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint: App = router
        path: str = scope.get("path", "")
        is_coded = scope.get("method") not in _BODILESS and b"content-encoding" in dict(scope["headers"])
        if is_coded:
            receive = decoded(scope, receive)
        if path.startswith(_API):
            method = scope["method"]
            if method == "GET" and path.startswith(_TASKS):
                if "/" not in path[len(_TASKS) :]:
                    endpoint = read
            elif method == "POST" and may_name_model(path):
                endpoint = stream if path.endswith("/stream") else submit
        elif pages is not None and not _is_for_programs(path) and not _is_for_files(scope, files_origin):
            connection = scope.get("extensions", {}).pop(CONNECTION, None)
            scope["request_id"] = connection.request_id if connection else None
            if not path.startswith(_MCP):
                address = _address(scope)
                endpoint = _too_many(ctx.strangers, address) or pages
                await ctx.turns.wait(address)
            else:
                endpoint = pages
                scope[WHOLE_BODY] = None if connection is None or is_coded else connection.body
        elif path.startswith(_FILES):
            await ctx.turns.wait(_address(scope))
        await endpoint(scope, receive, send)

    return app


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _too_many(strangers: AddressLimit, address: str) -> App | None:
    """The answer to a request for a page by an address that sends too many; None to any other."""
    try:
        strangers.take(address)
    except RateLimited as error:
        headers = {"Retry-After": str(error.retry_after_s), "Content-Security-Policy": CLOSED}
        return PlainTextResponse(error.message, error.status, headers)
    return None


def _is_for_programs(path: str) -> bool:
    """Whether a path is not one of a page: also where a slip put a second `/` before it."""
    path = f"/{path.lstrip('/')}"
    return path.startswith(_OTHERS) or path.endswith("/api_schema") or path in OPENAI_WITHOUT_BASE


def _is_for_files(scope: Scope, files_origin: str | None) -> bool:
    """Whether a request was sent to the origin that has nothing but files."""
    if files_origin is None:
        return False
    return any(name == b"host" and same_origin(host.decode("latin-1"), files_origin) for name, host in scope["headers"])


def _hot_endpoints(ctx: ApiContext) -> tuple[HotEndpoint, HotEndpoint, HotEndpoint]:
    return (
        HotEndpoint(ctx, submit_task, Permission.USE_MODELS),
        HotEndpoint(ctx, submit_and_stream, Permission.USE_MODELS),
        HotEndpoint(ctx, read_task, Permission.READ_TASKS),
    )


def build_router(ctx: ApiContext) -> Starlette:
    """The router of all routes, hot ones included: for their other methods, and for the document.

    Raises `openapi.Undescribed` when a route is without its entry in the table of operations, or an entry has no route.
    """
    submit, stream, read = _hot_endpoints(ctx)
    document = Document()

    def plain(method: str, path: str, handler: Handler, permission: Permission | None, access: Access) -> Declared:
        return Declared(path, Guarded(ctx, handler, access, permission), access, permission, [method])

    app = Starlette(
        routes=[
            *(plain(*route, Access.KEY) for route in _PLAIN),
            *(plain(*route, Access.PUBLIC) for route in _PUBLIC),
            plain("GET", "/api/v1/openapi.json", document.openapi, None, Access.PUBLIC),
            plain("GET", "/openapi.json", document.openapi, None, Access.PUBLIC),
            plain("GET", "/openapi/{provider}.json", document.of_provider, None, Access.PUBLIC),
            plain("GET", f"/api/v1{_API_SCHEMA}", document.of_model, None, Access.PUBLIC),
            plain("GET", _API_SCHEMA, document.of_model, None, Access.PUBLIC),
            Declared("/api/v1/tasks/{task_id}", read, Access.KEY, read.permission, ["GET"]),
            *(_SubmitRoute(path, submit, Access.KEY, submit.permission, ["POST"]) for path in _SUBMIT_PATHS),
            *(_SubmitRoute(path, stream, Access.KEY, stream.permission, ["POST"]) for path in _STREAM_PATHS),
            *openai_routes(ctx),
            Declared("/callbacks/{upstream}/{token}", vendor_callback, Access.LINK, None, ["POST"]),
            Declared("/payments/stripe/events", payment_event, Access.LINK, None, ["POST"]),
            Declared("/results/{task_id}/{name}", files.result_file, Access.LINK, None, ["GET"]),
            Declared("/files/{name}", files.input_file, Access.LINK, None, ["GET"]),
            Declared("/samples/{name}", files.sample_file, Access.PUBLIC, None, ["GET"]),
        ],
        exception_handlers={HTTPException: _refuse},
    )
    app.state.ctx = ctx
    app.router.redirect_slashes = False
    document.write(app.routes, ctx.catalogue, ctx.settings.public_origin)
    return app


async def _refuse(request: StarletteRequest, error: Exception) -> Response:
    """The answer to a request that matches no route."""
    assert isinstance(error, HTTPException)
    await request.app.state.ctx.turns.wait(_address(request.scope))  # who guesses at paths asks again at once
    path: str = request.scope["path"]  # a URL would take what follows `//` for a host
    meant = f"/{path.lstrip('/')}"
    of_openai = meant.startswith(OPENAI_PATHS) or meant in OPENAI_WITHOUT_BASE
    if not (of_openai or meant.startswith("/api")):
        headers = {**(error.headers or {}), "Content-Security-Policy": CLOSED}
        return PlainTextResponse(error.detail, error.status_code, headers)
    status = 404 if path in OPENAI_NOT_HERE else error.status_code
    if status == 405:
        message = f"Invalid parameters: method {request.method} is not allowed here"
    else:
        message = f"Resource not found: {no_such_route(path)}"
    allowed = {method for route in request.app.routes if _fits(route, request) for method in route.methods}
    allow = [(b"allow", ", ".join(sorted(allowed)).encode())] if status == 405 else []
    if of_openai:
        reply = error_reply(status, message, "no_such_route", None)
        return reply._replace(headers=[*reply.headers, *allow, (b"x-should-retry", b"false")]).response()
    return refusal(status, message, allow, None).response()


def _fits(route: Any, request: StarletteRequest) -> bool:
    """Whether a route matches the path, whatever its method; one path may have several routes."""
    return route.matches(request.scope)[0] is not Match.NONE
