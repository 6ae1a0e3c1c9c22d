"""What programs read: the index, all pages in one file, the skill, the site map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

import msgspec

from modellix_server.docsite import navigation
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.search import VERSION, Hit
from modellix_server.docsite.site import Library
from modellix_server.docsite.written import skill
from modellix_server.web.texts import LANGUAGES

_TEXT = "text/plain; charset=utf-8"
_MARKDOWN = "text/markdown; charset=utf-8"
_LATER = (Kind.DESIGN, Kind.SETTING, Kind.COMMAND, Kind.METRIC)
"""What who uses the API need not read."""
_POINTER = (
    "> The index of all pages is at {site}/llms.txt: read it to find others. Every page is also there as Markdown, "
    "with `.md` behind its address.\n\n"
)


def page_as_markdown(library: Library, page: DocPage, language: str) -> str:
    """A page for programs, with where to find the others."""
    other = ""
    if page.language != language:
        other = f"> There is no translation of this page ({language}): this is the English version.\n\n"
    return _POINTER.format(site=library.where.site) + other + library.markdown(page, language)


def missing(library: Library, hits: list[Hit]) -> str:
    """The answer to an address that does not exist."""
    lines = [f"- [{hit.title}]({hit.url})" for hit in hits]
    head = f"# There is no such page\n\nThe index of all pages: {library.where.site}/llms.txt\n"
    return head + ("\nPages that may be meant:\n\n" + "\n".join(lines) + "\n" if lines else "")


def _llms(library: Library) -> tuple[str, str]:
    count = sum(page.kind is Kind.MODEL for page in library.in_language("en"))
    about = (
        f"> One HTTP API to {count} image and video models, at {library.where.origin}. Every generation is a task: "
        f"submit it, follow it, fetch its files. Prices and pages are those of this installation, version {VERSION}."
    )
    lines = ["# Modellix", "", about, "", "## Docs", ""]
    pages = [page for group in navigation.groups(library, "en", "", str) for page in group.pages]
    lines += [_line(library, page) for page in pages if page.kind not in _LATER]
    lines += [
        "",
        "## OpenAPI Specs",
        "",
        f"- [openapi]({library.where.origin}/openapi.json): the whole API, with every model",
        *(
            f"- [{one}]({library.where.origin}/openapi/{one}.json): with the models of {one}"
            for one in _providers(library)
        ),
        "",
        "## Optional",
        "",
    ]
    lines += [f"- [Skill for agents]({library.where.site}/skill.md)"]
    lines += [f"- [All pages in one file]({library.where.site}/llms-full.txt)"]
    lines += [_line(library, page) for page in pages if page.kind in _LATER]
    return "\n".join(lines) + "\n", _TEXT


def _providers(library: Library) -> list[str]:
    return sorted({page.names[0].partition("/")[0] for page in library.in_language("en") if page.kind is Kind.MODEL})


def _line(library: Library, page: DocPage) -> str:
    about = f": {page.summary}" if page.summary else ""
    return f"- [{page.title}]({library.url(page.slug, 'en')}.md){about}"


def _llms_full(library: Library) -> tuple[str, str]:
    parts = []
    for page in library.in_language("en"):
        if page.kind is not Kind.DESIGN:
            text = library.markdown(page, "en").partition("\n")[2].strip()
            parts.append(f"# {page.title}\nSource: {library.url(page.slug, 'en')}\n\n{text}\n")
    return "\n\n".join(parts), _TEXT


def _skill(library: Library) -> tuple[str, str]:
    return skill(library.where.origin, library.where.site), _MARKDOWN


def _skills(library: Library) -> tuple[str, str]:
    text, _kind = _skill(library)
    about = next(line.partition(": ")[2] for line in text.splitlines() if line.startswith("description:"))
    index = {"skills": [{"name": "modellix", "description": about, "files": ["SKILL.md"]}]}
    return msgspec.json.format(msgspec.json.encode(index)).decode(), "application/json"


def _sitemap(library: Library) -> tuple[str, str]:
    urls = "\n".join(
        f"<url><loc>{escape(library.url(page.slug, language))}</loc></url>"
        for language in LANGUAGES
        for page in library.in_language(language)
        if page.language == language
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{urls}\n</urlset>\n", "application/xml"


_FOLDERS = ("/.well-known/agent-skills", "/.well-known/skills")
PATHS: Mapping[str, Callable[[Library], tuple[str, str]]] = {
    "/llms.txt": _llms,
    "/llms-full.txt": _llms_full,
    "/skill.md": _skill,
    "/sitemap.xml": _sitemap,
    **{f"{folder}/index.json": _skills for folder in _FOLDERS},
    **{f"{folder}/modellix/SKILL.md": _skill for folder in _FOLDERS},
}
"""Path at the root, and below the site -> text and content type."""
