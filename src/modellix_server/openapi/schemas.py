"""Schemas of answers: `components/schemas`, except those of models.

`tests/support/openapi_conformance.py` validates every answer of the journeys against them, without further fields.
"""

from typing import get_args

from modellix_server import ledger
from modellix_server.catalogue import MediaKind, ModelType, Unit
from modellix_server.openapi.shapes import (
    ANYTHING,
    Schema,
    array,
    flag,
    link,
    moment,
    number,
    obj,
    only,
    or_null,
    ref,
    text,
    usd,
    whole,
    word,
)

FAILURES = (
    "invalid_input",
    "content_rejected",
    "upstream_refused",
    "deadline",
    "result_unavailable",
    "submission_outcome_unknown",
    "quarantined",
    "canceled",
)
"""Error codes of failed tasks."""
STATUSES = ("pending", "success", "failed")

TASK_ID = text("A task", pattern="^task-[0-9a-f]{32}$")
FILE_ID = text("An uploaded file", pattern="^file-[0-9a-f]{32}$")
ENDPOINT_ID = text("An endpoint", pattern="^we_[0-9a-f]{32}$")
MESSAGE_ID = text("A message", pattern="^msg_[0-9a-f]{32}$")
SECRET = text("Signs messages according to Standard Webhooks", pattern="^whsec_")
KEY_ID = whole("The number of an API key")
MODEL = text("`provider/id`", examples=["alibaba/qwen-image-plus"])
MODEL_ID = text("The model's id, without its provider", examples=["qwen-image-plus"])
CURSOR = or_null(text("Send it as `cursor` for the next page; null at the end"))
MILLISECONDS = whole("Milliseconds", minimum=0)
PLACE = whole("With `X-Queue: wait`: position in the queue; 1 starts next", minimum=1)

_RESOURCE = obj(
    "One file of a result",
    url=link("Signed public link, until the result expires"),
    type=word(get_args(MediaKind)),
    width=or_null(whole("Pixels")),
    height=or_null(whole("Pixels")),
    format=text("Extension of the file name", examples=["png", "mp4"]),
    role=text("`primary`, or another form of the same", examples=["primary"]),
    size=whole("Bytes", minimum=1),
    duration=or_null(number("Seconds; null for images")),
)
_RESULT = obj(
    resources=array(ref("Resource")),
    metadata={
        "type": "object",
        "description": "Counts, and what the model delivers beside its files",
        "properties": {
            "request_id": or_null(text("The vendor's id of the job")),
            "image_count": whole(minimum=1),
            "video_duration": number("Total seconds of all videos"),
        },
        "additionalProperties": True,
    },
    extensions=obj(submit_time=moment(), end_time=moment()),
)
_ENDED = {
    "task_id": TASK_ID,
    "model_id": MODEL_ID,
    "duration": whole("Milliseconds from the submission to the end", minimum=0),
    "result": _RESULT,
    "billing": obj(amount=usd("The charge, in USD", minimum=0)),
    "result_expires_at": moment("From then on the task answers 404, and its files are deleted"),
}
_TASKS = {
    "PendingTask": obj(status=only("pending"), task_id=TASK_ID, model_id=MODEL_ID, maybe={"queue_position": PLACE}),
    "SucceededTask": obj(status=only("success"), **_ENDED),
    "FailedTask": obj(
        "Costs nothing",
        status=only("failed"),
        **_ENDED,
        error=obj(code=word(FAILURES), message=text("Explanation of the code")),
    ),
    "Task": {
        "oneOf": [ref("PendingTask"), ref("SucceededTask"), ref("FailedTask")],
        "discriminator": {
            "propertyName": "status",
            "mapping": {
                "pending": "#/components/schemas/PendingTask",
                "success": "#/components/schemas/SucceededTask",
                "failed": "#/components/schemas/FailedTask",
            },
        },
    },
    "Resource": _RESOURCE,
    "AcceptedTask": obj(
        status=only("pending"),
        task_id=TASK_ID,
        model_id=MODEL_ID,
        duration=whole("Milliseconds that the acceptance took", minimum=0),
        get_result=obj("How to read the result", method=only("GET"), url=link()),
        maybe={"queue_position": PLACE},
    ),
    "ListedTask": obj(
        task_id=TASK_ID,
        model=MODEL,
        status=word(STATUSES),
        key_id=or_null(KEY_ID),
        key_name=or_null(text()),
        submit_time=moment(),
        end_time=or_null(moment()),
        duration=or_null(MILLISECONDS),
        quote=usd("The most that it can cost, in USD"),
        cost=usd("What was charged, in USD"),
        error_code=or_null(word(FAILURES)),
        error_message=or_null(text()),
        input={"type": "object", "description": "The parameters as accepted, defaults filled in"},
    ),
}

