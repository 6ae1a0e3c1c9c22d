"""The routes that speak OpenAI's API: their descriptions, and its form of errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modellix_server.openapi.operation import JSON, AnswerDoc, BodyDoc, RouteDoc
from modellix_server.openapi.parameters import OF_A_SUBMISSION, query
from modellix_server.openapi.schemas import TASK_ID, event
from modellix_server.openapi.shapes import (
    Schema,
    array,
    flag,
    link,
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

_FORM = "multipart/form-data"
_MODEL = text("`provider/model`, or a name that the operator gave it", examples=["alibaba/qwen-image-plus"])
_FREE = {"additionalProperties": True}
_AGAIN = {"x-should-retry": {"description": "Whether a client should send it again by itself", "schema": text()}}
_POLL = {"openai-poll-after-ms": {"description": "Milliseconds; while it is not complete", "schema": text()}}
_FILE = {"contentMediaType": "application/octet-stream"}
_PICTURE = {
    "anyOf": [
        text("A URL, a data URI, or the id of an upload"),
        obj(maybe={"image_url": text(), "file_id": text()}),
    ]
}
_WISH = {
    "n": whole("Pictures, as many as the model makes at once", minimum=1, default=1),
    "size": text("`WIDTHxHEIGHT` or `auto`: the closest that the model has", examples=["1024x1024"]),
    "quality": text("`auto`, or what the model has"),
    "stream": flag("Answer with server-sent events: signs of life at once, then each picture"),
    "response_format": word(("b64_json", "url"), "How the pictures come; `b64_json` without it"),
}
_SUBMISSION = (400, 402, 404, 408, 413, 415, 422)
_PICTURES = {
    "model": text("The model that made them"),
    "task_id": TASK_ID,
    "billing": obj(amount=usd("The charge, in USD", minimum=0)),
}
_FEATURES = {"size": text(), "output_format": text(), "quality": text(), "background": text()}
_ONE = {"b64_json": text(), "url": link("Until the result expires")}


def _images(name: str) -> AnswerDoc:
    completed = obj(
        type=only(name), created_at=whole("Unix seconds"), usage={"type": "null"}, **_PICTURES,
        maybe={**_ONE, **_FEATURES},
    )  # fmt: skip
    failed = obj(error=obj(message=text(), type=text(), param=or_null(text()), code=text()))
    return AnswerDoc(
        obj(created=whole("Unix seconds"), data=array(obj(maybe=_ONE)), **_PICTURES, maybe=_FEATURES),
        bare=True,
        also={"text/event-stream": {"oneOf": [event(name, "A picture", completed), event("error", "None", failed)]}},
    )


_VIDEO = AnswerDoc(ref("Video"), bare=True, headers=_POLL)
_LISTED = obj(id=text(), object=only("model"), created=whole("Unknown: 0"), owned_by=text("The provider"))


def _body(schema: Schema, pictures: Schema, *names: str) -> BodyDoc:
    """A body as JSON, or as a form whose pictures are files."""
    told, filled = {**schema["properties"], **pictures}, {**schema["properties"], **dict.fromkeys(names, _FILE)}
    required = {"required": schema["required"]}
    form = {"type": "object", "properties": filled, **required, **_FREE}
    return BodyDoc({"type": "object", "properties": told, **required, **_FREE}, also={_FORM: form})


def _route(id_: str, summary: str, answer: AnswerDoc, **more: Any) -> RouteDoc:
    return RouteDoc(id_, "OpenAI", summary, answer, openai_errors=True, **more)


def _making(id_: str, summary: str, answer: AnswerDoc, body: BodyDoc, about: str, *refuses: int) -> RouteDoc:
    statuses = (*_SUBMISSION, *refuses)
    return _route(id_, summary, answer, about=about, parameters=OF_A_SUBMISSION, body=body, refuses=statuses)


_DRAWN = obj(model=_MODEL, prompt=text(), maybe=_WISH)
_FILMED = obj(prompt=text(), maybe={"model": _MODEL, "seconds": text(examples=["4"]), "size": _WISH["size"]})
_XAI = obj(
    prompt=text(), model=_MODEL,
    maybe={
        "duration": whole("Seconds: the closest that the model has", minimum=1),
        "aspect_ratio": text(examples=["16:9"]),
        "resolution": text(examples=["720p"]),
        "image": obj(url=text("The first frame")),
        "reference_images": array(obj(url=text())),
    },
)  # fmt: skip
_XAI_STATUS = obj(
    status=word(("pending", "done", "failed")), model=text(),
    maybe={
        "video": obj(url=link(), duration=or_null(number("Seconds")), respect_moderation=only(value=True)),
        "error": obj(code=text(), message=text()),
    },
)  # fmt: skip
_EXTRA = "Other fields are parameters of the model."
_WAITS = "Answers when the task has ended, at most 280 seconds later; 504 then: the same request again waits for it."

OPENAI_OPERATIONS = {
    "POST /v1/images/generations": _making(
        "openaiGenerateImages", "Make pictures", _images("image_generation.completed"),
        BodyDoc({**_DRAWN, **_FREE, "examples": [{"model": "alibaba/qwen-image-plus", "prompt": "A cat"}]}),
        f"{_EXTRA} {_WAITS}", 502, 504,
    ),
    "POST /v1/images/edits": _making(
        "openaiEditImages", "Change or combine pictures", _images("image_edit.completed"),
        _body(
            obj(model=_MODEL, prompt=text(), maybe=_WISH),
            {"image": {"anyOf": [_PICTURE, array(_PICTURE)]}, "mask": _PICTURE},
            "image", "image[]", "mask",
        ),
        f"{_EXTRA} {_WAITS}", 502, 504,
    ),
    "POST /v1/videos": _making(
        "openaiCreateVideo", "Make a video", _VIDEO,
        _body(_FILMED, {"input_reference": _PICTURE}, "input_reference"), f"{_EXTRA} Answers at once.",
    ),
    "POST /v1/videos/{video_id}/remix": _making(
        "openaiRemixVideo", "Make a video of a video", _VIDEO, _body(obj(prompt=text(), maybe={"model": _MODEL}), {}),
        f"By `model`, else by the model of its family that changes videos; 400 where there is none. {_EXTRA}",
    ),
    "POST /v1/videos/edits": _making(
        "openaiEditVideo", "Change a video", _VIDEO,
        _body(
            obj(prompt=text(), maybe={"model": _MODEL}),
            {"video": {"anyOf": [text("A URL, or the id of an upload"), obj(id=TASK_ID)]}},
            "video",
        ),
        f"By `model`, else by the model of the family that made it; a file needs `model`. {_EXTRA}",
    ),
    "GET /v1/videos": _route(
        "openaiListVideos", "List the team's videos",
        AnswerDoc(
            obj(
                object=only("list"), data=array(ref("Video")), has_more=flag(), first_id=or_null(TASK_ID),
                last_id=or_null(TASK_ID),
            ),
            bare=True,
        ),
        parameters=(
            query("limit", whole(minimum=1, maximum=100, default=20), "Videos a page"),
            query("after", TASK_ID, "`last_id` of the page before"),
            query("order", word(("asc", "desc")), "`desc`, the latest first, without it"),
        ),
        refuses=(400,),
    ),
    "POST /v1/videos/generations": _making(
        "xaiGenerateVideo", "Make a video, in the words of xAI's API",
        AnswerDoc(obj(request_id=text("To ask for it", pattern="^xai-task-[0-9a-f]{32}$")), bare=True),
        BodyDoc({**_XAI, **_FREE}), f"{_EXTRA} Answers at once.",
    ),
    "GET /v1/videos/{video_id}": _route(
        "openaiGetVideo", "A video, as it is now",
        replace(_VIDEO, schema={"oneOf": [ref("Video"), _XAI_STATUS]}),
        about="After `POST /v1/videos/generations` in the words of xAI's API.",
        refuses=(404,),
    ),
    "DELETE /v1/videos/{video_id}": _route(
        "openaiDeleteVideo", "Delete the files of a video",
        AnswerDoc(obj(id=TASK_ID, object=only("video.deleted"), deleted=only(value=True)), bare=True),
        refuses=(404, 409),
    ),
    "GET /v1/videos/{video_id}/content": _route(
        "openaiGetVideoContent", "The bytes of a video",
        AnswerDoc({"type": "string", "contentMediaType": "video/mp4"}, bare=True, mime="video/mp4", plain=True),
        parameters=(query("variant", word(("video", "thumbnail", "spritesheet")), "What of it"),),
        refuses=(400, 404),
    ),
    "GET /v1/models": _route(
        "openaiListModels", "List the models",
        AnswerDoc(obj(object=only("list"), data=array(_LISTED)), bare=True),
    ),
    "GET /v1/models/{name}": _route(
        "openaiGetNamedModel", "A model by a name of the operator's, or of OpenAI's", AnswerDoc(_LISTED, bare=True),
        refuses=(404,),
    ),
    "GET /v1/models/{provider}/{model}": _route(
        "openaiGetModel", "A model", AnswerDoc(_LISTED, bare=True), refuses=(404,),
    ),
}  # fmt: skip

STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504)
"""Of errors in this form."""


def openai_error(reason: str, headers: Schema) -> dict[str, Any]:
    """One error in OpenAI's form."""
    error = obj(message=text(), type=text(), param=or_null(text("The parameter it is about")), code=text())
    return {
        "description": reason,
        "headers": {**headers, **_AGAIN},
        "content": {JSON: {"schema": obj(error=error)}},
    }
