"""The description of webhooks: the routes of a team's endpoints, and the message."""

from typing import Any

from modellix_server.openapi.answers import envelope
from modellix_server.openapi.operation import JSON, AnswerDoc, BodyDoc, RouteDoc
from modellix_server.openapi.parameters import header, query
from modellix_server.openapi.schemas import ENDPOINT_ID, MESSAGE_ID, NEW_ENDPOINT, SECRET, TASK_ID
from modellix_server.openapi.shapes import Schema, array, flag, moment, obj, only, or_null, ref, text, usd, whole, word

_BODY = (400, 408, 413, 415)
_URL = text("Public https on port 443", format="uri", pattern="^https://", maxLength=2048)
_ALERTS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "balance_below": or_null(usd("`balance.low` when less is available", minimum=0.000001, maximum=1_000_000)),
        "budgets": flag("`budget.threshold` at 80 % and 100 % of a budget"),
    },
    "examples": [{"balance_below": 5, "budgets": True}],
}
_DELIVERIES = AnswerDoc(obj(deliveries=array(ref("Delivery"))))
_LIMIT = query("limit", whole(minimum=1, maximum=200, default=50), "How many")
_BOTH_SIGN = "The former secret signs too for 24 hours."


def _closed(schema: Schema) -> Schema:
    return {**schema, "additionalProperties": False}


WEBHOOK_OPERATIONS = {
    "GET /api/v1/webhooks": RouteDoc(
        "listEndpoints", "Webhooks", "List the team's endpoints", AnswerDoc(obj(endpoints=array(ref("Endpoint"))))
    ),
    "POST /api/v1/webhooks": RouteDoc(
        "createEndpoint", "Webhooks", "Create an endpoint for all ended tasks", AnswerDoc(NEW_ENDPOINT),
        about="20 endpoints at most, in each mode.",
        body=BodyDoc(
            {**_closed(obj(url=_URL, maybe={"alerts": _ALERTS})), "examples": [{"url": "https://example.com/hook"}]}
        ),
        refuses=_BODY,
    ),
    "GET /api/v1/webhooks/secret": RouteDoc(
        "getSecret", "Webhooks", "The secret for `X-Webhook-URL`", AnswerDoc(obj(secret=SECRET))
    ),
    "POST /api/v1/webhooks/secret/rotate": RouteDoc(
        "rotateSecret", "Webhooks", "Rotate the secret for `X-Webhook-URL`", AnswerDoc(obj(secret=SECRET)),
        about=_BOTH_SIGN,
    ),
    "GET /api/v1/webhooks/deliveries": RouteDoc(
        "listDeliveries", "Webhooks", "List messages, newest first", _DELIVERIES, parameters=(_LIMIT,), refuses=(400,)
    ),
    "POST /api/v1/webhooks/deliveries/{message_id}/replay": RouteDoc(
        "replayMessage", "Webhooks", "Send one message again, under its own id",
        AnswerDoc(obj(id=MESSAGE_ID, replayed=only(1))),
        refuses=(404,),
    ),
    "GET /api/v1/webhooks/{endpoint_id}": RouteDoc(
        "getEndpoint", "Webhooks", "One endpoint", AnswerDoc(ref("Endpoint")), refuses=(404,)
    ),
    "PATCH /api/v1/webhooks/{endpoint_id}": RouteDoc(
        "changeEndpoint", "Webhooks", "Change the URL or the alerts of an endpoint, disable or enable it",
        AnswerDoc(ref("Endpoint")),
        body=BodyDoc(
            {
                **_closed({"type": "object", "properties": {"url": _URL, "enabled": flag(), "alerts": _ALERTS}}),
                "examples": [{"enabled": True}],
            },
            required=False,
        ),
        refuses=(*_BODY, 404),
    ),
    "DELETE /api/v1/webhooks/{endpoint_id}": RouteDoc(
        "deleteEndpoint", "Webhooks", "Delete an endpoint, with all its messages",
        AnswerDoc(obj(id=ENDPOINT_ID, deleted=only(value=True))),
        refuses=(404,),
    ),
    "POST /api/v1/webhooks/{endpoint_id}/rotate": RouteDoc(
        "rotateEndpoint", "Webhooks", "Rotate the secret of an endpoint",
        AnswerDoc(obj(id=ENDPOINT_ID, secret=SECRET)),
        about=_BOTH_SIGN,
        refuses=(404,),
    ),
    "GET /api/v1/webhooks/{endpoint_id}/deliveries": RouteDoc(
        "listDeliveriesOfEndpoint", "Webhooks", "List messages of an endpoint, newest first", _DELIVERIES,
        parameters=(_LIMIT,),
        refuses=(400, 404),
    ),
    "POST /api/v1/webhooks/{endpoint_id}/replay": RouteDoc(
        "replayEndpoint", "Webhooks", "Send failed messages again",
        AnswerDoc(obj(id=ENDPOINT_ID, replayed=whole("Messages", minimum=0))),
        body=BodyDoc(
            _closed({"type": "object", "properties": {"since": moment("Only newer messages; else all that are kept")}}),
            required=False,
        ),
        refuses=(*_BODY, 404),
    ),
}  # fmt: skip

