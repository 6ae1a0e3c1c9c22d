"""What the tools of generation take: types that give their JSON Schemas too."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

LONGEST_WAIT_S = 300
MOST_LISTED = 100

_Model = Annotated[
    str,
    Meta(max_length=200, description="`provider/id` as modellix_list_models shows it, e.g. alibaba/qwen-image-plus"),
]
_Input = Annotated[
    dict[str, Any],
    Meta(
        description="The model's parameters as its schema has them (modellix_get_schema). Media: public https links, "
        "ids of uploaded files (modellix_upload_file), data URIs or base64"
    ),
]
_Task = Annotated[str, Meta(max_length=200, description="`task-…`, as modellix_submit_task gave it")]
_Limit = Annotated[int, Meta(ge=1, le=MOST_LISTED, description="How many to list")]


class ListModels(Struct, forbid_unknown_fields=True):
    """Which models to list; without anything, the first of all."""

    type: (
        Annotated[str, Meta(max_length=40, description="text-to-image, image-to-image, text-to-video, …")] | UnsetType
    ) = UNSET
    provider: Annotated[str, Meta(max_length=40, description="alibaba, bytedance, minimax, …")] | UnsetType = UNSET
    category: Annotated[str, Meta(max_length=20, description="What they make: image or video")] | UnsetType = UNSET
    query: Annotated[str, Meta(max_length=200, description="Words in the model's name or description")] | UnsetType = (
        UNSET
    )
    limit: _Limit = 40
    page: Annotated[int, Meta(ge=1, le=1000, description="Counts from 1")] = 1


class GetSchema(Struct, forbid_unknown_fields=True):
    """The model to describe."""

    model: _Model


class AskQuote(Struct, forbid_unknown_fields=True):
    """A task that is not run."""

    model: _Model
    input: _Input


class SubmitTask(Struct, forbid_unknown_fields=True):
    """A task to run, and conditions for it."""

    model: _Model
    input: _Input
    max_cost: (
        Annotated[float, Meta(ge=0, le=1_000_000, description="USD. The task is refused if it could cost more")]
        | UnsetType
    ) = UNSET
    idempotency_key: (
        Annotated[
            str,
            Meta(
                pattern="^[ -~]{1,255}$",
                description="Your name for this submission. Repeat a call whose outcome is unclear with the same key: "
                "there will be one task and one charge. Use another key for another result of the same input",
            ),
        ]
        | UnsetType
    ) = UNSET
    queue: Annotated[bool, Meta(description="Wait for a free slot instead of being refused when all are taken")] = False
    webhook_url: (
        Annotated[str, Meta(max_length=2048, description="Public https link that is told of the task's end")]
        | UnsetType
    ) = UNSET


class NameTask(Struct, forbid_unknown_fields=True):
    """A task of this team."""

    task_id: _Task


class WaitTask(Struct, forbid_unknown_fields=True):
    """A task of this team, and how long to wait for its end."""

    task_id: _Task
    timeout_s: Annotated[
        int,
        Meta(
            ge=1,
            le=LONGEST_WAIT_S,
            description="Seconds after which a task that has not ended is answered as it is; then call again",
        ),
    ] = 50


class UploadFile(Struct, forbid_unknown_fields=True):
    """A file to keep."""

    file: Annotated[
        str,
        Meta(
            min_length=1,
            description="The bytes in base64, or a data URI. At most 3 MB: send larger files as multipart/form-data to "
            "POST /api/v1/media/files",
        ),
    ]
    filename: Annotated[str, Meta(max_length=255, description="Shown in lists")] = ""


class ListFiles(Struct, forbid_unknown_fields=True):
    """How many files, and where to go on."""

    limit: _Limit = 20
    cursor: Annotated[str, Meta(max_length=200, description="next_cursor of the answer before")] | UnsetType = UNSET


class NameFile(Struct, forbid_unknown_fields=True):
    """A file of this team."""

    file_id: Annotated[str, Meta(max_length=200, description="`file-…`, as modellix_upload_file gave it")]
