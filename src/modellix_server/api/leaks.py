"""`POST /keys/leaked`: whoever finds an API key in the open ends it.

Who sends a whole key has shown all the proof there is: with it they could spend the team's money, so being
able to end it adds nothing to what they can do. No signature of a scanner is asked for. The answer is the same
for a key that exists and one that does not; `GET /apikey/validate` tells the holder of a key no less.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from modellix_server import audit, identity
from modellix_server.api.exchange import RequestContext
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, success_of
from modellix_server.api.request import Request, read_small_body
from modellix_server.api.submit import decode
from modellix_server.base.errors import InvalidFormat, InvalidParameters

_MOST = 100
_SHAPES = (
    "the body is an object with 'key' or 'keys', a list of keys, or a list of objects with 'token' as secret "
    "scanners send it"
)


async def report_leak(platform: Platform, request: Request, _trail: RequestContext) -> Reply:
    """End the keys that were found, whatever their mode; at most 100 in one request."""
    platform.reports.take(_network(request.address))
    body = await read_small_body(request, f"a report has at most {_MOST} keys")
    found = _found(decode(body))
    if len(found) > _MOST:
        raise InvalidParameters(f"a report has at most {_MOST} keys, got {len(found)}")
    async with platform.db.acquire() as db, db.transaction():
        ended = await identity.revoke_leaked(db, platform.settings.secret, list(found))
        for text, key in ended:
            actor = audit.Actor("leak report", request.address or "unknown")
            about = {"name": key.name, "mode": "live" if key.live else "test", "found_at": found[text]}
            await audit.record(db, actor, "key.leaked", f"key:{key.id}", team_id=key.team_id, **about)
    if ended:
        platform.callers.heard("")  # here at once; the other processes hear of it from the database
    return success_of({"received": len(found)}, None)


def _found(body: Any) -> dict[str, str | None]:
    """The reported texts, and where each was found if the reporter says so; InvalidFormat for other bodies."""
    if isinstance(body, dict) and body.keys() <= {"key", "keys"} and body:
        reports = [*([body["key"]] if "key" in body else []), *_list(body.get("keys", []))]
    else:
        reports = _list(body)
    found: dict[str, str | None] = {}
    for report in reports:
        match report:
            case str():
                found[report] = None
            case {"token": str(text), **about}:
                place = about.get("url")
                found[text] = place[:500] if isinstance(place, str) else None
            case _:
                raise InvalidFormat(_SHAPES)
    return found


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidFormat(_SHAPES)
    return value


def _network(address: str | None) -> str:
    """Whose reports count together: an IPv4 address, or the /64 of an IPv6 one, which is one subscriber's."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if parsed.version == 4 or parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped if parsed.version == 6 else parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
