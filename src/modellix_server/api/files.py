"""Result and input files behind signed links, and samples: inert in a browser, with ranges for players."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from modellix_server.api.context import ApiContext
from modellix_server.api.dispatch import CLOSED
from modellix_server.base import time_budget
from modellix_server.base.errors import NotFound
from modellix_server.catalogue import samples
from modellix_server.inspection import FORMATS, sniff
from modellix_server.operations import files
from modellix_server.operations.context import OUT_OF_REACH
from modellix_server.results import Opened, RangeNotSatisfiable

# A browser may only display what a vendor delivered: no scripts, no sniffing, no embedded content.
_INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "private, max-age=3600",
    "Accept-Ranges": "bytes",
}

_Open = Callable[[ApiContext, str, str, str | None, str | None], Awaitable[tuple[Opened, str]]]


class _FileStream(StreamingResponse):
    """A stored file as it is read. Closes it when its client has gone, which otherwise the garbage collector would."""

    def __init__(self, opened: Opened, status: int, headers: Mapping[str, str], mime: str) -> None:
        super().__init__(opened.chunks, status, headers, mime)
        self._chunks = opened.chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._chunks.aclose()


async def result_file(request: Request) -> Response:
    """`GET /results/{task_id}/{name}` with a signed query."""
    return await _signed_file(request, files.open_result)


async def input_file(request: Request) -> Response:
    """`GET /files/{name}`: an upload by its id, or an input by its digest, for vendors to fetch."""
    return await _signed_file(request, files.open_input)


async def _signed_file(request: Request, open_file: _Open) -> Response:
    ctx: ApiContext = request.app.state.ctx
    asked = request.headers
    time_budget.begin()
    try:
        if ctx.settings.results_url and not same_origin(asked.get("host", ""), ctx.settings.results_origin):
            raise NotFound("no such result")
        byte_range = asked.get("range") if request.method == "GET" else None  # RFC 9110, 14.2
        opened, format_name = await open_file(
            ctx, request.url.path, request.url.query, byte_range, asked.get("if-range")
        )
    except (NotFound, FileNotFoundError):
        return _plain("no such result, or it has expired", 404)
    except RangeNotSatisfiable as error:
        return _plain("range not satisfiable", 416, {"Content-Range": f"bytes */{error.size}"})
    except OUT_OF_REACH:
        return _plain("the result cannot be read just now", 503, {"Retry-After": "5"})
    return send_file(opened, format_name, request.url.path, request)


def send_file(opened: Opened, format_name: str, path: str, request: Request) -> Response:
    """A file, or the part that was asked for, unless a condition says otherwise; `path` is that of its link."""
    headers = {**_INERT, "Last-Modified": opened.modified}
    if opened.tag is not None:
        headers["ETag"] = opened.tag
    if (status := _unmet(request.headers, opened)) is not None:
        return Response(None, status, headers)
    headers["Content-Length"] = str(opened.end - opened.start)
    if opened.partial:
        headers["Content-Range"] = f"bytes {opened.start}-{opened.end - 1}/{opened.size}"
    # `inline`: the name is for saving; display is safe, as nothing in the file can run.
    headers["Content-Disposition"] = f'inline; filename="{"-".join(path.split("/")[2:])}"'
    mime, status = FORMATS[format_name].mime, 206 if opened.partial else 200
    if request.method == "HEAD":
        return Response(None, status, headers, mime)
    return _FileStream(opened, status, headers, mime)


def _unmet(asked: Headers, opened: Opened) -> int | None:
    """The status of an answer without the file, as the request's conditions want it (RFC 9110, 13.2.2)."""
    if (wanted := asked.get("if-match")) is not None and not _names(wanted, opened.tag):
        return 412
    if (known := asked.get("if-none-match")) is not None:
        return 304 if _names(known.replace("W/", ""), opened.tag) else None
    try:
        since = parsedate_to_datetime(asked["if-modified-since"])
        return 304 if since >= parsedate_to_datetime(opened.modified) else None
    except (KeyError, ValueError, TypeError):  # none, or no date: to be ignored
        return None


def _names(tags: str, tag: str | None) -> bool:
    """Whether a list of tags has this one."""
    return tags.strip() == "*" or (tag is not None and tag in [one.strip() for one in tags.split(",")])


async def sample_file(request: Request) -> Response:
    """`GET /samples/{name}`: a file of the package, the same for everybody."""
    name = request.path_params["name"]
    if name not in samples.names():
        return _plain("no such sample", 404)
    sample = _sample(name)
    wanted = request.headers.get("range")
    if request.method == "HEAD" or (wanted is not None and "," not in wanted):
        return FileResponse(sample.path, headers=sample.headers, media_type=sample.mime, stat_result=sample.stat)
    return Response(sample.content, headers=sample.headers)  # several ranges get it whole, as of results


class _Sample(NamedTuple):
    """A file of the package; all of them together have less than a megabyte."""

    path: Path
    stat: os.stat_result
    mime: str
    content: bytes
    headers: Mapping[str, str]
    """Of the answer with the whole file."""


@cache
def _sample(name: str) -> _Sample:
    path = samples.FOLDER / name
    content = path.read_bytes()
    known = sniff(content)
    assert known is not None
    own = {**_INERT, "Cache-Control": "public, max-age=86400"}
    stat = path.stat()
    whole = FileResponse(path, headers=own, media_type=known.mime, stat_result=stat)
    return _Sample(path, stat, known.mime, content, dict(whole.headers))


def _plain(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(text, status, {**(headers or {}), "Content-Security-Policy": CLOSED})


def same_origin(host: str, origin: str) -> bool:
    """Whether a request with this `Host` was sent to the origin; its scheme depends on the proxy."""
    wanted = urlsplit(origin)
    usual = ":443" if wanted.scheme == "https" else ":80"
    return host.lower().removesuffix(usual) == wanted.netloc.lower().removesuffix(usual)
