"""The shapes of answers: `components/schemas`, but for those of models.

They say what the handlers write. `tests/support/openapi_conformance.py` holds every answer of the journeys against
them, with nothing allowed beside what is written here.
"""

from __future__ import annotations

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
"""Why a task can have failed."""
STATUSES = ("pending", "success", "failed")

TASK_ID = text("A task", pattern="^task-[0-9a-f]{32}$")
FILE_ID = text("An uploaded file", pattern="^file-[0-9a-f]{32}$")
ENDPOINT_ID = text("An endpoint", pattern="^we_[0-9a-f]{32}$")
MESSAGE_ID = text("A message", pattern="^msg_[0-9a-f]{32}$")
SECRET = text("Signs messages after Standard Webhooks", pattern="^whsec_")
KEY_ID = whole("The number of an API key")
MODEL = text("`provider/id`", examples=["alibaba/qwen-image-plus"])
MODEL_ID = text("The model's id, without its provider", examples=["qwen-image-plus"])
CURSOR = or_null(text("To be sent as `cursor` for the next page; null at the end"))
MILLISECONDS = whole("Milliseconds", minimum=0)
PLACE = whole("With `X-Queue: wait`: how many starts it takes until this task starts; 1 is next", minimum=1)

_RESOURCE = obj(
    "One file of a result",
    url=link("Public by its signature, until the result expires"),
    type=word(get_args(MediaKind)),
    width=or_null(whole("Pixels")),
    height=or_null(whole("Pixels")),
    format=text("As in the file's name", examples=["png", "mp4"]),
    role=text("`primary`, or another form of the same", examples=["primary"]),
    size=whole("Bytes", minimum=1),
    duration=or_null(number("Seconds; null for pictures")),
)
_RESULT = obj(
    resources=array(ref("Resource")),
    metadata={
        "type": "object",
        "description": "What was counted, and what the model tells beside its files",
        "properties": {
            "request_id": or_null(text("The vendor's id of the job")),
            "image_count": whole(minimum=1),
            "video_duration": number("Seconds of all clips together"),
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
    "billing": obj(amount=usd("What was charged, in USD", minimum=0)),
    "result_expires_at": moment("From then on the task is answered with 404, and its files are gone"),
}
_TASKS = {
    "PendingTask": obj(status=only("pending"), task_id=TASK_ID, model_id=MODEL_ID, maybe={"queue_position": PLACE}),
    "SucceededTask": obj(status=only("success"), **_ENDED),
    "FailedTask": obj(
        "It cost nothing",
        status=only("failed"),
        **_ENDED,
        error=obj(code=word(FAILURES), message=text("The code in words, and what is known beside it")),
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
        duration=whole("Milliseconds it took to accept the task", minimum=0),
        get_result=obj("How to ask for the result", method=only("GET"), url=link()),
        maybe={"queue_position": PLACE},
    ),
    "ListedTask": obj(
        task_id=TASK_ID,
        model=MODEL,
        status=word(STATUSES),
        key_id=KEY_ID,
        key_name=or_null(text()),
        submit_time=moment(),
        end_time=or_null(moment()),
        duration=or_null(MILLISECONDS),
        quote=usd("What it could cost at most, in USD"),
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


def _event(name: str, about: str, data: Schema, **more: Schema) -> Schema:
    carried = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return obj(about, event=only(name), data=carried, **more)


_EVENTS = {
    "Event": {
        "oneOf": [
            _event("accepted", "First, after a submission: its answer", ref("AcceptedTask")),
            _event("status", "At the beginning and at every change", _STATUS, id=text("The task's newest move")),
            _event("queue", "A new place of a task that waits", obj(task_id=TASK_ID, queue_position=PLACE)),
            _event("progress", "How far the vendor is", obj(task_id=TASK_ID, progress=number(minimum=0, maximum=1))),
            _event("refusal", "The stream cannot go on", obj(code=whole("HTTP status"), message=text())),
        ]
    }
}

_LISTED_MODEL = {
    "slug": MODEL,
    "type": word(get_args(ModelType)),
    "provider": text(),
    "description": text(),
    "docs_url": link(),
}
_PRICE = {
    "description": "Of one picture or one second, in USD; absent where the operator has set no price yet",
    "oneOf": [
        obj(fixed=usd(), unit=word(("$/img", "$/sec"))),
        obj("It depends on the parameters", min=usd(), max=usd(), unit=word(("$/img", "$/sec"))),
    ],
}
_MODELS = {
    "Model": obj(**_LISTED_MODEL, maybe={"price": _PRICE}),
    "ModelDetails": obj(
        **_LISTED_MODEL,
        name=text(),
        schema={"type": "object", "description": "JSON Schema (2020-12) of a submission's body"},
        prices=array(
            obj(
                tier=text(),
                unit=word(get_args(Unit)),
                usd=or_null(usd("Null: not priced yet, and refused in live mode")),
            )
        ),
        deadline_s=whole("A task that is unfinished so many seconds after its submission fails and costs nothing"),
        retires=or_null(text("When the vendor takes the model away", format="date")),
        example={"type": "object", "description": "A body that works as it stands, in test mode"},
        submit=obj(method=only("POST"), url=link()),
        maybe={"price": _PRICE},
    ),
    "Quote": obj(
        model=MODEL,
        cost=usd("What the task would hold, and can cost at most, in USD"),
        cost_micros=whole("The same in micro-dollars", minimum=0),
        unit=word(get_args(Unit)),
        unit_cost=usd("Of one unit, in USD"),
        units=number("Pictures, or seconds"),
        tier=text(),
    ),
}

_ACCOUNT = {
    "Transfer": obj(
        id=whole(),
        at=moment(),
        kind=word(ledger.KINDS),
        debit=text("The account it comes from"),
        credit=text("The account it goes to"),
        amount=usd("USD", minimum=0),
        amount_micros=whole("The same in micro-dollars", minimum=0),
        task_id=or_null(TASK_ID),
        key_id=or_null(KEY_ID),
        note=or_null(text()),
    ),
    "Usage": obj(
        "What the tasks of a day, a model or a key came to",
        succeeded=whole(minimum=0),
        failed=whole(minimum=0),
        cost=usd("What was charged, in USD", minimum=0),
        maybe={
            "day": text("In UTC", format="date"),
            "model": MODEL,
            "key_id": KEY_ID,
            "key_name": or_null(text()),
        },
    ),
    "Call": obj(
        "One call of the API. An accepted submission is told by its task: its sizes and time are not kept",
        at=moment(),
        method=text(),
        path=text(),
        status=whole("HTTP status"),
        code=or_null(text("A refusal's stable code")),
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
        input={**ANYTHING, "description": "Of a submission its parameters, of a refused call the start of its body"},
        output={**ANYTHING, "description": "Of a submission its result or error, of a refused call the answer"},
        request_id=or_null(text("What the answer said as `X-Request-Id`")),
    ),
}

_LEAKS = {
    "Leak": {
        "anyOf": [
            text("The whole key"),
            obj(
                "As secret scanners send it",
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
        url=link("Public by its signature, until the file expires or is deleted"),
        filename=text(),
        size=whole("Bytes", minimum=1),
        created_at=whole("Unix milliseconds"),
        expires_at=whole("Unix milliseconds"),
    ),
}

_ENDPOINT = {
    "id": ENDPOINT_ID,
    "url": link(),
    "enabled": flag(),
    "disabled_why": or_null(text()),
    "failing_since": or_null(moment()),
    "created_at": moment(),
}
_WEBHOOKS = {
    "Endpoint": obj("A link that is told of every ended task of the team, in the key's mode", **_ENDPOINT),
    "Delivery": obj(
        "A message, and every attempt to deliver it",
        id=MESSAGE_ID,
        task_id=TASK_ID,
        endpoint_id=or_null({**ENDPOINT_ID, "description": "Null for a link given in `X-Webhook-URL`"}),
        url=link(),
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

SCHEMAS: dict[str, Schema] = {**_TASKS, **_EVENTS, **_MODELS, **_ACCOUNT, **_LEAKS, **_FILES, **_WEBHOOKS}
