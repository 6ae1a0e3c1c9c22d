"""Requests that their clients send again by themselves: which attempts are one request (docs/adr/0031)."""

import asyncio

from modellix_server import tasks
from modellix_server.base import log
from modellix_server.operations.context import OUT_OF_REACH, ServingContext
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import Sending, SendingOutcome

_LOG = log.get("operations")


async def begin(ctx: ServingContext, who: Principal, digest: bytes, tried: int | None) -> Sending:
    """An attempt to send a request, with the idempotency key that all attempts of it share.

    `tried` is how often the client says that it was sent before; None if the client does not count.
    """
    who.require(Permission.USE_MODELS)
    return await tasks.begin_sending(ctx.db, who.team, digest, tried)


async def end(ctx: ServingContext, who: Principal, sending: Sending, outcome: SendingOutcome | None) -> None:
    """Note how an attempt ended; None forgets the request, which is not going to be sent again.

    What cannot be noted stays as it was, open, and is found all the same.
    """
    who.require(Permission.USE_MODELS)
    try:
        await asyncio.shield(tasks.end_sending(ctx.db, who.team, sending, outcome))
    except OUT_OF_REACH as error:
        _LOG.warning("the end of an attempt was not noted", error=type(error).__name__)
