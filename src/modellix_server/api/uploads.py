"""Files that a team uploads to use them as inputs: `/media/files`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.multipart import received_file
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, success_of
from modellix_server.api.request import Request
from modellix_server.base.errors import InvalidFormat, NotFound, OutOfRange, Unavailable
from modellix_server.base.ids import file_name, parse_file_name
from modellix_server.results import Upload
from modellix_server.tasks import ConcurrencyExceeded

_MOST_LISTED = 100
_AT_ONCE = 2
"""Of a team in this process."""
_AT_ONCE_OF_ALL = 32
"""They lie in the spool while they come."""


async def upload_file(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`POST /media/files`: keep one file, the part `file` of a multipart body."""
    caller, verdict = await admit(platform, request, trail)
    uploads = platform.uploads
    await uploads.require_room(caller.team_id, 1, live=caller.live)
    with _turn(platform.uploading, caller.team_id):
        async with received_file(request, platform.spool) as file:
            upload = await uploads.add(
                caller.team_id, file.path, file.sha256, file.format.kind, file.filename, live=caller.live
            )
    return success_of(_public(platform, upload), verdict)


@contextmanager
def _turn(uploading: Counter[int], team_id: int) -> Iterator[None]:
    if uploading[team_id] >= _AT_ONCE:
        raise ConcurrencyExceeded(f"team limit of {_AT_ONCE} uploads at once", retry_after_s=5)
    if uploading.total() >= _AT_ONCE_OF_ALL:
        raise Unavailable("too many uploads at once", retry_after_s=5)
    uploading[team_id] += 1
    try:
        yield
    finally:
        uploading[team_id] -= 1
        if not uploading[team_id]:
            del uploading[team_id]


async def list_files(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /media/files`: the team's files, newest first, `limit` of them, from `cursor` on."""
    caller, verdict = await admit(platform, request, trail)
    limit = _limit(request.query.get("limit", str(_MOST_LISTED)))
    before = None
    if (cursor := request.query.get("cursor")) is not None and (before := parse_file_name(cursor)) is None:
        raise InvalidFormat("parameter 'cursor' must be the next_cursor of an earlier answer")
    page = await platform.uploads.page(caller.team_id, before, limit + 1, live=caller.live)
    shown = page[:limit]
    data = {
        "files": [_public(platform, upload) for upload in shown],
        "next_cursor": file_name(shown[-1].id) if len(page) > limit else None,
    }
    return success_of(data, verdict)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise InvalidFormat("parameter 'limit' must be a whole number")
    if not 1 <= int(text) <= _MOST_LISTED:
        raise OutOfRange(f"parameter 'limit' must be between 1 and {_MOST_LISTED}, got {int(text)}")
    return int(text)


async def delete_file(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`DELETE /media/files/{file_id}`: forget one; its link is dead from now on, and its bytes count no more."""
    caller, verdict = await admit(platform, request, trail)
    name = request.params["file_id"]
    file_id = parse_file_name(name)
    if file_id is None:
        raise NotFound("no such file")
    await platform.uploads.delete(caller.team_id, file_id, live=caller.live)
    return success_of({"file_id": name, "deleted": True}, verdict)


def _public(platform: Platform, upload: Upload) -> dict[str, Any]:
    return {
        "file_id": file_name(upload.id),
        "type": upload.kind,
        "url": upload.link(platform.settings),
        "filename": upload.filename,
        "size": upload.size,
        "created_at": int(upload.created_at.timestamp() * 1000),
        "expires_at": int(upload.expires_at.timestamp() * 1000),
    }
