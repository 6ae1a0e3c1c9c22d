"""The documentation's site, as the MCP server for agents searches and reads it."""

from __future__ import annotations

from collections.abc import Sequence

from modellix_server.docsite import DocSite, Filter, Kind, for_programs
from modellix_server.mcp import Passage
from modellix_server.web.texts import LANGUAGES

_API_REFERENCE = frozenset({Kind.ENDPOINT, Kind.MODEL, Kind.ERROR})


class SiteDocumentation:
    """The pages of this installation, for `mcp.Documentation`."""

    def __init__(self, site: DocSite) -> None:
        self._site = site

    async def search(
        self, who: str, query: str, *, language: str, version: str, api_only: bool, code_only: bool
    ) -> Sequence[Passage]:
        """The pages that answer, the best first. Raises InvalidParameters for another version than this one."""
        wanted = Filter(language, _API_REFERENCE if api_only else frozenset(), code_only, version)
        return await self._site.search(who, query, wanted)

    async def page(self, name: str, language: str) -> str | None:
        """A page as Markdown, by its address below the site or by what it is about."""
        library = await self._site.library()
        first, _, rest = name.partition("/")
        if first in LANGUAGES and library.find(name, "en") is None:
            name, language = rest, first
        page = library.find(name, language) or library.find(library.known_as(name) or "", language)
        if page is None:
            return None
        return await self._site.aside.run(None, for_programs.page_as_markdown, library, page, language)

    async def skill(self) -> str:
        """What an agent needs to know of the API."""
        return (await self._site.aside.run(None, for_programs.PATHS["/skill.md"], await self._site.library()))[0]

    async def contents(self) -> str:
        """The list of all pages."""
        return (await self._site.aside.run(None, for_programs.PATHS["/llms.txt"], await self._site.library()))[0]
