"""Where vendors call when a task has changed. A hint to poll: nothing in the call is trusted."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from modellix_server.api.context import ApiContext
from modellix_server.base.errors import PlatformError
from modellix_server.base.json_body import without_mark
from modellix_server.operations.context import OUT_OF_REACH

_MOST_BYTES = 64 * 1024
_LONGEST_CHALLENGE = 512
_TIMEOUT_S = 5.0  # vendors wait for 3 to 5 seconds
_ACKNOWLEDGED = b"{}"


class _Challenge(msgspec.Struct):
    challenge: str


async def vendor_callback(request: Request) -> Response:
    """`POST /callbacks/{upstream}/{token}`: the same answer to everybody, except to a vendor's challenge."""
    answer = _ACKNOWLEDGED
    with contextlib.suppress(ClientDisconnect, TimeoutError, PlatformError):  # the last: a coding that is not decoded
        async with asyncio.timeout(_TIMEOUT_S):
            answer = await _answer(request.app.state.ctx, request)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(answer, 200, headers, "application/json")


async def _answer(ctx: ApiContext, request: Request) -> bytes:
    signal = ctx.callbacks.read(request.path_params["upstream"], request.path_params["token"])
    if signal is None:
        return _ACKNOWLEDGED
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return _ACKNOWLEDGED
    # MiniMax sends a challenge first, and calls only who sends it back within 3 seconds.
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        asked = msgspec.json.decode(without_mark(bytes(body)), type=_Challenge)
        if len(asked.challenge) <= _LONGEST_CHALLENGE:
            return msgspec.json.encode(asked)
    with contextlib.suppress(*OUT_OF_REACH):  # polling continues without it
        await ctx.callback_notifier.notify(signal)
    return _ACKNOWLEDGED
