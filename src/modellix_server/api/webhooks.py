"""Routes about webhooks: a team's endpoints, their secrets, and what was sent there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from yarl import URL

from modellix_server import audit, webhooks
from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, success_of
from modellix_server.api.request import Request, read_small_body
from modellix_server.api.submit import decode
from modellix_server.api.timestamps import from_iso
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidFormat, InvalidParameters, MissingParameter, NotFound, OutOfRange
from modellix_server.base.ids import task_name
from modellix_server.base.team_mode import TeamMode
from modellix_server.catalogue import show
from modellix_server.limits import RateDecision
from modellix_server.webhooks import Delivery, Endpoint

_ENDPOINT, _MESSAGE = re.compile(r"we_([0-9a-f]{32})", re.ASCII), re.compile(r"msg_([0-9a-f]{32})", re.ASCII)
_USUAL_LIMIT, _MOST_LIMIT = 50, 200
_KEPT = timedelta(days=30)


async def endpoints(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /webhooks`: all endpoints. `POST /webhooks` with `{"url": …}`: a new one, and its secret, shown once."""
    purse, verdict = await _admit(platform, request, trail)
    if request.method != "POST":
        found = await webhooks.list_all(platform.db, purse)
        return success_of({"endpoints": [_public(one) for one in found]}, verdict)
    given = await _body(request, {"url": str})
    if "url" not in given:
        raise MissingParameter("parameter 'url' is required")
    settings = platform.settings
    async with _recorded(platform, request, trail, "webhook.create") as (db, about):
        made, secret = await webhooks.create(db, settings.keyring, purse, given["url"], settings.allow_networks)
        about |= {"endpoint": f"we_{made.id.hex}", "host": URL(made.url).host}
    return success_of({**_public(made), "secret": secret}, verdict)


