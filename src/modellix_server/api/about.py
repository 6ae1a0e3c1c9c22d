"""Routes about the platform itself: its health, and the OpenAPI document."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute

from modellix_server.api.dispatch import CLOSED, Request
from modellix_server.base.errors import NotFound, Unavailable
from modellix_server.catalogue import Catalogue
from modellix_server.openapi.document import describe, of_model, of_provider

_READY_TIMEOUT_S = 2.0
_HEADERS = {
    "Cache-Control": "public, max-age=300",
    "Vary": "accept-encoding",
    "Content-Security-Policy": CLOSED,
    # It is public, and browser tools that read such documents run on other origins.
    "Access-Control-Allow-Origin": "*",
}


async def healthy(request: Request) -> Response:
    """`GET /healthz`: the process answers."""
    return request.success({"status": "ok"})


async def ready(request: Request) -> Response:
    """`GET /readyz`: the database answers, so submissions can be accepted, and the process is not draining."""
    if request.ctx.draining.is_set():
        raise Unavailable("this process is about to end", retry_after_s=1)
    await request.ctx.check_database(_READY_TIMEOUT_S)
    return request.success({"status": "ready"})


class Document:
    """The document as sent, plain and gzipped (a tenth of the size); compressed once."""

    def __init__(self) -> None:
        self._encoded = b""
        self._providers: set[str] = set()
        self._made: dict[str, tuple[bytes, bytes, str]] = {}
        """By provider or slug of a model; the whole one under an empty name."""

    def write(self, routes: Iterable[BaseRoute], catalogue: Catalogue, origin: str) -> None:
        """Generate it; called once, when all routes are known, its own included. Raises Undescribed."""
        self._encoded = msgspec.json.encode(describe(routes, catalogue, origin))
        self._providers = {model.provider for model in catalogue}
        self._made = {"": _packed(self._encoded)}

    async def openapi(self, request: Request) -> Response:
        """`GET /openapi.json`: the OpenAPI document, with the models of this installation."""
        return _sent(request, self._made[""])

    async def of_provider(self, request: Request) -> Response:
        """`GET /openapi/{provider}.json`: the same with the models of one provider. Raises NotFound."""
        name: str = request.path_params["provider"]
        if name not in self._made and name in self._providers:
            self._made[name] = _packed(msgspec.json.encode(of_provider(msgspec.json.decode(self._encoded), name)))
        if not name or name not in self._made:
            raise NotFound("there is no such provider")
        return _sent(request, self._made[name])

    async def of_model(self, request: Request) -> Response:
        """`GET /models/{provider}/{model}/api_schema`: the submission of one model. Raises NotFound."""
        model = request.ctx.catalogue.named("{provider}/{model}".format(**request.path_params))
        if model.slug not in self._made:
            self._made[model.slug] = _packed(msgspec.json.encode(of_model(msgspec.json.decode(self._encoded), model)))
        return _sent(request, self._made[model.slug])


def _packed(plain: bytes) -> tuple[bytes, bytes, str]:
    """A document as it is, compressed, and its tag."""
    return plain, gzip.compress(plain, mtime=0), hashlib.sha256(plain).hexdigest()[:32]


def _sent(request: Request, made: tuple[bytes, bytes, str]) -> Response:
    plain, packed, tag = made
    takes = _takes_gzip(request.headers.get("accept-encoding", ""))
    headers = _HEADERS | {"ETag": f'"{tag}-gzip"' if takes else f'"{tag}"'}
    if _known(request.headers.get("if-none-match", ""), tag):
        return Response(None, 304, headers)
    if takes:
        headers["Content-Encoding"] = "gzip"
    return Response(packed if takes else plain, 200, headers, "application/json")


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding accepts gzip (RFC 9110, 12.5.3)."""
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "").rstrip("0") not in ("q=", "q=0.")
    return False


def _known(given: str, tag: str) -> bool:
    """Whether an If-None-Match names the document in either encoding (weak comparison, RFC 9110, 13.1.2)."""
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    return bool(tags & {"*", f'"{tag}"', f'"{tag}-gzip"'})
