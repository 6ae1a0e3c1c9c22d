"""`GET /openapi.json`: bytes made once, with a tag that tells whether they have changed."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable

import msgspec
from starlette.routing import BaseRoute

from modellix_server.api.exchange import RequestContext
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Headers, Reply
from modellix_server.api.request import Request
from modellix_server.api.security import CLOSED
from modellix_server.catalogue import Catalogue
from modellix_server.openapi.document import describe

_HEADERS: Headers = [
    (b"cache-control", b"public, max-age=300"),
    (b"vary", b"accept-encoding"),
    (b"content-security-policy", CLOSED.encode()),
    # It holds nothing that not everybody may have, and readers of such documents are pages of other origins.
    (b"access-control-allow-origin", b"*"),
]


class Document:
    """The document as it is sent, plain and packed: it is ten times smaller packed, and packed once."""

    def __init__(self) -> None:
        self._plain = self._packed = b""
        self._tag = ""

    def write(self, routes: Iterable[BaseRoute], catalogue: Catalogue, origin: str) -> None:
        """Make it: to be called once, when all routes are known, its own among them. Raises Undescribed."""
        self._plain = msgspec.json.encode(describe(routes, catalogue, origin))
        self._packed = gzip.compress(self._plain, mtime=0)
        self._tag = hashlib.sha256(self._plain).hexdigest()[:32]

    async def openapi(self, _platform: Platform, request: Request, _trail: RequestContext) -> Reply:
        """`GET /openapi.json`: the OpenAPI document of all that is here, this installation's models included."""
        packed = _takes_gzip(request.header(b"accept-encoding"))
        tag = f'"{self._tag}-gzip"' if packed else f'"{self._tag}"'
        headers = [*_HEADERS, (b"etag", tag.encode())]
        if _known(request.header(b"if-none-match"), self._tag):
            return Reply(304, b"", headers)
        headers.append((b"content-type", b"application/json"))
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        return Reply(200, self._packed if packed else self._plain, headers)


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding names gzip, and not to refuse it (RFC 9110, 12.5.3)."""
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "").rstrip("0") not in ("q=", "q=0.")
    return False


def _known(given: str, tag: str) -> bool:
    """Whether an If-None-Match names the document, in whichever packing (RFC 9110, 13.1.2: compared weakly)."""
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    return bool(tags & {"*", f'"{tag}"', f'"{tag}-gzip"'})
