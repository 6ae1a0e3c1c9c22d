"""Routes about webhooks: a team's endpoints, their secrets, and deliveries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from modellix_server.api.dispatch import Request
from modellix_server.api.parsing import from_iso, members, read_json, within
from modellix_server.base.errors import InvalidFormat, InvalidParameters, MissingParameter, NotFound, OutOfRange
from modellix_server.base.ids import task_name
from modellix_server.base.money import MICROS_PER_USD, usd_number
from modellix_server.operations import webhooks
from modellix_server.webhooks import AlertChoice, Delivery, Endpoint, message_name

_ENDPOINT, _MESSAGE = re.compile(r"we_([0-9a-f]{32})", re.ASCII), re.compile(r"msg_([0-9a-f]{32})", re.ASCII)
_USUAL_LIMIT, _MOST_LIMIT = 50, 200
_MOST_USD = 1_000_000


async def list_endpoints(request: Request) -> Response:
    """`GET /webhooks`: all endpoints."""
    found = await webhooks.list_all(request.ctx, request.who, request.who.team)
    return request.success({"endpoints": [_public(one) for one in found]})


async def create_endpoint(request: Request) -> Response:
    """`POST /webhooks` with `{"url": …, "alerts": …}`: a new one, and its secret, shown once."""
    given = await _body(request, {"url": str, "alerts": dict})
    if "url" not in given:
        raise MissingParameter("parameter 'url' is required")
    alerts = _alerts(given.get("alerts", {}))
    made, secret = await webhooks.create(request.ctx, request.who, request.who.team, given["url"], alerts)
    return request.success({**_public(made), "secret": secret})


async def find_endpoint(request: Request) -> Response:
    """`GET /webhooks/{endpoint_id}`."""
    return request.success(_public(await webhooks.find(request.ctx, request.who, request.who.team, _endpoint(request))))


async def change_endpoint(request: Request) -> Response:
    """`PATCH /webhooks/{endpoint_id}` with some of `url`, `enabled`, `alerts`."""
    endpoint_id = _endpoint(request)
    given = await _body(request, {"url": str, "enabled": bool, "alerts": dict})
    if "alerts" in given:
        given["alerts"] = _alerts(given["alerts"])
    return request.success(
        _public(await webhooks.change(request.ctx, request.who, request.who.team, endpoint_id, **given))
    )


async def delete_endpoint(request: Request) -> Response:
    """`DELETE /webhooks/{endpoint_id}`."""
    await webhooks.delete(request.ctx, request.who, request.who.team, _endpoint(request))
    return request.success({"id": request.path_params["endpoint_id"], "deleted": True})


async def rotate(request: Request) -> Response:
    """`POST /webhooks/{endpoint_id}/rotate`: a new secret; the former one also signs for a day."""
    secret = await webhooks.rotate(request.ctx, request.who, request.who.team, _endpoint(request))
    return request.success({"id": request.path_params["endpoint_id"], "secret": secret})


async def team_secret(request: Request) -> Response:
    """`GET /webhooks/secret`: what signs messages to links given in `X-Webhook-URL`."""
    return request.success({"secret": await webhooks.team_secret(request.ctx, request.who, request.who.team)})


async def rotate_team_secret(request: Request) -> Response:
    """`POST /webhooks/secret/rotate`: a new one; the former one also signs for a day."""
    return request.success({"secret": await webhooks.rotate(request.ctx, request.who, request.who.team, None)})


async def deliveries(request: Request) -> Response:
    """`GET /webhooks/deliveries` and `GET /webhooks/{endpoint_id}/deliveries`: what was sent, newest first."""
    endpoint_id = _endpoint(request) if "endpoint_id" in request.path_params else None
    limit = within(request.query_params, "limit", _USUAL_LIMIT, _MOST_LIMIT)
    found = await webhooks.deliveries(request.ctx, request.who, request.who.team, endpoint_id, limit=limit)
    return request.success({"deliveries": [_entry(one) for one in found]})


async def replay(request: Request) -> Response:
    """`POST /webhooks/deliveries/{message_id}/replay`: send one message again, under its own id."""
    name = request.path_params["message_id"]
    await webhooks.replay(request.ctx, request.who, request.who.team, _id(_MESSAGE, name, "delivery"))
    return request.success({"id": name, "replayed": 1})


async def replay_failed(request: Request) -> Response:
    """`POST /webhooks/{endpoint_id}/replay`, optionally with `{"since": …}`: send again what has failed."""
    endpoint_id = _endpoint(request)
    given = await _body(request, {"since": str})
    since = _moment(given["since"]) if "since" in given else None
    count = await webhooks.replay_failed(request.ctx, request.who, request.who.team, endpoint_id, since)
    return request.success({"id": request.path_params["endpoint_id"], "replayed": count})


async def _body(request: Request, known: Mapping[str, type]) -> dict[str, Any]:
    """The object of a body, empty when there is none. Raises what a submission raises for the same faults."""
    return members(await read_json(request, "a request about webhooks is short", empty={}), known)


def _alerts(given: dict[str, Any]) -> AlertChoice:
    """`{"balance_below": 5, "budgets": true}`, each of which may be left out. Raises InvalidParameters, OutOfRange."""
    below = given.pop("balance_below", None)
    if below is not None and (isinstance(below, bool) or not isinstance(below, int | float)):
        raise InvalidParameters("parameter 'alerts.balance_below' must be a number of USD, or null")
    if below is not None and not 0 < below <= _MOST_USD:
        raise OutOfRange(f"parameter 'alerts.balance_below' is more than 0 and at most {_MOST_USD} USD")
    micros = None if below is None else round(below * MICROS_PER_USD)
    return AlertChoice(micros, members(given, {"budgets": bool}).get("budgets", False))


def _endpoint(request: Request) -> UUID:
    return _id(_ENDPOINT, request.path_params["endpoint_id"], "endpoint")


def _id(form: re.Pattern[str], text: str, what: str) -> UUID:
    found = form.fullmatch(text)
    if found is None:
        raise NotFound(f"no such {what}")
    return UUID(hex=found[1])


def _moment(text: str) -> datetime:
    try:
        return from_iso(text)
    except ValueError:
        raise InvalidFormat("parameter 'since' must be a time in ISO 8601, such as 2026-11-25T08:00:00Z") from None


def _public(one: Endpoint) -> dict[str, Any]:
    below = one.alerts.balance_below
    return {
        "id": f"we_{one.id.hex}",
        "url": one.url,
        "enabled": one.disabled_at is None,
        "disabled_why": one.disabled_why,
        "failing_since": _iso(one.failing_since),
        "created_at": _iso(one.created_at),
        "alerts": {"balance_below": None if below is None else usd_number(below), "budgets": one.alerts.budgets},
    }


def _entry(one: Delivery) -> dict[str, Any]:
    return {
        "id": message_name(one.id),
        "task_id": task_name(one.task_id) if one.task_id else None,
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