async def endpoint(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET`, `PATCH` (`url`, `enabled`) and `DELETE /webhooks/{endpoint_id}`."""
    purse, verdict = await _admit(platform, request, trail)
    endpoint_id = _id(_ENDPOINT, request.params["endpoint_id"], "endpoint")
    if request.method == "DELETE":
        async with _recorded(platform, request, trail, "webhook.delete") as (db, about):
            await webhooks.delete(db, purse, endpoint_id)
        return success_of({"id": request.params["endpoint_id"], "deleted": True}, verdict)
    if request.method != "PATCH":
        return success_of(_public(await webhooks.find(platform.db, purse, endpoint_id)), verdict)
    given = await _body(request, {"url": str, "enabled": bool})
    url, enabled = given.get("url"), given.get("enabled")
    async with _recorded(platform, request, trail, "webhook.change") as (db, about):
        opened = platform.settings.allow_networks
        changed = await webhooks.change(db, purse, endpoint_id, opened, url=url, enabled=enabled)
        about |= {"enabled": changed.disabled_at is None, "host": URL(changed.url).host}
    return success_of(_public(changed), verdict)


async def rotate(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`POST /webhooks/{endpoint_id}/rotate`: a new secret; the former one signs beside it for a day."""
    purse, verdict = await _admit(platform, request, trail)
    endpoint_id = _id(_ENDPOINT, request.params["endpoint_id"], "endpoint")
    async with _recorded(platform, request, trail, "webhook.rotate") as (db, _):
        secret = await webhooks.rotate(db, platform.settings.keyring, purse, endpoint_id)
    return success_of({"id": request.params["endpoint_id"], "secret": secret}, verdict)


async def team_secret(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /webhooks/secret`: what signs messages to links given in `X-Webhook-URL`."""
    purse, verdict = await _admit(platform, request, trail)
    return success_of({"secret": await webhooks.team_secret(platform.db, platform.settings.keyring, purse)}, verdict)


async def rotate_team_secret(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`POST /webhooks/secret/rotate`: a new one; the former signs beside it for a day."""
    purse, verdict = await _admit(platform, request, trail)
    async with _recorded(platform, request, trail, "webhook.rotate") as (db, _):
        secret = await webhooks.rotate(db, platform.settings.keyring, purse, None)
    return success_of({"secret": secret}, verdict)


async def deliveries(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /webhooks/deliveries` and `GET /webhooks/{endpoint_id}/deliveries`: what was sent, newest first."""
    purse, verdict = await _admit(platform, request, trail)
    endpoint_id = None
    if "endpoint_id" in request.params:
        endpoint_id = _id(_ENDPOINT, request.params["endpoint_id"], "endpoint")
        await webhooks.find(platform.db, purse, endpoint_id)
    found = await webhooks.deliveries(platform.db, purse, endpoint_id, _limit(request.query))
    return success_of({"deliveries": [_entry(one) for one in found]}, verdict)


async def replay(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`POST /webhooks/deliveries/{message_id}/replay`: send one message again, under its own id."""
    purse, verdict = await _admit(platform, request, trail)
    name = request.params["message_id"]
    await webhooks.replay(platform.db, purse, _id(_MESSAGE, name, "delivery"))
    return success_of({"id": name, "replayed": 1}, verdict)


async def replay_failed(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`POST /webhooks/{endpoint_id}/replay`, optionally with `{"since": …}`: send again what has failed."""
    purse, verdict = await _admit(platform, request, trail)
    endpoint_id = _id(_ENDPOINT, request.params["endpoint_id"], "endpoint")
    given = await _body(request, {"since": str})
    since = _moment(given["since"]) if "since" in given else datetime.now(UTC) - _KEPT
    await webhooks.find(platform.db, purse, endpoint_id)
    count = await webhooks.replay_failed(platform.db, purse, endpoint_id, since)
    return success_of({"id": request.params["endpoint_id"], "replayed": count}, verdict)


async def _admit(platform: Platform, request: Request, trail: RequestContext) -> tuple[TeamMode, RateDecision]:
    caller, verdict = await admit(platform, request, trail)
    return TeamMode(caller.team_id, caller.live), verdict


@asynccontextmanager
async def _recorded(
    platform: Platform, request: Request, trail: RequestContext, action: str
) -> AsyncIterator[tuple[Connection, dict[str, Any]]]:
    """A transaction for a change, which ends with its entry in the audit log; the dictionary takes its details."""
    caller = trail.caller
    assert caller is not None
    about: dict[str, Any] = {"mode": "live" if caller.live else "test"}
    async with platform.db.acquire() as db, db.transaction():
        yield db, about
        actor = audit.Actor(f"key:{caller.key_id}", request.address or "unknown")
        subject = about.pop("endpoint", request.params.get("endpoint_id", f"team:{caller.team_id}"))
        await audit.record(db, actor, action, subject, team_id=caller.team_id, **about)


async def _body(request: Request, known: Mapping[str, type]) -> dict[str, Any]:
    """The object of a body, empty when there is none. Raises what a submission raises for the same faults."""
    body = await read_small_body(request, "a request about webhooks is short")
    given = decode(body) if body else {}
    if not isinstance(given, dict):
        raise InvalidFormat("the request body must be a JSON object")
    for name, value in given.items():
        if name not in known:
            raise InvalidParameters(f"unknown parameter {show(name)}; allowed: {', '.join(known)}")
        if not isinstance(value, known[name]):
            words = "true or false" if known[name] is bool else "a string"
            raise InvalidParameters(f"parameter '{name}' must be {words}, got {show(value)}")
    return given


def _id(form: re.Pattern[str], text: str, what: str) -> UUID:
    found = form.fullmatch(text)
    if found is None:
        raise NotFound(f"no such {what}")
    return UUID(hex=found[1])


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(_USUAL_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidFormat("parameter 'limit' must be a whole number")
    if not 1 <= int(text) <= _MOST_LIMIT:
        raise OutOfRange(f"parameter 'limit' must be from 1 to {_MOST_LIMIT}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        return from_iso(text)
    except ValueError:
        raise InvalidFormat("parameter 'since' must be a time in ISO 8601, such as 2026-11-25T08:00:00Z") from None


def _public(one: Endpoint) -> dict[str, Any]:
    return {
        "id": f"we_{one.id.hex}",
        "url": one.url,
        "enabled": one.disabled_at is None,
        "disabled_why": one.disabled_why,
        "failing_since": _iso(one.failing_since),
        "created_at": _iso(one.created_at),
    }


def _entry(one: Delivery) -> dict[str, Any]:
    return {
        "id": webhooks.message_name(one.id),
        "task_id": task_name(one.task_id),
        "endpoint_id": f"we_{one.endpoint_id.hex}" if one.endpoint_id else None,
        "url": one.url,
        "event": one.event,
        "status": one.state,
        "created_at": _iso(one.created_at),
        "next_try_at": _iso(one.due_at),
        "attempts": [
            {"at": _iso(attempt.at), "status": attempt.status, "error": attempt.error, "took_ms": attempt.took_ms}
            for attempt in one.attempts
        ],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
