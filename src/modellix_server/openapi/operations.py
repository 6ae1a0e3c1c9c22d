"""The description of each route: one entry per method, and every entry has its route.

`document.describe` joins this table with the router's routes, and fails at start when they do not match.
"""

from modellix_server import budgets, ledger, tasks
from modellix_server.openapi.openai_api import OPENAI_OPERATIONS
from modellix_server.openapi.operation import AnswerDoc, BodyDoc, RouteDoc
from modellix_server.openapi.parameters import (
    FORMAT,
    FROM_TO,
    LAST_EVENT_ID,
    OF_A_KEY,
    OF_A_MODEL,
    OF_A_SUBMISSION,
    PAGE,
    query,
)
from modellix_server.openapi.schemas import CURSOR, FILE_ID, MODEL, STATUSES, TASK_ID
from modellix_server.openapi.shapes import (
    ANYTHING,
    array,
    flag,
    link,
    moment,
    obj,
    only,
    or_null,
    ref,
    text,
    usd,
    whole,
    word,
)
from modellix_server.openapi.webhooks import WEBHOOK_OPERATIONS

_CSV = text("A header line, then one line per row; columns as in the JSON")
_JSONL = text("One line per row, a JSON object as in the list")
_SAVED_AS = {"Content-Disposition": {"description": "The file name of the download", "schema": text()}}
_TAGGED = {"ETag": {"description": "For `If-None-Match`", "required": True, "schema": text()}}
_SMALL_BODY = (400, 408, 413, 415)
_SUBMISSION = (400, 402, 404, 408, 413, 415, 422)

ACCEPTED = AnswerDoc(
    ref("AcceptedTask"),
    about="Accepted: the task is queued or runs",
    component="AcceptedTask",
    headers={
        "Idempotency-Replayed": {"description": "This task was created by an earlier request", "schema": only("true")}
    },
    links={"task": {"operationId": "getTask", "parameters": {"task_id": "$response.body#/data/task_id"}}},
)
_STREAM = AnswerDoc(
    ref("Event"),  # of one event: OpenAPI 3.1 cannot describe a stream, and tools read the schema in this way
    bare=True,
    mime="text/event-stream",
    about="Server-sent events of this form until the task has ended; comments keep the connection open",
)
_ANY_MODEL = BodyDoc(
    {
        "type": "object",
        "description": "The model's parameters: see the operation of the model",
        "examples": [{"prompt": "A cat in a garden"}],
    }
)


def _listing(name: str, row: str) -> AnswerDoc:
    """The answer of a list: pages, or a download."""
    page = obj(**{name: array(ref(row))}, next_cursor=CURSOR)
    return AnswerDoc(page, also={"text/csv": _CSV, "application/jsonl": _JSONL}, headers=_SAVED_AS)


def _submission(id_: str, summary: str, answer: AnswerDoc) -> RouteDoc:
    """A submission of any model."""
    return RouteDoc(id_, "Tasks", summary, answer, parameters=OF_A_SUBMISSION, body=_ANY_MODEL, refuses=_SUBMISSION)


TYPED_SUBMISSION = _submission("submit", "Submit a task", ACCEPTED)
"""Repeated for each model with its own description: see `document`."""

_TASKS = {
    "POST /api/v1/{type}/{provider}/{model}/async": TYPED_SUBMISSION,
    "POST /api/v1/{provider}/{model}/async": _submission("submitShort", "Submit a task, without its type", ACCEPTED),
    "POST /api/v1/{provider}/{model}": _submission("submitShortest", "Submit a task, in the shortest form", ACCEPTED),
    "POST /api/v1/{type}/{provider}/{model}/stream": _submission(
        "submitAndFollow", "Submit a task and follow it by events", _STREAM
    ),
    "POST /api/v1/{provider}/{model}/stream": _submission(
        "submitAndFollowShort", "Submit a task, without its type, and follow it by events", _STREAM
    ),
    "GET /api/v1/tasks": RouteDoc(
        "listTasks", "Tasks", "List the team's tasks, newest first", _listing("tasks", "ListedTask"),
        parameters=(
            query("status", word(STATUSES), "How they are"), OF_A_MODEL, OF_A_KEY, *FROM_TO, *PAGE,
        ),
        refuses=(400,),
    ),
    "GET /api/v1/tasks/{task_id}": RouteDoc(
        "getTask", "Tasks", "Status of a task, and its result when there is one", AnswerDoc(ref("Task")),
        parameters=(
            query(
                "wait",
                {"anyOf": [whole(minimum=0, maximum=tasks.LONGEST_WAIT_S), only("true")]},
                "Answer when the task has ended, or with its status after so many seconds; `true` means 10",
            ),
        ),
        refuses=(400, 404),
    ),
    "GET /api/v1/tasks/{task_id}/stream": RouteDoc(
        "followTask", "Tasks", "Follow a task by events", _STREAM,
        parameters=(LAST_EVENT_ID,),
        refuses=(404,),
        empty={204: "The client already has the last event: there is no need to reconnect"},
    ),
    "POST /api/v1/tasks/{task_id}/cancel": RouteDoc(
        "cancelTask", "Tasks", "End a task that costs nothing yet",
        AnswerDoc(
            {
                "oneOf": [
                    obj("It is canceled", status=only("failed"), task_id=TASK_ID),
                    obj("Not decided yet", status=only("pending"), task_id=TASK_ID, cancel=only("requested")),
                ]
            }
        ),
        about="Always succeeds before the vendor has the task, and later if the vendor stops it. 409: the task runs on "
        "and is charged as delivered.",
        refuses=(404, 409),
    ),
    "DELETE /api/v1/tasks/{task_id}/result": RouteDoc(
        "deleteResult", "Tasks", "Delete what an ended task delivered",
        AnswerDoc(obj(task_id=TASK_ID, deleted=only(value=True))),
        about="Files, links and the public answer are deleted now. Task and charge stay on record.",
        refuses=(404, 409),
    ),
}  # fmt: skip