_EVENTS = tuple(f"prediction.task.{what}" for what in ("succeeded", "failed", "canceled"))

_DELIVERED = {
    "2XX": {"description": "Delivered. Any other answer is retried"},
    "410": {"description": "An endpoint that answers so is disabled"},
}
_SIGNED = [
    header("webhook-id", MESSAGE_ID, "The same at every attempt"),
    header("webhook-timestamp", whole(), "Of this attempt, in Unix seconds"),
    header("webhook-signature", text(), "Over `id.timestamp.body`; one for each active secret"),
    header("X-Modellix-Delivery-ID", MESSAGE_ID, "Same as `webhook-id`"),
    header("X-Modellix-Retry-Count", whole(minimum=0), "Number of earlier attempts"),
]

TASK_ENDED: dict[str, Any] = {
    "post": {
        "operationId": "taskEnded",
        "tags": ["Webhooks"],
        "summary": "A task has ended",
        "description": "Sent to every endpoint of the team, and to the `X-Webhook-URL` of the submission: at least "
        "once, in no guaranteed order. Ten tries in three days. Signed according to Standard Webhooks.",
        "parameters": [
            *_SIGNED,
            header("X-Modellix-Event", word(_EVENTS), "How the task has ended"),
            header("X-Modellix-Task-ID", TASK_ID, "The task"),
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": envelope({"oneOf": [ref("SucceededTask"), ref("FailedTask")]}),
                }
            },
        },
        "responses": _DELIVERED,
        "security": [],
    }
}


def _alert(id_: str, event: str, summary: str, data: Schema) -> dict[str, Any]:
    body = obj(type=only(event), timestamp=moment("When it was noticed"), data=data)
    return {
        "post": {
            "operationId": id_,
            "tags": ["Webhooks"],
            "summary": summary,
            "description": "Sent once each time, to endpoints that want it (`alerts`); signed and retried as others.",
            "parameters": [*_SIGNED, header("X-Modellix-Event", only(event), "The type")],
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": _DELIVERED,
            "security": [],
        }
    }


_MODE = word(("live", "test"))
MESSAGES: dict[str, Any] = {
    "taskEnded": TASK_ENDED,
    "balanceLow": _alert(
        "balanceLow", "balance.low", "Less than the endpoint's `balance_below` is available",
        obj(mode=_MODE, available=usd("USD"), threshold=usd("USD")),
    ),
    "budgetThreshold": _alert(
        "budgetThreshold", "budget.threshold", "A budget of the team or of a key has reached 80 % or 100 %",
        obj(
            mode=_MODE,
            percent=whole("80 or 100; 100 also where a task did not fit into what is left"),
            budget=obj(
                of=word(("team", "key")), key_id=or_null(whole()), key_name=or_null(text()), tag=or_null(text()),
                amount=usd("USD in a period"), period=text("`none`, `daily`, `weekly` or `monthly`"),
                used=usd("Charged"), held=usd("By unfinished tasks"), resets_at=or_null(moment()),
            ),
        ),
    ),
}  # fmt: skip
"""The document's `webhooks`."""
