"""What the tools of generation work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import mcp_types as mcp
import msgspec

from modellix_server.base.errors import NotFound
from modellix_server.base.ids import parse_task_name
from modellix_server.base.settings import Settings
from modellix_server.base.team_mode import TeamMode
from modellix_server.catalogue import show
from modellix_server.inspection import FORMATS
from modellix_server.mcp.answers import ToolAnswer, docs_url
from modellix_server.mcp.calls import McpCall
from modellix_server.operations import tasks
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Principal
from modellix_server.tasks import TaskView


@dataclass(frozen=True, slots=True)
class ToolContext:
    """One call of a tool."""

    ctx: ServingContext
    call: McpCall
    message_id: str
    """The id that the client gave to the message."""
    report: Callable[[float, str], Awaitable[None]]
    """Tells the client of progress: a number that grows, and words."""

    @property
    def who(self) -> Principal:
        """Who calls."""
        return self.call.who

    @property
    def team(self) -> TeamMode:
        """For whom it acts."""
        return self.call.who.team

    def task(self, name: str) -> UUID:
        """The task that an argument names, noted for the log. Raises NotFound."""
        task_id = parse_task_name(name)
        if task_id is None:
            raise NotFound(f"task {show(name)} not found")
        self.call.task_id = task_id
        return task_id


def task_answer(ctx: ServingContext, view: TaskView) -> ToolAnswer:
    """A task as the API shows it, its files as links."""
    data: dict[str, Any] = msgspec.json.decode(tasks.public_form(ctx, view))
    resources = data["result"]["resources"] if "result" in data else []
    text = msgspec.json.encode(data).decode()
    if "error" in data:
        text += f"\nAbout this error: {docs_url(ctx.settings, data['error']['code'])}"
    return ToolAnswer(data, text, [_link(ctx.settings, one, data["result_expires_at"]) for one in resources])


def _link(settings: Settings, resource: dict[str, Any], until: str) -> mcp.ResourceLink:
    path = resource["url"].removeprefix(settings.results_origin).partition("?")[0]
    size = f"{resource['width']}x{resource['height']}, " if resource["width"] else ""
    return mcp.ResourceLink(
        name="-".join(path.strip("/").split("/")[1:]),
        uri=resource["url"],
        description=f"{resource['type']}, {size}{resource['format']}; download it before {until}",
        mime_type=FORMATS[resource["format"]].mime,
        size=resource["size"],
    )
