"""Styles, scripts and small pictures: read once, named by their content, so that browsers may keep them for ever."""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from modellix_server.web.compression import LEAST_BYTES, LEVEL

_SCRIPT = "text/javascript; charset=utf-8"
_WEBP = "image/webp"
_TYPES = {"css": "text/css; charset=utf-8", "mjs": _SCRIPT, "js": _SCRIPT, "svg": "image/svg+xml", "webp": _WEBP}
_FOR_EVER = "public, max-age=31536000, immutable"


class _Asset(NamedTuple):
    body: bytes
    content_type: str
    version: str
    zipped: bytes | None
    """The same compressed, for what compresses well."""


class Assets:
    """The files of this room's folder `static`, and of that of the room whose pages use them."""

    def __init__(self, package: str, at: str = "/static/") -> None:
        """`at` is the path that the files are below."""
        self._at = at
        self._assets = {
            name: asset for room in (__package__, package) for name, asset in _read(files(room).joinpath("static"), "")
        }

    def url(self, name: str) -> str:
        """Where a page finds a file; KeyError for one that does not exist."""
        return f"{self._at}{name}?v={self._assets[name].version}"

    def picture_of(self, slug: str) -> str | None:
        """Where a page finds the small picture of a model; None for a model of the operator's own."""
        name = f"models/{slug}.webp"
        return self.url(name) if name in self._assets else None

    async def endpoint(self, request: Request) -> Response:
        """Answer `GET …/static/{name}`."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return PlainTextResponse("Not Found", 404)
        current = request.query_params.get("v") == asset.version
        headers = {"Cache-Control": _FOR_EVER if current else "no-cache", "ETag": f'"{asset.version}"'}
        if asset.zipped is None or "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(asset.body, media_type=asset.content_type, headers=headers)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(asset.zipped, media_type=asset.content_type, headers=headers)


def _read(folder: Traversable, prefix: str) -> list[tuple[str, _Asset]]:
    found = []
    for file in folder.iterdir():
        if file.is_dir():
            found += _read(file, f"{prefix}{file.name}/")
        elif kind := _TYPES.get(file.name.rpartition(".")[2]):
            body = file.read_bytes()
            zipped = gzip.compress(body, LEVEL, mtime=0) if len(body) >= LEAST_BYTES and kind != _WEBP else None
            found.append((prefix + file.name, _Asset(body, kind, hashlib.sha256(body).hexdigest()[:12], zipped)))
    return found
