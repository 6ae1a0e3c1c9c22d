"""Result files and inputs, public by their signature, and samples: inert in a browser, in ranges for players."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import Request as StarletteRequest
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from modellix_server.api.platform import Platform
from modellix_server.api.request import Receive, Scope, Send
from modellix_server.api.security import CLOSED
from modellix_server.base import time_budget
from modellix_server.base.database import UNREACHABLE
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import parse_file_name
from modellix_server.catalogue import samples
from modellix_server.inspection import FORMATS, sniff
from modellix_server.results import TROUBLE, RangeNotSatisfiable, check_file_link, check_link, stored_input_path

# Whatever a vendor delivered, a browser only ever shows it: no script, no sniffing, no embedding of other things.
_INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "private, max-age=3600",
    "Accept-Ranges": "bytes",
}


class _SignedFile:
    """`GET` of a file under a signed query."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(StarletteRequest(scope))
        await response(scope, receive, send)

    async def _find(self, path: str, query: str) -> tuple[str, str]:
        """Where the file lies in the storage, and its format. Raises NotFound."""
        raise NotImplementedError

    async def _answer(self, request: StarletteRequest) -> Response:
        settings = self._platform.settings
        time_budget.begin()
        try:
            if settings.results_url and not _same_origin(request, settings.results_origin):
                raise NotFound("no such result")
            path, format_name = await self._find(request.url.path, request.url.query)
            opened = await self._platform.storage.open(path, request.headers.get("range"))
        except (NotFound, FileNotFoundError):
            return _plain("no such result, or it has expired", 404)
        except RangeNotSatisfiable as error:
            return _plain("range not satisfiable", 416, {"Content-Range": f"bytes */{error.size}"})
        except (*TROUBLE, *UNREACHABLE):
            return _plain("the result cannot be read just now", 503, {"Retry-After": "5"})
        headers = {**_INERT, "Content-Length": str(opened.end - opened.start)}
        if opened.partial:
            headers["Content-Range"] = f"bytes {opened.start}-{opened.end - 1}/{opened.size}"
        # A name for whoever saves it. It is shown, not forced to be saved: nothing in it can run.
        headers["Content-Disposition"] = f'inline; filename="{"-".join(request.url.path.split("/")[2:])}"'
        mime = FORMATS[format_name].mime
        if request.method == "HEAD":
            return Response(None, 206 if opened.partial else 200, headers, mime)
        return StreamingResponse(opened.chunks, 206 if opened.partial else 200, headers, mime)


class ResultFileEndpoint(_SignedFile):
    """`GET /results/{task_id}/{name}` with a signed query."""

    async def _find(self, path: str, query: str) -> tuple[str, str]:
        stored = check_link(self._platform.settings, path, query)
        return stored, stored.rpartition(".")[2]


class InputFileEndpoint(_SignedFile):
    """`GET /files/{name}`: an uploaded file by its id, or an input by its digest, as vendors get it to fetch."""

    async def _find(self, path: str, query: str) -> tuple[str, str]:
        name, format_name = check_file_link(self._platform.settings, path, query)
        file_id = parse_file_name(name)
        if file_id is None:
            return stored_input_path(name), format_name
        upload = await self._platform.uploads.find(file_id)
        if upload is None:
            raise NotFound("no such file")
        return upload.path, upload.format


async def sample_file(request: StarletteRequest) -> Response:
    """`GET /samples/{name}`: a file of the package, the same for everybody."""
    path = samples.find(request.path_params["name"])
    if path is None:
        return _plain("no such sample", 404)
    known = sniff(path.read_bytes())
    assert known is not None
    return FileResponse(path, headers={**_INERT, "Cache-Control": "public, max-age=86400"}, media_type=known.mime)


def _plain(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(text, status, {**(headers or {}), "Content-Security-Policy": CLOSED})


def _same_origin(request: StarletteRequest, origin: str) -> bool:
    """Whether the request was sent to the host of this origin; the scheme is the proxy's matter."""
    wanted = urlsplit(origin)
    usual = ":443" if wanted.scheme == "https" else ":80"
    return request.headers.get("host", "").lower().removesuffix(usual) == wanted.netloc.lower().removesuffix(usual)
