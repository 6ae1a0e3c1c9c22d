"""All pages of this installation, as they are now: found by address, linked with each other, and searched."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote

from modellix_server.docsite import navigation
from modellix_server.docsite.chunks import Chunk, chunks_of
from modellix_server.docsite.generated import commands, endpoints, errors, metrics, models, settings
from modellix_server.docsite.markdown import relinked
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.written import REPOSITORY_ONLY, shown_files, written_pages
from modellix_server.operations.models import ModelDetails
from modellix_server.web.texts import LANGUAGES, texts_of


class SiteAddress(NamedTuple):
    """The addresses that pages are made with."""

    origin: str
    """Of the API."""
    base: str
    """Path of the site: `/docs`, or nothing where it has a host of its own."""
    site: str
    """The same with its origin."""


class Library:
    """The pages at one moment. Nothing in it changes."""

    def __init__(self, pages: list[DocPage], where: SiteAddress) -> None:
        self.where = where
        self.hits: dict[Hashable, Any] = {}
        """What the search shows of each piece that it ever found."""
        self.pages: dict[tuple[str, str], DocPage] = {}
        self._sections: dict[str, list[navigation.NavigationSection]] = {}
        self._pieces: dict[tuple[str, str], list[Chunk]] = {}
        for page in pages:
            self.pages.setdefault((page.language, page.slug), page)

    @classmethod
    def of_pieces(cls, pages: list[tuple[DocPage, list[Chunk]]], where: SiteAddress) -> Library:
        """One whose pages are in pieces already."""
        made = cls([page for page, _pieces in pages], where)
        made._pieces = {(page.language, page.slug): pieces for page, pieces in pages}
        return made

    def pieces_of(self, page: DocPage) -> list[Chunk]:
        """What the search finds of a page."""
        key = page.language, page.slug
        if key not in self._pieces:
            self._pieces[key] = list(chunks_of(page))
            page.rest()
        return self._pieces[key]

    def find(self, slug: str, language: str) -> DocPage | None:
        """A page in a language, or in English where it is not translated."""
        return self.pages.get((language, slug)) or self.pages.get(("en", slug))

    def known_as(self, name: str) -> str | None:
        """The page that an address meant elsewhere or before, or that has this name: `alibaba/wan2.6-t2v`."""
        return navigation.MOVED.get(name) or self._by_name.get(name)

    def in_language(self, language: str) -> Iterator[DocPage]:
        """Every page once, in the language as far as it is translated, in the order of addresses."""
        slugs = sorted({slug for _language, slug in self.pages})
        return (page for slug in slugs if (page := self.find(slug, language)))

    def sections(self, language: str) -> list[navigation.NavigationSection]:
        """The sections of the navigation; made once, as each page that is rendered shows them."""
        if language not in self._sections:
            self._sections[language] = navigation.sections_of(self, language)
        return self._sections[language]

    def path(self, slug: str, language: str) -> str:
        """Where a page is shown."""
        return f"{self.where.base}/{slug}" if language == "en" else f"{self.where.base}/{language}/{slug}"

    def url(self, slug: str, language: str) -> str:
        """The same with the site's origin."""
        return self.where.site + self.path(slug, language)[len(self.where.base) :]

    def resolve(self, page: DocPage, target: str, language: str) -> str | None:
        """Where a link of a page leads; empty for a file of the repository alone, None where there is nothing."""
        if target.startswith(("http://", "https://", "mailto:")):
            return target
        path, _, anchor = unquote(target).partition("#")
        if not path:
            return target if anchor in page.anchors else None
        if path.startswith("/") and not path.startswith("/docs"):
            return f"{self.where.origin}{target}"
        if path.startswith("/docs/files/"):
            name = path.removeprefix("/docs/files/")
            return f"{self.where.base}/files/{name}" if name in shown_files() else None
        if path.startswith("/docs"):
            slug = path.removeprefix("/docs").strip("/") or navigation.FIRST
        else:
            place = _joined(page.place, path)
            if place in shown_files():
                return f"{self.where.base}/files/{place}"
            if place in REPOSITORY_ONLY:
                return ""
            slug = self._by_place.get(place, "")
        for one in (language, "en"):
            found = self.find(slug, one)
            if found and (not anchor or anchor in found.anchors):
                return self.path(slug, one) + (f"#{anchor}" if anchor else "")
        return None

    def markdown(self, page: DocPage, language: str) -> str:
        """A page as Markdown, with absolute links to other pages as Markdown."""
        return self.relinked(page, page.text, language)

    def relinked(self, page: DocPage, text: str, language: str) -> str:
        """The same of a part of a page."""

        def resolve(target: str) -> str:
            found = self.resolve(page, target, language) or target
            if found.startswith(f"{self.where.base}/") and not found.startswith(f"{self.where.base}/files/"):
                path, mark, anchor = found.partition("#")
                return f"{self.where.site}{path[len(self.where.base) :]}.md{mark}{anchor}"
            return found if not found.startswith("/") else f"{self.where.site}{found[len(self.where.base) :]}"

        return relinked(text, resolve)

    def passage(self, chunk: Chunk, language: str) -> tuple[str, str]:
        """Where a piece of a page is, and its Markdown with absolute links."""
        url = self.url(chunk.page.slug, language) + (f"#{chunk.anchor}" if chunk.anchor else "")
        return url, self.relinked(chunk.page, chunk.source, language)

    @cached_property
    def chunks(self) -> dict[str, list[Chunk]]:
        """What the search finds, by language and number; a page that is not translated is found in English."""
        return {
            language: [chunk for page in self.in_language(language) for chunk in self.pieces_of(page)]
            for language in LANGUAGES
        }

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {page.names[0]: page.slug for page in self.pages.values() if page.kind is Kind.MODEL}

    @cached_property
    def _by_place(self) -> dict[str, str]:
        return {page.place: page.slug for page in self.pages.values() if page.place}


def make_library(details: list[ModelDetails], where: SiteAddress) -> Library:
    """All pages, parsed and in pieces."""
    pages = [*written_pages(), *(page for language in LANGUAGES for page in _generated(details, where, language))]
    made = Library(pages, where)
    _ = made.chunks
    return made


def _generated(details: list[ModelDetails], where: SiteAddress, language: str) -> Iterator[DocPage]:
    texts = texts_of("modellix_server.docsite", language)

    def told(text: str) -> str:
        return texts.pgettext("model", text)

    def said(text: str) -> str:
        return texts.pgettext("reference", text)

    providers = dict.fromkeys(one.model.provider for one in details)
    yield from endpoints.endpoint_pages(where.origin, providers, language, texts.gettext, said)
    yield from errors.error_pages(language, texts.gettext)
    yield from settings.setting_pages(language, texts.gettext, said)
    yield from commands.command_pages(language, texts.gettext, said)
    yield from metrics.metric_pages(language, texts.gettext, said)
    yield models.pricing_page(details, language, texts.gettext)
    yield models.models_page(details, language, texts.gettext, told)
    yield models.new_models_page(details, language, texts.gettext)
    for one in details:
        yield models.model_page(one, where.origin, language, texts.gettext, told)


def _joined(place: str, path: str) -> str:
    """A path that stands in a file, from the top of the repository."""
    parts = place.split("/")[:-1]
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
