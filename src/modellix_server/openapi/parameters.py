"""Parameters in a request's path, query and headers."""

import re
from typing import get_args

from modellix_server.base.pages import MOST_A_PAGE
from modellix_server.catalogue import ModelType
from modellix_server.openapi.schemas import ENDPOINT_ID, FILE_ID, KEY_ID, MESSAGE_ID, MODEL, TASK_ID
from modellix_server.openapi.shapes import Schema, moment, ref, text, whole, word

_LAST_SECOND = 253_402_300_799  # of the year 9999


def query(name: str, schema: Schema, about: str) -> Schema:
    """An optional parameter in the query."""
    return {"name": name, "in": "query", "description": about, "schema": schema}


def header(name: str, schema: Schema, about: str) -> Schema:
    """An optional header of a request."""
    return {"name": name, "in": "header", "description": about, "schema": schema}


_IN_PATH = {
    "type": {**word(get_args(ModelType), "The model's type"), "examples": ["text-to-image"]},
    "provider": text("The brand", pattern="^[a-z0-9][a-z0-9-]*$", examples=["alibaba"]),
    "model": text("The model's id", pattern="^[a-z0-9][a-z0-9.-]*$", examples=["qwen-image-plus"]),
    "task_id": TASK_ID,
    "video_id": text("The task's id, or a `request_id`", pattern="^(xai-)?task-[0-9a-f]{32}$"),
    "name": text("Without a slash", examples=["sora-2"]),
    "file_id": FILE_ID,
    "endpoint_id": ENDPOINT_ID,
    "message_id": MESSAGE_ID,
}


def of_path(path: str) -> list[Schema]:
    """The parts of a route's path that its caller fills in. KeyError for one that nobody described."""
    return [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH[name]}
        for name in re.findall(r"{(\w+)}", path)
    ]


TERMS = {
    "IdempotencyKey": header(
        "Idempotency-Key",
        text(minLength=1, maxLength=255, pattern="^[!-~]([ -~]*[!-~])?$"),
        "The same key and request return the same task, for at least 72 h; another request with it gets 422. Without "
        "it a submission that is sent twice creates two tasks.",
    ),
    "MaxCost": header(
        "X-Max-Cost",
        text(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["0.25"]),
        "USD. A task whose quote is higher is refused with 400 and holds nothing.",
    ),
    "Queue": header(
        "X-Queue",
        word(("wait",)),
        "Accept the task even if the team has no free slot: the money is held, and the task waits in a queue.",
    ),
    "WebhookUrl": header(
        "X-Webhook-URL",
        text(format="uri", pattern="^https://", maxLength=2048),
        "Public https on port 443. Gets a message at the end of the task: see the webhook `taskEnded`.",
    ),
}
"""Headers of a submission: `components/parameters`."""
OF_A_SUBMISSION = tuple(ref(name, "parameters") for name in TERMS)

LAST_EVENT_ID = header(
    "Last-Event-ID", text(), "The `id` of the last received event. The stream begins with what is new since then."
)

_TIME = {"anyOf": [moment(), text(format="date"), whole("Unix seconds", minimum=0, maximum=_LAST_SECOND)]}
_SPAN = "ISO 8601 (UTC where no zone is named) or Unix seconds"
FROM_TO = (query("from", _TIME, f"Not before: {_SPAN}"), query("to", _TIME, f"Before: {_SPAN}"))
OF_A_MODEL = query("model", {**MODEL, "maxLength": 200, "pattern": "^[^\\u0000]*$"}, "Of one model")
OF_A_KEY = query("key_id", {**KEY_ID, "minimum": 0, "maximum": 10**18 - 1}, "Of one API key")
FORMAT = query("format", word(("csv", "jsonl")), "The whole list as one download, in place of pages")
PAGE = (
    query("limit", whole(minimum=1, maximum=MOST_A_PAGE, default=20), "Rows a page"),
    query("cursor", text(), "`next_cursor` of the page before. Not with `format`"),
    FORMAT,
)
