"""Where vendors call when a task has changed. Nothing they say is believed: it makes us ask."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from modellix_server.api.platform import Platform
from modellix_server.api.request import Receive, Scope, Send
from modellix_server.base.database import UNREACHABLE
from modellix_server.tasks import CallbackNotifier, Callbacks

_MOST_BYTES = 64 * 1024
_LONGEST_CHALLENGE = 512
_TIMEOUT_S = 5.0  # vendors wait for 3 to 5 seconds
_ACKNOWLEDGED = b"{}"


class _Challenge(msgspec.Struct):
    challenge: str


class CallbackEndpoint:
    """`POST /callbacks/{upstream}/{token}`: the same answer for everybody, but for a vendor's question who we are."""

    def __init__(self, platform: Platform) -> None:
        self._callbacks = Callbacks(platform.settings)
        self._doorbell = CallbackNotifier(platform.db)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        answer = _ACKNOWLEDGED
        with contextlib.suppress(ClientDisconnect, TimeoutError):
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await self._answer(request)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        await Response(answer, 200, headers, "application/json")(scope, receive, send)

    async def _answer(self, request: Request) -> bytes:
        params = request.path_params
        nudge = self._callbacks.read(params["upstream"], params["token"])
        if nudge is None:
            return _ACKNOWLEDGED
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                return _ACKNOWLEDGED
        # MiniMax sends a challenge first, and calls only who sends it back within 3 seconds.
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            asked = msgspec.json.decode(body, type=_Challenge)
            if len(asked.challenge) <= _LONGEST_CHALLENGE:
                return msgspec.json.encode(asked)
        with contextlib.suppress(*UNREACHABLE):  # polling goes on without it
            await self._doorbell.ring(nudge)
        return _ACKNOWLEDGED
