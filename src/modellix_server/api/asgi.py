"""The ASGI application: submissions and status reads take a short cut past the router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from modellix_server.api import routes
from modellix_server.api.events import submit_and_stream
from modellix_server.api.exchange import Endpoint, exchange
from modellix_server.api.platform import Platform
from modellix_server.api.request import Receive, Scope, Send
from modellix_server.api.status import read_task
from modellix_server.api.submit import may_name_model, submit_task
from modellix_server.openapi.access import Access

_API = "/api/v1/"
_TASKS = "/api/v1/tasks/"

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_app(platform: Platform) -> App:
    """The application of one API process."""
    rest = routes.build(platform)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if endpoint := _hot(scope):
            await exchange(platform, endpoint, Access.KEY, scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


def _hot(scope: Scope) -> Endpoint | None:
    """The endpoint of a submission or a status read: both are for callers with a key."""
    if scope["type"] != "http" or not (path := scope["path"]).startswith(_API):
        return None
    method = scope["method"]
    if method == "GET" and path.startswith(_TASKS):
        return None if "/" in path[len(_TASKS) :] else read_task
    if method == "POST" and may_name_model(path):
        return submit_and_stream if path.endswith("/stream") else submit_task
    return None