_MODELS = {
    "GET /api/v1/models": RouteDoc(
        "listModels", "Models", "List the models",
        AnswerDoc(obj(models=array(ref("Model"))), beside={"models": array(ref("Model"), "As in `data`")}),
        parameters=(
            query("type", text(), "Of one type, such as `text-to-image`"),
            query("provider", text(), "Of one provider"),
            query("category", text(), "`image` or `video`: what they make"),
            query("featured", flag(), "`true`: the few to begin with; `false`: the others"),
            query("page_size", whole(minimum=1, maximum=999_999), "Models per page, 100 if only `page` is given"),
            query("page", whole(minimum=1, maximum=999_999, default=1), "Number of the page"),
        ),
        refuses=(400,),
    ),
    "GET /api/v1/models/{provider}/{model}": RouteDoc(
        "getModel", "Models", "One model: its body's schema, its prices, an example", AnswerDoc(ref("ModelDetails")),
        refuses=(404,),
    ),
    "GET /api/v1/models/{provider}/{model}/api_schema": RouteDoc(
        "getModelApiSchema", "Models", "The submission of one model in OpenAPI, without references",
        AnswerDoc(
            obj(
                servers=array(obj(url=link("Where a task is submitted"))),
                post={"type": "object", "description": "An operation of OpenAPI 3.1", **ANYTHING},
            ),
            bare=True,
            headers=_TAGGED,
        ),
        empty={304: "Not modified"},
        refuses=(404,),
        public=True,
    ),
    "POST /api/v1/quote": RouteDoc(
        "getQuote", "Models", "What a task would hold, and can cost at most", AnswerDoc(ref("Quote")),
        body=BodyDoc(
            {
                **obj(model=MODEL, input={"type": "object", "description": "The body of a submission"}),
                "additionalProperties": False,
                "examples": [{"model": "alibaba/qwen-image-plus", "input": {"prompt": "A cat in a garden"}}],
            }
        ),
        refuses=(*_SMALL_BODY, 404),
    ),
}  # fmt: skip

_NAMES = {**array(text()), "type": ["array", "null"]}
_BUDGET = or_null(
    obj(
        "Null without a budget",
        amount=usd(), period=word(budgets.PERIODS, "When it starts again, in UTC"),
        used=usd("Charged in this period"), held=usd("By unfinished tasks"), left=usd(),
        resets_at=or_null(moment()),
    )
)  # fmt: skip

