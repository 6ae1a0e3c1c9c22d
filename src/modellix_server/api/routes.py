"""The table of routes, and the answers to requests that fit none of them."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match

from modellix_server.api import account, leaks, lists, logs, models, uploads, webhooks
from modellix_server.api.callbacks import CallbackEndpoint
from modellix_server.api.events import stream_task, submit_and_stream
from modellix_server.api.exchange import Endpoint, RequestContext, admit, exchange
from modellix_server.api.files import InputFileEndpoint, ResultFileEndpoint, sample_file
from modellix_server.api.openapi_document import Document
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, refusal, success_of
from modellix_server.api.request import Receive, Request, Scope, Send
from modellix_server.api.security import CLOSED
from modellix_server.api.status import question, read_task
from modellix_server.api.submit import may_name_model, submit_task
from modellix_server.base.database import UNREACHABLE
from modellix_server.base.errors import Unavailable
from modellix_server.openapi.access import Access, Declared
from modellix_server.tasks import cancel, delete_result

_READY_TIMEOUT_S = 2.0
_SUBMIT_PATHS = (
    "/api/v1/{provider}/{model}",
    "/api/v1/{provider}/{model}/async",
    "/api/v1/{type}/{provider}/{model}/async",
)
_STREAM_PATHS = ("/api/v1/{provider}/{model}/stream", "/api/v1/{type}/{provider}/{model}/stream")


class _EndpointName(StringConvertor):
    """So that `/webhooks/secret` and the like, with whatever method, are never taken for an endpoint."""

    regex = "(?!(?:secret|deliveries)(?:/|$))[^/]+"


register_url_convertor("endpoint", _EndpointName())
_WEBHOOKS: tuple[tuple[Any, ...], ...] = (
    ("", webhooks.endpoints, "GET", "POST"),
    ("/secret", webhooks.team_secret),
    ("/secret/rotate", webhooks.rotate_team_secret, "POST"),
    ("/deliveries", webhooks.deliveries),
    ("/deliveries/{message_id}/replay", webhooks.replay, "POST"),
    ("/{endpoint_id:endpoint}", webhooks.endpoint, "GET", "PATCH", "DELETE"),
    ("/{endpoint_id:endpoint}/rotate", webhooks.rotate, "POST"),
    ("/{endpoint_id:endpoint}/deliveries", webhooks.deliveries),
    ("/{endpoint_id:endpoint}/replay", webhooks.replay_failed, "POST"),
)


class _Exchange:
    """An endpoint as the ASGI application that the router wants."""

    def __init__(self, platform: Platform, endpoint: Endpoint, access: Access) -> None:
        self._platform = platform
        self._endpoint = endpoint
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await exchange(self._platform, self._endpoint, self._access, scope, receive, send)


class _SubmitRoute(Declared):
    """A submission under any provider; `/api/v1/team/balance` and the like have the same form and are none."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if may_name_model(scope["path"]) else (Match.NONE, {})