_STAGES = ("queued", "running", "storing")
_STATUS = {
    "oneOf": [
        obj(
            status=only("pending"),
            task_id=TASK_ID,
            model_id=MODEL_ID,
            stage=word(_STAGES),
            maybe={"queue_position": PLACE},
        ),
        ref("SucceededTask"),
        ref("FailedTask"),
    ]
}


def event(name: str, about: str, data: Schema, **more: Schema) -> Schema:
    """A server-sent event whose data is JSON."""
    carried = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return obj(about, event=only(name), data=carried, **more)


_EVENTS = {
    "Event": {
        "oneOf": [
            event("accepted", "First, after a submission: its answer", ref("AcceptedTask")),
            event("status", "At the start and at every change", _STATUS, id=text("The task's latest move")),
            event("queue", "A new position of a queued task", obj(task_id=TASK_ID, queue_position=PLACE)),
            event("progress", "Progress at the vendor", obj(task_id=TASK_ID, progress=number(minimum=0, maximum=1))),
            event("refusal", "The stream cannot go on", obj(code=whole("HTTP status"), message=text())),
        ]
    }
}

_LISTED_MODEL = {
    "slug": MODEL,
    "type": word(get_args(ModelType)),
    "provider": text(),
    "description": text(),
    "docs_url": link(),
    "name": text("For people"),
    "price_usd": or_null(usd("Of the cheapest image or second, in USD; null if unpriced")),
    "retires": or_null(text("When the vendor retires the model", format="date")),
    "featured": flag("One of the few to begin with"),
}
_PRICE = {
    "description": "Price of one image or one second, in USD; absent if unpriced",
    "oneOf": [
        obj(fixed=usd(), unit=word(("$/img", "$/sec"))),
        obj("Depends on the parameters", min=usd(), max=usd(), unit=word(("$/img", "$/sec"))),
    ],
}
_MODELS = {
    "Model": obj(**_LISTED_MODEL, maybe={"price": _PRICE}),
    "ModelDetails": obj(
        **_LISTED_MODEL,
        schema={"type": "object", "description": "JSON Schema (2020-12) of a submission's body"},
        prices=array(
            obj(
                tier=text(),
                unit=word(get_args(Unit)),
                usd=or_null(usd("Null: unpriced, and refused in live mode")),
            )
        ),
        deadline_s=whole("A task that is unfinished so many seconds after its submission fails and costs nothing"),
        example={"type": "object", "description": "A body that works unchanged in test mode"},
        submit=obj(method=only("POST"), url=link()),
        maybe={"price": _PRICE},
    ),
    "Quote": obj(
        model=MODEL,
        cost=usd("What the task would hold: the most that it can cost, in USD"),
        cost_micros=whole("The same in micro-dollars", minimum=0),
        unit=word(get_args(Unit)),
        unit_cost=usd("Price of one unit, in USD"),
        units=number("Images, or seconds"),
        tier=text(),
    ),
}

