"""Routes about the caller: its key and its team's money."""

from __future__ import annotations

from modellix_server import ledger
from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, success_of
from modellix_server.api.request import Request
from modellix_server.base.errors import Unauthorized
from modellix_server.base.money import usd_number


async def validate_key(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /apikey/validate`: always HTTP 200; its clients take anything else for a broken connection."""
    try:
        caller = await platform.callers.authenticate(request.authorization)
    except Unauthorized:
        return success_of({"is_valid": False}, None)
    trail.caller = caller
    trail.verdict = platform.windows.take(caller)  # counted, never refused
    return success_of({"is_valid": True}, trail.verdict)


async def balance(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /team/balance`: what a new task may cost, in USD, of the key's mode."""
    caller, verdict = await admit(platform, request, trail)
    available = (await ledger.balance(platform.db, caller.team_id, live=caller.live)).available
    return success_of({"balance": usd_number(available)}, verdict)