def build(platform: Platform) -> Starlette:
    """The router behind the hot path; it knows the hot routes too, for their other methods.

    Raises `openapi.Undescribed` when a route is without its entry in the table of operations, or an entry has no route.
    """

    def route(path: str, endpoint: Endpoint, access: Access, *methods: str) -> Declared:
        return Declared(path, _Exchange(platform, endpoint, access), access, methods or ("GET",))

    document = Document()
    submit = _Exchange(platform, submit_task, Access.KEY)
    stream = _Exchange(platform, submit_and_stream, Access.KEY)
    app = Starlette(
        routes=[
            route("/api/v1/models", models.list_models, Access.KEY),
            route("/api/v1/models/{provider}/{model}", models.describe_model, Access.KEY),
            route("/api/v1/quote", models.quote, Access.KEY, "POST"),
            route("/api/v1/apikey/validate", account.validate_key, Access.PUBLIC),
            route("/api/v1/keys/leaked", leaks.report_leak, Access.PUBLIC, "POST"),
            route("/api/v1/team/balance", account.balance, Access.KEY),
            route("/api/v1/team/ledger", lists.statement, Access.KEY),
            route("/api/v1/team/usage", lists.usage, Access.KEY),
            route("/api/v1/logs", logs.list_calls, Access.KEY),
            route("/api/v1/tasks", lists.list_of_tasks, Access.KEY),
            route("/api/v1/media/files", uploads.list_files, Access.KEY),
            route("/api/v1/media/files", uploads.upload_file, Access.KEY, "POST"),
            route("/api/v1/media/files/{file_id}", uploads.delete_file, Access.KEY, "DELETE"),
            route("/api/v1/tasks/{task_id}", read_task, Access.KEY),
            route("/api/v1/tasks/{task_id}/stream", stream_task, Access.KEY),
            route("/api/v1/tasks/{task_id}/cancel", cancel_task, Access.KEY, "POST"),
            route("/api/v1/tasks/{task_id}/result", delete_task_result, Access.KEY, "DELETE"),
            *(_SubmitRoute(path, submit, Access.KEY, ["POST"]) for path in _SUBMIT_PATHS),
            *(_SubmitRoute(path, stream, Access.KEY, ["POST"]) for path in _STREAM_PATHS),
            *(
                route(f"/api/v1/webhooks{path}", endpoint, Access.KEY, *methods)
                for path, endpoint, *methods in _WEBHOOKS
            ),
            Declared("/callbacks/{upstream}/{token}", CallbackEndpoint(platform), Access.LINK, ["POST"]),
            route("/api/v1/openapi.json", document.openapi, Access.PUBLIC),
            route("/healthz", healthy, Access.PUBLIC),
            route("/readyz", ready, Access.PUBLIC),
            Declared("/results/{task_id}/{name}", ResultFileEndpoint(platform), Access.LINK, ["GET"]),
            Declared("/files/{name}", InputFileEndpoint(platform), Access.LINK, ["GET"]),
            Declared("/samples/{name}", sample_file, Access.PUBLIC, ["GET"]),
        ],
        exception_handlers={HTTPException: _refuse},
    )
    app.router.redirect_slashes = False
    document.write(app.routes, platform.catalogue, platform.settings.public_origin)
    return app


async def _refuse(request: StarletteRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith("/api"):
        headers = {**(error.headers or {}), "Content-Security-Policy": CLOSED}
        return PlainTextResponse(error.detail, error.status_code, headers)
    if error.status_code == 405:
        message = f"Invalid parameters: method {request.method} is not allowed here"
    else:
        message = "Resource not found: no such route"
    allowed = {method for route in request.app.routes if _fits(route, request) for method in route.methods}
    allow = [(b"allow", ", ".join(sorted(allowed)).encode())] if error.status_code == 405 else []
    reply = refusal(error.status_code, message, allow, None)
    response = Response(reply.body, reply.status)
    response.raw_headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    return response


def _fits(route: Any, request: StarletteRequest) -> bool:
    """Whether a route has the path that is asked for; a path with several methods may have several routes."""
    return route.matches(request.scope)[0] is not Match.NONE


async def cancel_task(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`POST /tasks/{task_id}/cancel`: end a task if nothing has to be paid for it."""
    caller, verdict = await admit(platform, request, trail)
    name = request.params["task_id"]
    if await cancel(platform.db, question(caller, name)):
        return success_of({"status": "failed", "task_id": name}, verdict)
    return success_of({"status": "pending", "task_id": name, "cancel": "requested"}, verdict)


async def delete_task_result(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`DELETE /tasks/{task_id}/result`: files, links and the public answer go now, not when they expire."""
    caller, verdict = await admit(platform, request, trail)
    name = request.params["task_id"]
    asked = question(caller, name)
    await delete_result(platform.db, platform.storage, asked)
    platform.finished.pop(asked.task_id, None)
    return success_of({"task_id": name, "deleted": True}, verdict)


async def healthy(_platform: Platform, _request: Request, _trail: RequestContext) -> Reply:
    """`GET /healthz`: the process answers."""
    return success_of({"status": "ok"}, None)


async def ready(platform: Platform, _request: Request, _trail: RequestContext) -> Reply:
    """`GET /readyz`: the database answers too, so that submissions can be accepted, and this process stays."""
    if platform.draining.is_set():
        raise Unavailable("this process is about to end", retry_after_s=1)
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            await platform.db.fetchval("select 1")
    except UNREACHABLE:
        raise Unavailable("the database cannot be reached", retry_after_s=1) from None
    return success_of({"status": "ready"}, None)