_ACCOUNT = {
    "Transfer": obj(
        id=whole(),
        at=moment(),
        kind=word(ledger.KINDS),
        debit=text("The account that is debited"),
        credit=text("The account that is credited"),
        amount=usd("USD", minimum=0),
        amount_micros=whole("The same in micro-dollars", minimum=0),
        task_id=or_null(TASK_ID),
        key_id=or_null(KEY_ID),
        note=or_null(text()),
    ),
    "Usage": obj(
        "Number and cost of the tasks of a day, a model, a key, a member or a tag",
        succeeded=whole(minimum=0),
        failed=whole(minimum=0),
        cost=usd("What was charged, in USD", minimum=0),
        maybe={
            "day": text("In UTC", format="date"),
            "model": MODEL,
            "key_id": or_null(KEY_ID),
            "key_name": or_null(text()),
            "member_id": text("Who submitted, or made the key that did", examples=["user:7"]),
            "member_name": text(),
            "tag": or_null(text("Of the key, as it is now")),
        },
    ),
    "Call": obj(
        "One request to the API. An accepted submission shows its task beside the call; a crash can lose "
        "the call's time and sizes",
        at=moment(),
        method=text(),
        path=text(),
        status=whole("HTTP status"),
        code=or_null(text("Stable code of a refusal")),
        latency_ms=or_null(number(minimum=0)),
        bytes_in=or_null(whole(minimum=0)),
        bytes_out=or_null(whole(minimum=0)),
        model=or_null(MODEL),
        key_id=or_null(KEY_ID),
        key_name=or_null(text()),
        task_id=or_null(TASK_ID),
        task_status=or_null(word(STATUSES)),
        task_duration=or_null(MILLISECONDS),
        cost=or_null(usd("What was charged, in USD")),
        input={**ANYTHING, "description": "Of a submission its parameters, of a refused request the start of its body"},
        output={**ANYTHING, "description": "Of a submission its result or error, of a refused request the answer"},
        request_id=or_null(text("`X-Request-Id` of the answer")),
    ),
}

_LEAKS = {
    "Leak": {
        "anyOf": [
            text("The whole key"),
            obj(
                "The form of secret scanners",
                token=text("The whole key"),
                maybe={"url": {**ANYTHING, "description": "Where it was found"}},
            ),
        ]
    },
}

_FILES = {
    "File": obj(
        file_id=FILE_ID,
        type=word(get_args(MediaKind)),
        url=link("Signed public link, until the file expires or is deleted"),
        filename=text(),
        size=whole("Bytes", minimum=1),
        created_at=whole("Unix milliseconds"),
        expires_at=whole("Unix milliseconds"),
    ),
}

_VIDEOS = {
    "Video": obj(
        "A task that makes a video",
        id=TASK_ID,
        object=only("video"),
        model=text(),
        status=word(("queued", "in_progress", "completed", "failed")),
        progress=whole("0, and 100 when it is complete", minimum=0, maximum=100),
        created_at=whole("Unix seconds"),
        completed_at=or_null(whole("Unix seconds")),
        expires_at=or_null(whole("Unix seconds")),
        prompt=or_null(text()),
        seconds=text("Its length"),
        size=text("`WIDTHxHEIGHT`; empty where the model decides, until it is complete"),
        remixed_from_video_id=or_null(TASK_ID),
        error=or_null(obj(code=word(FAILURES), message=text())),
        maybe={"url": link("The clip, until the result expires")},
    )
}

_ENDPOINT = {
    "id": ENDPOINT_ID,
    "url": text("As it was given"),
    "enabled": flag(),
    "disabled_why": or_null(text()),
    "failing_since": or_null(moment()),
    "created_at": moment(),
    "alerts": obj(
        "What it is told beside ended tasks",
        balance_below=or_null(usd("`balance.low` when less is available; null: not told of it")),
        budgets=flag("`budget.threshold` at 80 % and 100 % of a budget of the team or of a key"),
    ),
}
_WEBHOOKS = {
    "Endpoint": obj("A URL that gets messages about the team's ended tasks in the key's mode, and alerts", **_ENDPOINT),
    "Delivery": obj(
        "A message, and every attempt to deliver it",
        id=MESSAGE_ID,
        task_id=or_null({**TASK_ID, "description": "Null for an alert"}),
        endpoint_id=or_null({**ENDPOINT_ID, "description": "Null for a URL given in `X-Webhook-URL`"}),
        url=text("As it was given"),
        event=text(examples=["prediction.task.succeeded"]),
        status=word(("waiting", "delivered", "failed")),
        created_at=moment(),
        next_try_at=or_null(moment()),
        attempts=array(
            obj(
                at=moment(),
                status=or_null(whole("HTTP status")),
                error=or_null(text()),
                took_ms=whole("Milliseconds", minimum=0),
            )
        ),
    ),
}
NEW_ENDPOINT = obj(**_ENDPOINT, secret={**SECRET, "description": "Signs messages; not shown again"})

SCHEMAS: dict[str, Schema] = {**_TASKS, **_EVENTS, **_MODELS, **_ACCOUNT, **_LEAKS, **_FILES, **_VIDEOS, **_WEBHOOKS}
