"""Tools that keep files for use as inputs."""

from __future__ import annotations

import asyncio

from msgspec import UNSET

from modellix_server.base import base64_text
from modellix_server.base.errors import InvalidFormat, NotFound
from modellix_server.base.ids import file_name, parse_file_name
from modellix_server.mcp.answers import ToolAnswer
from modellix_server.mcp.tool_arguments import ListFiles, NameFile, UploadFile
from modellix_server.mcp.tool_context import ToolContext
from modellix_server.operations import files, public_forms


async def upload(tool: ToolContext, given: UploadFile) -> ToolAnswer:
    """Keep one file; its id or link is an input of models."""
    content = await asyncio.to_thread(_decoded, given.file)
    kept = await files.keep(tool.ctx, tool.who, tool.team, given.filename, content)
    return ToolAnswer(public_forms.upload(tool.ctx, kept))


def _decoded(text: str) -> bytes:
    """Raises InvalidFormat."""
    try:
        return base64_text.bytes_of(text)
    except ValueError:
        raise InvalidFormat("parameter 'file' is not base64") from None


async def list_files(tool: ToolContext, given: ListFiles) -> ToolAnswer:
    """The team's files, the latest first."""
    before = None
    if given.cursor is not UNSET and (before := parse_file_name(given.cursor)) is None:
        raise InvalidFormat("parameter 'cursor' must be the next_cursor of an earlier answer")
    found = await files.list_all(tool.ctx, tool.who, tool.team, before=before, most=given.limit + 1)
    shown = found[: given.limit]
    following = file_name(shown[-1].id) if len(found) > given.limit else None
    return ToolAnswer({"files": [public_forms.upload(tool.ctx, one) for one in shown], "next_cursor": following})


async def delete_file(tool: ToolContext, given: NameFile) -> ToolAnswer:
    """Delete one file; its link stops working."""
    file_id = parse_file_name(given.file_id)
    if file_id is None:
        raise NotFound("no such file")
    await files.delete(tool.ctx, tool.who, tool.team, file_id)
    return ToolAnswer({"file_id": given.file_id, "deleted": True})
