"""Files that a team uploads to use them as inputs: `/media/files`."""

from __future__ import annotations

from starlette.responses import Response

from modellix_server.api.dispatch import Request
from modellix_server.api.parsing import within
from modellix_server.base.errors import InvalidFormat, NotFound
from modellix_server.base.ids import file_name, parse_file_name
from modellix_server.operations import files, public_forms
from modellix_server.results import UploadBody

_MOST_LISTED = 100


async def upload_file(request: Request) -> Response:
    """`POST /media/files`: keep one file, the part `file` of a multipart body."""
    ctx, who, headers = request.ctx, request.who, request.headers
    length = headers.get("content-length", "")
    body = UploadBody(headers.get("content-type", ""), int(length) if length.isdigit() else None, request.stream())
    return request.success(public_forms.upload(ctx, await files.receive(ctx, who, who.team, body)))


async def list_files(request: Request) -> Response:
    """`GET /media/files`: the team's files, newest first, `limit` of them, from `cursor` on."""
    ctx, who, query = request.ctx, request.who, request.query_params
    limit = within(query, "limit", _MOST_LISTED, _MOST_LISTED)
    before = None
    if (cursor := query.get("cursor")) is not None and (before := parse_file_name(cursor)) is None:
        raise InvalidFormat("parameter 'cursor' must be the next_cursor of an earlier answer")
    found = await files.list_all(ctx, who, who.team, before=before, most=limit + 1)
    shown = found[:limit]
    following = file_name(shown[-1].id) if len(found) > limit else None
    return request.success({"files": [public_forms.upload(ctx, upload) for upload in shown], "next_cursor": following})


async def delete_file(request: Request) -> Response:
    """`DELETE /media/files/{file_id}`: delete one; its link stops working, and its bytes no longer count."""
    name, who = request.path_params["file_id"], request.who
    file_id = parse_file_name(name)
    if file_id is None:
        raise NotFound("no such file")
    await files.delete(request.ctx, who, who.team, file_id)
    return request.success({"file_id": name, "deleted": True})
