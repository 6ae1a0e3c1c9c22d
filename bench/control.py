"""The control: a bare ASGI proxy that passes a request on with aiohttp and does nothing else, and its upstream.

`python -m bench.control upstream PORT` answers every request at once with a fixed JSON of a submission's size;
`python -m bench.control proxy PORT UPSTREAM_PORT` passes POSTs through to it. Both run on uvicorn with httptools and
uvloop, and with the garbage collector of `modellix-server serve`. This is fixed here, whatever `serve` runs on, so that
a ratio to the control means the same in every release.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
import uvicorn
import uvloop

from modellix_server.base.process import die_with_parent

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ANSWER = (
    b'{"code":0,"message":"success","data":{"status":"pending","task_id":"task-019ab0c4d6a07d1c8e6f3b2a1c0d9e8f",'
    b'"model_id":"qwen-image-plus","duration":1,"get_result":{"method":"GET","url":"http://127.0.0.1:8000/api/v1/'
    b'tasks/task-019ab0c4d6a07d1c8e6f3b2a1c0d9e8f"}}}'
)
_JSON = (b"content-type", b"application/json")
_SERVER: dict[str, Any] = {
    "http": "httptools",
    "lifespan": "off",
    "ws": "none",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "proxy_headers": False,
    "timeout_keep_alive": 75,
    "backlog": 4096,
}


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _upstream(_scope: Scope, receive: Receive, send: Send) -> None:
    await _body(receive)
    await _answer(send, 200, _ANSWER)


def _proxy(session: aiohttp.ClientSession, origin: str) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":  # whether we are up
            await _answer(send, 200, b"{}")
            return
        body = await _body(receive)
        passed = {name.decode(): value.decode() for name, value in scope["headers"] if name != b"host"}
        async with session.post(origin + scope["path"], data=body, headers=passed) as answer:
            await _answer(send, answer.status, await answer.read())

    return app


async def _main(role: str, port: int, upstream_port: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app = _upstream if role == "upstream" else _proxy(session, f"http://127.0.0.1:{upstream_port}")
        server = uvicorn.Server(uvicorn.Config(app, **_SERVER, host="127.0.0.1", port=port))
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        await server.serve()


if __name__ == "__main__":
    die_with_parent(os.getppid())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
