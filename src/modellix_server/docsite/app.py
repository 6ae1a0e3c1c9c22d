"""The site over HTTP: pages, their Markdown, the search, and what programs look for first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from modellix_server.base.errors import InvalidParameters, Unavailable
from modellix_server.docsite import for_programs, navigation
from modellix_server.docsite.live import DocSite
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.render import SiteRenderer
from modellix_server.docsite.search import Filter
from modellix_server.docsite.site import Library
from modellix_server.docsite.written import shown_files
from modellix_server.web.assets import Assets
from modellix_server.web.compression import LEAST_BYTES, LEVEL, compressed, packed, with_packed
from modellix_server.web.texts import LANGUAGES

_TYPES = {"svg": "image/svg+xml", "webp": "image/webp", "json": "application/json", "yaml": "text/plain; charset=utf-8"}
_OTHER_LANGUAGE = re.compile(r"([a-z]{2}(?:-[A-Za-z]{2,4})?)(?:/(.*))?")
_MARKDOWN = "text/markdown; charset=utf-8"
_CLOSED = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
_AN_HOUR = "public, max-age=3600"
_MOST_SHOWN = 20
_MOST_KEPT = 256
"""Rendered pages; all of them would be some ten megabytes."""

Scope = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]


def build_docsite(site: DocSite, others: App) -> App:
    """An application of the documentation's addresses; `others` answers all the rest.

    Where the documentation has a host of its own, it is at the root there, and `/docs` elsewhere leads to it.
    """
    pages = _Pages(site)
    app = Starlette(
        routes=pages.routes(),
        middleware=[Middleware(GZipMiddleware, minimum_size=LEAST_BYTES, compresslevel=LEVEL)],
        exception_handlers={HTTPException: pages.refuse},
    )
    app.router.redirect_slashes = False

    async def answer(scope: Scope, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if site.where.base:
            mine = path == "/docs" or path.startswith("/docs/") or path in for_programs.PATHS
        else:
            mine = pages.is_own_host(scope)
            if not mine and (path == "/docs" or path.startswith("/docs/")):
                there = f"{site.where.site}{path.removeprefix('/docs')}"
                await RedirectResponse(there, 308)(scope, receive, send)
                return
            mine = mine or path in for_programs.PATHS
        await (app if mine else others)(scope, receive, send)

    return answer


class _KeptText(NamedTuple):
    """A text for programs as it is sent."""

    body: bytes
    tag: str
    packed: bytes
    kind: str
    """Its content type."""


class _Pages:
    """The endpoints."""

    def __init__(self, site: DocSite) -> None:
        self._site = site
        self._base = site.where.base
        self._assets = Assets("modellix_server.docsite", f"{self._base}/static/")
        self._renderer = SiteRenderer(site.where, self._assets)
        self._rendered: dict[tuple[str, str, str], str] = {}
        self._texts: dict[str, _KeptText] = {}
        """What is for programs, by its path."""
        self._of: Library | None = None

    def routes(self) -> list[Route]:
        """All of them."""
        base = self._base
        return [
            *(Route(path, self._for_programs, methods=["GET"]) for path in for_programs.PATHS),
            *(Route(base + path, self._for_programs, methods=["GET"]) for path in for_programs.PATHS if base),
            Route(f"{base}/static/{{name:path}}", self._assets.endpoint, methods=["GET"]),
            Route(f"{base}/files/{{name:path}}", self._file, methods=["GET"]),
            *(Route(f"{base}{part}/search", self._search, methods=["GET"]) for part in ("", *_PARTS)),
            *([Route(base, self._page, methods=["GET"])] if base else []),
            Route(f"{base}/{{path:path}}", self._page, methods=["GET"]),
        ]

    def is_own_host(self, scope: Scope) -> bool:
        """Whether a request was sent to the host of the documentation."""
        own = self._site.where.site.partition("://")[2].encode()
        return any(name == b"host" and host.lower() == own for name, host in scope["headers"])

    async def _beside(self, request: Request, make: Callable[..., Response], *given: Any) -> Response:
        """An answer that is made, and compressed, beside the event loop."""

        def made() -> Response:
            return compressed(request, make(request, *given))

        return await self._site.aside.run(_address(request), made)

    async def _page(self, request: Request) -> Response:
        library = await self._site.library()
        path = request.url.path[len(self._base) :].strip("/")
        language, slug = _language_and_slug(library, path)
        as_markdown = slug.endswith(".md")
        slug = slug.removesuffix(".md") or navigation.FIRST
        page = library.find(slug, language)
        if page is not None:
            return await self._beside(request, partial(self._shown, as_markdown=as_markdown), library, page, language)
        if there := _elsewhere(library, slug, language, ".md" if as_markdown else ""):
            return there
        return await self._missing(request, library, slug, language, as_markdown=as_markdown)

    def _shown(
        self, request: Request, library: Library, page: DocPage, language: str, *, as_markdown: bool
    ) -> Response:
        if as_markdown or _prefers_markdown(request):
            text = for_programs.page_as_markdown(library, page, _asked(request) or language)
            return _text(request, text, _MARKDOWN, {"Vary": "Accept", "X-Llms-Txt": f"{library.where.site}/llms.txt"})
        body = self._kept(library, page, language, _asked(request))
        text = f'<{library.url(page.slug, language)}.md>; rel="alternate"; type="text/markdown"'
        links = f'<{library.where.site}/llms.txt>; rel="llms-txt", {text}'
        headers = {"Vary": "Accept", "Link": links, "Content-Security-Policy": self._renderer.policy}
        return _text(request, body, "text/html; charset=utf-8", headers)

    def _kept(self, library: Library, page: DocPage, language: str, asked: str) -> str:
        """A page as HTML, rendered when it is first read; `asked` is a language that there is not."""
        if asked:
            return self._renderer.page(library, page, language, asked)
        if self._of is not library:
            self._forget(library)
        key = (page.language, page.slug, language)
        if key not in self._rendered:
            if len(self._rendered) >= _MOST_KEPT:
                self._rendered.pop(next(iter(self._rendered)))
            self._rendered[key] = self._renderer.page(library, page, language)
        return self._rendered[key]

    def _forget(self, library: Library) -> None:
        """Keep what is made of this library from now on, and nothing of another one."""
        self._of, self._rendered, self._texts = library, {}, {}

    async def _search(self, request: Request) -> Response:
        library = await self._site.library()
        language, _slug = _language_and_slug(library, request.url.path[len(self._base) :].strip("/"))
        query, kind = request.query_params.get("q", ""), request.query_params.get("kind", "")
        piece = request.headers.get("hx-request") == "true"
        kinds = frozenset(one for one in Kind if one.value == kind)
        hits, problem = [], ""
        try:
            wanted = Filter(language, kinds, version=request.query_params.get("version", ""))
            hits = await self._site.search(_address(request), query, wanted, _MOST_SHOWN, typing=piece)
        except (InvalidParameters, Unavailable) as error:
            problem = error.detail

        def answer(request: Request) -> Response:
            body = self._renderer.hits(library, hits, query, kind, problem, language, piece=piece)
            headers = {"Vary": "HX-Request", "Content-Security-Policy": self._renderer.policy}
            return _text(request, body, "text/html; charset=utf-8", headers)

        return await self._beside(request, answer)

    async def _for_programs(self, request: Request) -> Response:
        library = await self._site.library()
        path = request.url.path
        if self._base and path.startswith(f"{self._base}/"):
            path = path[len(self._base) :]
        kept = self._texts.get(path) if self._of is library else None
        if kept is None:
            kept = await self._site.aside.run(_address(request), self._kept_text, library, path)
        answer = _answer(request, kept.body, kept.tag, kept.kind, {"Access-Control-Allow-Origin": "*"})
        return answer if answer.status_code == 304 else with_packed(request, answer, kept.packed)

    def _kept_text(self, library: Library, path: str) -> _KeptText:
        """Made once: the whole documentation in one takes 50 ms to put together, and to compress."""
        if self._of is not library:
            self._forget(library)
        if path not in self._texts:
            text, kind = for_programs.PATHS[path](library)
            body = text.encode()
            self._texts[path] = _KeptText(body, _tag_of(body), packed(body), kind)
        return self._texts[path]

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = shown_files().get(name)
        if body is None:
            raise HTTPException(404)
        kind = _TYPES.get(name.rpartition(".")[2], "text/plain; charset=utf-8")
        return Response(body, media_type=kind, headers={"Content-Security-Policy": _CLOSED, "Cache-Control": _AN_HOUR})

    async def refuse(self, request: Request, error: Exception) -> Response:
        """The answer to what no route takes."""
        assert isinstance(error, HTTPException)
        return await self._missing(request, await self._site.library(), "", "en", error.status_code)

    async def _missing(
        self,
        request: Request,
        library: Library,
        slug: str,
        language: str,
        status: int = 404,
        *,
        as_markdown: bool = False,
    ) -> Response:
        words = slug.replace("/", " ").replace("-", " ")
        try:
            hits = await self._site.search(_address(request), words, Filter(language), 5)
        except Unavailable:
            hits = []

        def answer(request: Request) -> Response:
            if as_markdown or _prefers_markdown(request):
                text = for_programs.missing(library, hits)
                return Response(text, status, {"Content-Security-Policy": _CLOSED}, _MARKDOWN)
            body = self._renderer.missing(library, hits, language)
            headers = {"Content-Security-Policy": self._renderer.policy}
            return Response(body, status, headers, "text/html; charset=utf-8")

        return await self._beside(request, answer)


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


_PARTS = tuple(f"/{language}" for language in LANGUAGES if language != "en")


def _language_and_slug(library: Library, path: str) -> tuple[str, str]:
    """What an address asks for. A provider may be called like a language: its pages win."""
    first, _, rest = path.partition("/")
    if first in LANGUAGES and library.find(path.removesuffix(".md"), "en") is None:
        return first, rest
    return "en", path


def _elsewhere(library: Library, slug: str, language: str, end: str) -> Response | None:
    """A page's present address; for a language that there is not, the English page, which says so."""
    if known := library.known_as(slug):
        return RedirectResponse(library.path(known, language) + end, 308)
    if other := _OTHER_LANGUAGE.fullmatch(slug):
        name = other[2] or navigation.FIRST
        known = name if library.find(name, "en") else library.known_as(name)
        if known:
            return RedirectResponse(f"{library.path(known, 'en')}{end}?language={other[1]}", 302)
    return None


def _asked(request: Request) -> str:
    """A language that there is not, and that the reader was led to English from."""
    given = request.query_params.get("language", "")
    return given if given not in LANGUAGES and _OTHER_LANGUAGE.fullmatch(given) and "/" not in given else ""


def _prefers_markdown(request: Request) -> bool:
    """Whether an Accept header names Markdown and not HTML before it."""
    for one in request.headers.get("accept", "").split(","):
        kind = one.partition(";")[0].strip().lower()
        if kind in ("text/markdown", "text/x-markdown"):
            return True
        if kind == "text/html":
            return False
    return False


def _tag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _text(request: Request, text: str, kind: str, headers: dict[str, str]) -> Response:
    body = text.encode()
    return _answer(request, body, _tag_of(body), kind, headers)


def _answer(request: Request, body: bytes, tag: str, kind: str, headers: dict[str, str]) -> Response:
    """An answer that may be kept, and is asked for again with its tag."""
    headers = {"Content-Security-Policy": _CLOSED, "Cache-Control": "no-cache", "ETag": tag, **headers}
    given = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in given or "*" in given:
        return Response(None, 304, headers)
    return Response(body, 200, headers, kind)
