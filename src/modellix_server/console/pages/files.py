"""Files of a team."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from modellix_server.base.errors import PlatformError
from modellix_server.base.ids import file_name
from modellix_server.console.dispatch import PageRequest
from modellix_server.operations import files
from modellix_server.results import UploadBody


async def upload(request: PageRequest) -> Response:
    """Receive one file for a script: its id, kind and link, or why it is refused."""
    headers = request.headers
    length = headers.get("content-length", "")
    body = UploadBody(headers.get("content-type", ""), int(length) if length.isdigit() else None, request.stream())
    try:
        kept = await files.receive(request.ctx, request.who, request.who.team, body)
    except PlatformError as error:
        return JSONResponse({"detail": error.detail}, error.status)
    link = kept.link(request.ctx.settings)
    return JSONResponse({"id": file_name(kept.id), "kind": kept.kind, "url": link, "name": kept.filename})