_ACCOUNT = {
    "GET /api/v1/key": RouteDoc(
        "getKey", "Account", "What the key itself may do, and what it has spent",
        AnswerDoc(
            obj(
                id=whole(), name=text(), tag=or_null(text("A label of keys that belong together")),
                mode=word(("live", "test")), looks_like=text("Its first and last characters"),
                created_at=moment(), expires_at=or_null(moment()),
                models={**_NAMES, "description": "What it may use, beside the models of `types`; null: every model"},
                types={**_NAMES, "description": "Types of models of which it may use all; null: every model"},
                limits=obj(
                    requests_per_minute=whole(), team_requests_per_minute=whole("Of all keys of the team"),
                    team_running_tasks=whole("Unfinished tasks of the team at a time"),
                ),
                budget=_BUDGET, team_budget=_BUDGET,
            )
        ),
    ),
    "GET /api/v1/team/balance": RouteDoc(
        "getBalance", "Account", "The available balance, in the key's mode", AnswerDoc(obj(balance=usd("USD"))),
    ),
    "GET /api/v1/team/ledger": RouteDoc(
        "listTransfers", "Account", "List every transfer of money, newest first", _listing("ledger", "Transfer"),
        parameters=(
            query("kind", word(ledger.KINDS), "Of one kind"),
            query("task_id", TASK_ID, "Of one task"),
            {**OF_A_KEY, "description": "Charges of this key only"},
            query("tag", text(maxLength=200, pattern="^[^\\u0000]*$"), "Charges of keys with this tag only"),
            *FROM_TO, *PAGE,
        ),
        refuses=(400,),
    ),
    "GET /api/v1/team/usage": RouteDoc(
        "getUsage", "Account", "Number and cost of ended tasks, in groups",
        AnswerDoc(
            obj(
                by=word(tasks.SUM_GROUPS), usage=array(ref("Usage")), total=usd("USD"),
                as_of=or_null(moment("What ended later is not in it yet")),
            ),
            also={"text/csv": _CSV, "application/jsonl": _JSONL},
            headers=_SAVED_AS,
        ),
        parameters=(
            query("by", {**word(tasks.SUM_GROUPS), "default": "day"}, "Grouping"), *FROM_TO, FORMAT,
        ),
        refuses=(400,),
    ),
    "GET /api/v1/logs": RouteDoc(
        "listCalls", "Account", "List every request to the API, newest first", _listing("logs", "Call"),
        about="With a selective filter a page may be short and still have a next one.",
        parameters=(
            query(
                "status",
                text(pattern="^([2-5][0-9]{2}|[2-5]xx|refused)$", examples=["404", "4xx", "refused"]),
                "An HTTP status, a class of them (`4xx`), or `refused` for 400 and above",
            ),
            OF_A_MODEL, OF_A_KEY, query("task_id", TASK_ID, "The submission of one task, its reads, its end"),
            query("request_id", text(), "`X-Request-Id` of the answer"), *FROM_TO, *PAGE,
        ),
        refuses=(400,),
    ),
    "GET /api/v1/apikey/validate": RouteDoc(
        "validateKey", "Account", "Whether the key is valid", AnswerDoc(obj(is_valid=flag())),
        about="Always 200, also with an invalid key or without one.",
        refuses=(503,),
        public=True,
        knows_key=True,
    ),
    "POST /api/v1/keys/leaked": RouteDoc(
        "reportLeakedKeys", "Account", "Revoke leaked API keys",
        AnswerDoc(obj(received=whole("Keys in the report, known or not", minimum=0))),
        about="Needs no proof but the key itself. At most 100 keys per report, 30 reports a minute from one address.",
        body=BodyDoc(
            {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"key": ref("Leak"), "keys": array(ref("Leak"), maxItems=100)},
                        "additionalProperties": False,
                        "minProperties": 1,
                    },
                    array(ref("Leak"), maxItems=100),
                ],
                "examples": [{"key": "mdlx-…"}, [{"token": "mdlx-…", "url": "https://example.com/where"}]],
            }
        ),
        refuses=(*_SMALL_BODY, 503),
        public=True,
    ),
}  # fmt: skip

_FILES = {
    "GET /api/v1/media/files": RouteDoc(
        "listFiles", "Files", "List the team's uploads, newest first",
        AnswerDoc(obj(files=array(ref("File")), next_cursor=CURSOR)),
        parameters=(
            query("limit", whole(minimum=1, maximum=100, default=100), "Files a page"),
            query("cursor", FILE_ID, "`next_cursor` of the page before"),
        ),
        refuses=(400,),
    ),
    "POST /api/v1/media/files": RouteDoc(
        "uploadFile", "Files", "Upload an image, video or audio file", AnswerDoc(ref("File")),
        about="To be used as a model's input by its `file_id` or `url`. Images and audio of at most 32 MB, video of "
        "200 MB; kept for 7 days, unless the operator says otherwise.",
        body=BodyDoc(
            {**obj(file={"contentMediaType": "application/octet-stream"}), "additionalProperties": False},
            mime="multipart/form-data",
        ),
        refuses=_SMALL_BODY,
    ),
    "DELETE /api/v1/media/files/{file_id}": RouteDoc(
        "deleteFile", "Files", "Delete an upload",
        AnswerDoc(obj(file_id=FILE_ID, deleted=only(value=True))),
        about="Link and id stop working at once, the bytes are removed within 72 hours.",
        refuses=(404,),
    ),
}  # fmt: skip

_HEALTH = {
    "GET /healthz": RouteDoc(
        "getHealth", "Health", "The process answers", AnswerDoc(obj(status=only("ok"))), public=True,
    ),
    "GET /readyz": RouteDoc(
        "getReadiness", "Health", "The process takes requests, and its database answers",
        AnswerDoc(obj(status=only("ready"))), refuses=(503,), public=True,
    ),
    "GET /api/v1/openapi.json": RouteDoc(
        "getOpenApi", "Health", "The OpenAPI document",
        AnswerDoc(
            {"type": "object", "description": "OpenAPI 3.1", **ANYTHING},
            bare=True,
            headers=_TAGGED,
        ),
        empty={304: "Not modified"},
        public=True,
    ),
}  # fmt: skip

OPERATIONS: dict[str, RouteDoc] = (
    _TASKS | _MODELS | _ACCOUNT | _FILES | WEBHOOK_OPERATIONS | OPENAI_OPERATIONS | _HEALTH
)
"""`METHOD /path` -> its description."""
