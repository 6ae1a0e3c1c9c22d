"""The documentation server: search and pages for agents, without a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import mcp_types as mcp
from mcp.server import ServerRequestContext
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from msgspec import Meta, Struct

from modellix_server.base import log
from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.settings import Settings
from modellix_server.catalogue import show
from modellix_server.mcp.answers import arguments, card, failed, schema_of
from modellix_server.mcp.calls import call_of
from modellix_server.mcp.documentation import Documentation, Passage
from modellix_server.mcp.quick import QuickCalls, TextBlock, text_block

NAME, VERSION = "Modellix", "1.0.0"
SEARCH, READ = "SearchModellix", "read_page"
MOST_BLOCK_CHARACTERS = 4_000
_MOST_QUERY_CHARACTERS = 1_000
_MOST_SUGGESTIONS = 3
_MOST_KEPT = 5_000
_INSTRUCTIONS = """\
The documentation of this Modellix installation: its models with parameters and prices, its HTTP API, its errors. \
Search with SearchModellix, read a whole page with read_page. To make pictures and videos, use the HTTP API, or the \
MCP server at {origin}/mcp/generate with an API key."""
_SEARCH_ABOUT = """\
Searches the Modellix documentation for models, parameters, prices, API reference, code examples, errors and guides. \
Returns the passages that answer, with titles and direct links to the pages."""
_READ_ABOUT = "Returns a whole page of the Modellix documentation as Markdown."
_HINTS = mcp.ToolAnnotations(read_only_hint=True, open_world_hint=False)
_SEARCH_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {
            "type": "string",
            "description": "A question, an id, an error",
        },
        "version": {
            "type": "string",
            "description": "Version of the documentation to search, e.g. v0.1; this when absent",
        },
        "language": {"type": "string", "description": "Language code such as en or zh; en when absent"},
        "apiReferenceOnly": {"type": "boolean", "description": "true = pages of the API reference only"},
        "codeOnly": {"type": "boolean", "description": "true = code examples only"},
    },
    "required": ["query"],
}
_LOG = log.get("mcp")


class SearchDocs(Struct, forbid_unknown_fields=True, rename={"api_only": "apiReferenceOnly", "code_only": "codeOnly"}):
    """A question and its filters."""

    query: str
    version: Annotated[str, Meta(max_length=40)] = ""
    language: Annotated[str, Meta(max_length=40)] = "en"
    api_only: bool = False
    code_only: bool = False


class ReadPage(Struct, forbid_unknown_fields=True):
    """The page to read."""

    page: Annotated[
        str,
        Meta(
            max_length=500,
            description="Its link, its path such as get-started/pricing, or a model such as alibaba/wan2.6-t2v",
        ),
    ]
    language: Annotated[str, Meta(max_length=40, description="Language code such as en or zh; en when absent")] = "en"


class DocsTools:
    """The tools, over one documentation."""

    def __init__(self, documentation: Documentation) -> None:
        self._documentation = documentation
        self._blocks: dict[Passage, TextBlock] = {}

    async def search(self, who: str, given: dict[str, Any] | None) -> list[TextBlock]:
        """One text for each page that answers; `who` asks, by address. Raises InvalidParameters, Unavailable."""
        wanted = arguments(given, SearchDocs)
        query = " ".join(wanted.query[:_MOST_QUERY_CHARACTERS].split())
        if not query:
            raise InvalidParameters("parameter 'query' must not be empty")
        found = await self._documentation.search(
            who,
            query,
            language=wanted.language,
            version=wanted.version,
            api_only=wanted.api_only,
            code_only=wanted.code_only,
        )
        if not found:
            return [text_block("No page answers this. Try other words, or read the list of all pages.")]
        blocks = [self._blocks.get(passage) or self._kept(passage) for passage in found]
        if not _speaks(found, wanted.language):
            blocks.insert(0, text_block(_other_language(wanted.language)))
        return blocks

    def _kept(self, passage: Passage) -> TextBlock:
        if len(self._blocks) >= _MOST_KEPT:
            self._blocks.clear()
        block = self._blocks[passage] = text_block(_text(passage))
        return block

    async def read(self, who: str, given: dict[str, Any] | None) -> list[str]:
        """The page, in one text. Raises NotFound, which names pages that may be meant."""
        wanted = arguments(given, ReadPage)
        name = _name_of_page(wanted.page)
        page = await self._documentation.page(name, wanted.language)
        if page is not None:
            return [page]
        words = name.replace("/", " ").replace("-", " ")[:_MOST_QUERY_CHARACTERS]
        near: Sequence[Passage] = []
        if words.strip():
            search = self._documentation.search
            near = await search(who, words, language=wanted.language, version="", api_only=False, code_only=False)
        meant = "; ".join(f"{one.title}: {one.url}" for one in near[:_MOST_SUGGESTIONS])
        raise NotFound(f"there is no page {show(name)}" + (f"; perhaps you mean {meant}" if meant else ""))


def _speaks(found: Sequence[Passage], language: str) -> bool:
    return any(one.language == language.strip().lower().replace("_", "-").partition("-")[0] for one in found)


def _other_language(language: str) -> str:
    return f"Note: there is nothing in the language {show(language)} about this; these pages are English."


def _text(passage: Passage) -> str:
    title = passage.title
    if passage.heading not in ("", title):
        title += f": {passage.heading}"
    text = f"Title: {title}\nLink: {passage.url}\nContent: {passage.text}"
    return text if len(text) <= MOST_BLOCK_CHARACTERS else f"{text[: MOST_BLOCK_CHARACTERS - 1]}…"


def _name_of_page(text: str) -> str:
    """The address below the site of a link, a path or a name."""
    path = urlsplit(text.strip()).path if "://" in text else text.strip().partition("#")[0].partition("?")[0]
    return path.strip("/").removeprefix("docs/").removesuffix(".md")


def _resources(site: str) -> tuple[mcp.Resource, mcp.Resource]:
    """The skill and the list of pages."""
    skill = mcp.Resource(
        name="skill",
        title="Modellix for agents",
        uri=f"{site}/skill.md",
        description="What an agent needs to know to use the API: read it first",
        mime_type="text/markdown",
    )
    contents = mcp.Resource(
        name="llms.txt",
        title="All pages",
        uri=f"{site}/llms.txt",
        description="The list of all pages of the documentation",
        mime_type="text/plain",
    )
    return skill, contents


def build_docs(documentation: Documentation, settings: Settings, site: str) -> tuple[Server[Any], QuickCalls, bytes]:
    """The server, its calls that need no SDK, and its card; `site` is the address of the pages."""
    made = DocsTools(documentation)

    async def search(who: str, given: dict[str, Any] | None) -> list[str]:
        return [block.text for block in await made.search(who, given)]

    run: Mapping[str, Callable[[str, dict[str, Any] | None], Awaitable[list[str]]]] = {SEARCH: search, READ: made.read}
    tools = [
        mcp.Tool(name=SEARCH, description=_SEARCH_ABOUT, input_schema=_SEARCH_SCHEMA, annotations=_HINTS),
        mcp.Tool(name=READ, description=_READ_ABOUT, input_schema=schema_of(ReadPage), annotations=_HINTS),
    ]
    schemas = {tool.name: tool.input_schema for tool in tools}
    skill, contents = _resources(site)
    texts = {skill.uri: (skill, documentation.skill), contents.uri: (contents, documentation.contents)}

    async def list_tools(_: ServerRequestContext[Any], __: object) -> mcp.ListToolsResult:
        return mcp.ListToolsResult(tools=tools)

    async def call_tool(at: ServerRequestContext[Any], params: mcp.CallToolRequestParams) -> mcp.CallToolResult:
        assert at.request is not None
        if params.name not in run:
            raise MCPError(code=mcp.INVALID_PARAMS, message="there is no such tool")
        call = call_of(at.request.scope)
        call.tool = params.name
        try:
            blocks = await run[params.name](call.address, params.arguments)
        except PlatformError as error:
            call.refused = error
        except Exception:  # noqa: BLE001 - a model reads that it failed, the log why
            _LOG.exception("a tool failed", tool=params.name)
            call.refused = PlatformError("please retry later")
        else:
            return mcp.CallToolResult(content=[mcp.TextContent(type="text", text=text) for text in blocks])
        return failed(settings, call.refused)

    async def list_resources(_: ServerRequestContext[Any], __: object) -> mcp.ListResourcesResult:
        return mcp.ListResourcesResult(resources=[skill, contents])

    async def read_resource(
        _: ServerRequestContext[Any], params: mcp.ReadResourceRequestParams
    ) -> mcp.ReadResourceResult:
        if str(params.uri) not in texts:
            raise MCPError(code=mcp.INVALID_PARAMS, message="there is no such resource")
        resource, read = texts[str(params.uri)]
        found = mcp.TextResourceContents(uri=resource.uri, mime_type=resource.mime_type, text=await read())
        return mcp.ReadResourceResult(contents=[found])

    listed = CacheHint(300_000, "public")
    server: Server[Any] = Server(
        NAME,
        version=VERSION,
        instructions=_INSTRUCTIONS.format(origin=settings.public_origin),
        website_url=site,
        cache_hints={"tools/list": listed, "resources/list": listed, "resources/read": listed},
        get_tool_input_schema=schemas.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )
    return server, QuickCalls(server, {SEARCH: made.search}), card(NAME, VERSION, tools, [skill, contents])
