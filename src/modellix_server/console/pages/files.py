"""Files that a team uploads to use them as inputs."""

from __future__ import annotations

from starlette.responses import JSONResponse, RedirectResponse, Response

from modellix_server.base.errors import InvalidFormat, NotFound, PlatformError
from modellix_server.base.ids import file_name, parse_file_name
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import files
from modellix_server.results import MOST_UPLOAD_BYTES, Upload, UploadBody

_A_PAGE = 50


async def show(request: PageRequest) -> Response:
    """The files of the team in this mode, and the form for another."""
    return await _page(request)


async def add(request: PageRequest) -> Response:
    """Receive one file of a form."""
    try:
        await _receive(request)
    except PlatformError as error:
        return await _page(request, problem=error)
    return RedirectResponse("/console/files", 303)


async def delete(request: PageRequest) -> Response:
    """Delete a file: its link and id stop working at once."""
    found = parse_file_name(request.path_params["file_id"])
    if found is None:
        raise NotFound(_("there is no such file"))
    await files.delete(request.ctx, request.who, request.who.team, found)
    return RedirectResponse("/console/files", 303)


async def upload(request: PageRequest) -> Response:
    """Receive one file for a script: its id, kind and link, or why it is refused."""
    try:
        kept = await _receive(request)
    except PlatformError as error:
        return JSONResponse({"detail": error.detail}, error.status)
    link = kept.link(request.ctx.settings)
    return JSONResponse({"id": file_name(kept.id), "kind": kept.kind, "url": link, "name": kept.filename})


async def _receive(request: PageRequest) -> Upload:
    """Raises what `files.receive` raises."""
    headers = request.headers
    length = headers.get("content-length", "")
    body = UploadBody(headers.get("content-type", ""), int(length) if length.isdigit() else None, request.stream())
    return await files.receive(request.ctx, request.who, request.who.team, body)


async def _page(request: PageRequest, problem: PlatformError | None = None) -> Response:
    ctx, who, filters = request.ctx, request.who, PageFilters(request)
    after = filters.text("after")
    before = parse_file_name(after) if after else None
    if after and before is None:
        raise InvalidFormat(_("this is no place in the list"))
    found = await files.list_all(ctx, who, who.team, before=before, most=_A_PAGE)
    return request.render(
        "files/files.html",
        problem.status if problem else 200,
        files=[(file_name(one.id), one, one.link(ctx.settings)) for one in found],
        next=filters.url(after=file_name(found[-1].id)) if len(found) == _A_PAGE else None,
        filters=filters,
        origin=ctx.settings.public_origin,
        problem=problem.detail if problem else "",
        most=MOST_UPLOAD_BYTES,
        quota=ctx.settings.upload_quota_bytes,
        days=ctx.settings.upload_ttl_s // 86_400,
    )
