"""Where the payment provider says that something is new about a payment. Only its signature counts."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from modellix_server.api.context import ApiContext
from modellix_server.base import log
from modellix_server.base.errors import PlatformError
from modellix_server.operations import recharges
from modellix_server.operations.context import OUT_OF_REACH
from modellix_server.operations.principal import anybody

_MOST_BYTES = 256 * 1024
_LOG = log.get("payments")


async def payment_event(request: Request) -> Response:
    """`POST /payments/stripe/events`: 204 once it was acted on; the provider sends it again after anything else."""
    ctx: ApiContext = request.app.state.ctx
    who = anybody(request.client.host if request.client else "unknown")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                return _answer(413, "too large")
        await recharges.receive_event(ctx, who, bytes(body), request.headers.get("stripe-signature", ""))
    except ClientDisconnect:
        return _answer(400, "incomplete")
    except PlatformError as error:
        _LOG.warning("a payment event was not acted on", error=error.code)
        return _answer(error.status, error.detail)
    except OUT_OF_REACH as error:
        _LOG.warning("a payment event was not acted on", error=type(error).__name__)
        return _answer(503, "try again")
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def _answer(status: int, words: str) -> Response:
    return PlainTextResponse(words, status, {"Cache-Control": "no-store"})
