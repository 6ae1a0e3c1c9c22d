"""What a task was given: its media as links while they are kept, and the same task once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base import json_paths
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.ids import file_name, task_name
from modellix_server.base.team_mode import TeamMode
from modellix_server.catalogue import Model
from modellix_server.inspection import FORMATS, STORED, Kind
from modellix_server.operations import submissions, tasks
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Permission, Principal
from modellix_server.operations.submissions import SubmitOptions
from modellix_server.results import file_link, find_inputs
from modellix_server.tasks import Accepted, ListedTask

_FORMAT_OF = {one.mime: one.name for one in FORMATS.values()}


@dataclass(frozen=True, slots=True)
class TaskMedia:
    """One media value among the inputs of a task."""

    where: str
    """Its name: `images[1]`."""
    text: str
    """As the task has it: a link, or `sha256:` and a digest."""
    url: str | None
    """A link to it on our own origin of files, while it is kept."""
    kind: Kind | None = None


async def media_of(ctx: ServingContext, task: ListedTask) -> list[TaskMedia]:
    """The media among a task's inputs, in their order; none of a model that the catalogue has no more."""
    model = ctx.catalogue.models.get(task.model)
    if model is None or not model.media:
        return []
    found = json_paths.find(msgspec.json.decode(task.params), [medium.name for medium in model.media])
    kept = await find_inputs(ctx.db, [one.text.removeprefix(STORED) for one in found if one.text.startswith(STORED)])
    media = []
    for one in found:
        file = kept.get(one.text.removeprefix(STORED)) if one.text.startswith(STORED) else None
        if file is not None:
            until = int(file.expires_at.timestamp())
            url = file_link(ctx.settings, one.text.removeprefix(STORED), _FORMAT_OF[file.mime], until)
            media.append(TaskMedia(one.where, one.text, url, file.kind))
        else:
            own = one.text.startswith(ctx.settings.results_origin + "/")
            media.append(TaskMedia(one.where, one.text, one.text if own else None))
    return media


async def to_edit(
    ctx: ServingContext, who: Principal, of: TeamMode, model: Model, task_id: UUID
) -> tuple[dict[str, Any], list[str]]:
    """A request body with the inputs of an earlier task, and the parameters whose files are not kept any more.

    What the model does not take, or not any more, and what is at its default, is left out. Raises NotFound.
    """
    who.require(Permission.READ_TASKS, of)
    task = await tasks.find(ctx, who, of, task_id)
    said = model.schema["properties"]
    given = msgspec.json.decode(task.params)
    body = {name: value for name, value in given.items() if name in said and value != said[name].get("default")}
    media = tuple(medium.name for medium in model.media)
    names: dict[str, str] = {}
    lost: list[str] = []
    for one in await media_of(ctx, task):
        if one.text.startswith(STORED):
            upload = await ctx.uploads.with_digest(of.team_id, one.text.removeprefix(STORED), live=of.live)
            names[one.text] = file_name(upload.id) if upload else one.url or ""
            if not names[one.text]:
                lost.append(one.where)
    body = json_paths.replace(body, media, lambda one: names.get(one.text, one.text))
    return body, lost


async def repeat(ctx: ServingContext, who: Principal, of: TeamMode, task_id: UUID, options: SubmitOptions) -> Accepted:
    """Accept a task with the same model and inputs as an earlier one.

    Raises NotFound for an unknown task or a model that is gone, InvalidParameters when its inputs are not kept any
    more, and what `submissions.submit` raises.
    """
    who.require(Permission.USE_MODELS, of)
    task = await tasks.find(ctx, who, of, task_id)
    model = ctx.catalogue.models.get(task.model)
    if model is None:
        raise NotFound(f"there is no model '{task.model}' any more")
    params: dict[str, Any] = msgspec.json.decode(task.params)
    if not params:
        raise InvalidParameters(f"the inputs of task '{task_name(task_id)}' are not kept any more")
    named = [one.text for one in json_paths.find(params, [medium.name for medium in model.media])]
    digests = [text.removeprefix(STORED) for text in dict.fromkeys(named) if text.startswith(STORED)]
    files = [await ctx.kept_inputs.examine(digest, of.team_id) for digest in digests]
    return await submissions.submit(ctx, who, model, params, files, options)
