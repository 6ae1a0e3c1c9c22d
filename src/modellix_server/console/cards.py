"""Tasks as cards: what the macro `task_card` shows of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from modellix_server.base.ids import task_name
from modellix_server.operations.context import ServingContext
from modellix_server.operations.tasks import ResultFile, result_files
from modellix_server.tasks import ListedTask

_EXCERPT = 160
_FIRST = ("prompt", "text")


@dataclass(frozen=True, slots=True)
class TaskCard:
    """One task, ready to show. Money in micro-dollars, times in milliseconds."""

    name: str
    """The public id."""
    model: str
    known: bool
    """Whether the catalogue still has the model, and it can be run again."""
    status: str
    stage: str | None
    queue_position: int | None
    moves: int
    created_at: datetime
    finished_at: datetime | None
    elapsed: int
    quote: int
    captured: int | None
    error_code: str | None
    error_message: str | None
    submitter: str
    """`key:7` or `user:3`."""
    excerpt: str
    """Of its prompt; empty where there is none, or it is not kept."""
    files: list[ResultFile]
    gone: bool
    """It succeeded, and its result has expired or was deleted."""

    @property
    def href(self) -> str:
        """Its own page."""
        return f"/console/tasks/{self.name}"

    @property
    def edit_href(self) -> str:
        """The playground with its inputs."""
        return f"/console/models/{self.model}?{urlencode({'task': self.name})}"

    @property
    def pictures(self) -> list[ResultFile]:
        """The files that can be looked at."""
        return [one for one in self.files if one.file.type in ("image", "video")]


def make_card(ctx: ServingContext, task: ListedTask) -> TaskCard:
    """A card of a task as `operations.tasks` lists it."""
    ended = task.finished_at or datetime.now(UTC)
    return TaskCard(
        name=task_name(task.id),
        model=task.model,
        known=task.model in ctx.catalogue.models,
        status=task.status,
        stage=task.stage,
        queue_position=task.queue_position,
        moves=task.moves,
        created_at=task.created_at,
        finished_at=task.finished_at,
        elapsed=max(0, int((ended - task.created_at).total_seconds() * 1000)),
        quote=task.quote,
        captured=task.captured,
        error_code=task.error_code,
        error_message=task.error_message,
        submitter=task.actor or f"key:{task.key_id}",
        excerpt=excerpt(msgspec.json.decode(task.params)),
        files=result_files(ctx, task),
        gone=task.status == "success" and task.resources is None,
    )


def excerpt(params: dict[str, Any], most: int = _EXCERPT) -> str:
    """The first words of what a task was asked for: of its prompt, or of the first text in its inputs."""
    named = [params[name] for name in _FIRST if isinstance(params.get(name), str)]
    text = " ".join(next(iter(named or _texts(params)), "").split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _texts(value: Any) -> Iterator[str]:
    """Texts that people wrote: with a space, and no link or digest."""
    match value:
        case str() if " " in value and "://" not in value[:8]:
            yield value
        case dict():
            for one in value.values():
                yield from _texts(one)
        case list():
            for one in value:
                yield from _texts(one)
