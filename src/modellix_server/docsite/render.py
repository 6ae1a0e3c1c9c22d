"""Pages as HTML: the frame with navigation, languages and search around what Markdown says."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from modellix_server.docsite import navigation
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.search import VERSION, Hit
from modellix_server.docsite.site import Library, SiteAddress
from modellix_server.web.assets import Assets
from modellix_server.web.page_template import PageTemplate
from modellix_server.web.texts import LANGUAGES, texts_of

_SHORT = 220
_NAMES = {"en": "English", "zh": "中文"}


class SiteRenderer:
    """Makes pages of the library."""

    def __init__(self, where: SiteAddress, assets: Assets) -> None:
        self._environments = {language: _environment(language, assets) for language in LANGUAGES}
        self.policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            f"img-src 'self' {where.origin} data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )

    def page(self, library: Library, page: DocPage, language: str, asked: str = "") -> str:
        """A page of the documentation; `asked` is a language that there is not."""
        texts = texts_of(__package__, language)

        document = page.document

        def resolve(target: str) -> str:
            found = library.resolve(page, target, language)
            return target if found is None else found

        shown = self._show(
            "page.html",
            library,
            language,
            page.slug,
            page=page,
            asked=asked,
            body=document.html(resolve, texts.gettext("Copy")),
            sections=[one for one in document.sections if one.level == 2],
        )
        page.rest()
        return shown

    def hits(
        self, library: Library, hits: list[Hit], query: str, kind: str, problem: str, language: str, *, piece: bool
    ) -> str:
        """What was found: a page, or for a script the list alone."""
        values = {"hits": hits, "query": query, "kind": kind, "problem": problem, "kinds": list(Kind)}
        if piece:
            return (
                self._environments[language]
                .get_template("hits.html")
                .render(**values, path=library.path, language=language)
            )
        return self._show("search.html", library, language, "search", **values)

    def missing(self, library: Library, hits: list[Hit], language: str) -> str:
        """The page for an address that does not exist, with what may be meant."""
        return self._show("missing.html", library, language, navigation.FIRST, hits=hits, query="", problem="")

    def _show(self, template: str, library: Library, language: str, slug: str, **values: Any) -> str:
        texts = texts_of(__package__, language)
        languages = [(one, _NAMES[one], library.path(slug, one)) for one in LANGUAGES]
        return (
            self._environments[language]
            .get_template(template)
            .render(
                language=language,
                languages=languages,
                version=f"v{VERSION}",
                slug=slug,
                groups=navigation.groups(library, language, slug, texts.gettext),
                path=library.path,
                base=library.where.base,
                origin=library.where.origin,
                first=navigation.FIRST,
                **values,
            )
        )


def _environment(language: str, assets: Assets) -> Environment:
    environment = Environment(
        loader=PackageLoader("modellix_server.docsite"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.template_class = PageTemplate
    texts = texts_of(__package__, language)
    environment.install_gettext_callables(texts.gettext, texts.ngettext, newstyle=True, pgettext=texts.pgettext)  # type: ignore[attr-defined]
    environment.globals["asset"] = assets.url
    environment.filters["kind"] = lambda kind: _kind(kind, texts.gettext)
    environment.filters["passage"] = _passage
    return environment


def _kind(kind: Kind, _: Any) -> str:
    return str(
        {
            Kind.GUIDE: _("Guide"),
            Kind.MODEL: _("Model"),
            Kind.ENDPOINT: _("API route"),
            Kind.ERROR: _("Error"),
            Kind.SETTING: _("Setting"),
            Kind.COMMAND: _("Command"),
            Kind.METRIC: _("Metric"),
            Kind.DESIGN: _("Design"),
        }[kind]
    )


def _passage(text: str) -> str:
    """The beginning of a passage as plain text."""
    shown = re.sub(r"!\[[^\]]*\]\([^)]*\)|^```\w*$|\]\([^)]*\)|[`|*#\[\]\\]|-{3,}", " ", text, flags=re.MULTILINE)
    kept = " ".join(shown.split())
    return kept if len(kept) <= _SHORT else f"{kept[:_SHORT].rsplit(' ', 1)[0]}…"
