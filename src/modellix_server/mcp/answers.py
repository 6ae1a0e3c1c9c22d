"""Results of tools, and errors as results: a model reads why a call was refused, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import mcp_types as mcp
import msgspec

from modellix_server.base.errors import InvalidParameters, MissingParameter, PlatformError, docs_path
from modellix_server.base.settings import Settings
from modellix_server.catalogue import show
from modellix_server.openapi.schemas import SCHEMAS
from modellix_server.openapi.shapes import Schema

Arguments = TypeVar("Arguments", bound=msgspec.Struct)

_WORTH_ANOTHER_TRY = (429, 503)
ERROR = "modellix/error"
"""The parts of a refusal, in the result's `_meta`."""
_COMPONENTS = "#/components/schemas/"
_MISSING = "Object missing required field `"
_UNKNOWN = "Object contains unknown field `"


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool found: as data, as text for models (the same as JSON, if there is no better), and as links."""

    data: dict[str, Any]
    text: str | None = None
    links: Sequence[mcp.ResourceLink] = field(default=())

    def result(self) -> mcp.CallToolResult:
        """The form of the protocol."""
        text = self.text if self.text is not None else msgspec.json.encode(self.data).decode()
        blocks: list[mcp.ContentBlock] = [mcp.TextContent(type="text", text=text), *self.links]
        return mcp.CallToolResult(content=blocks, structured_content=self.data)


def docs_url(settings: Settings, error: str) -> str:
    """Where a category of refusals, or the code of a failed task, is explained."""
    return f"{settings.docs_origin}/{docs_path(error)}"


def failed(settings: Settings, error: PlatformError) -> mcp.CallToolResult:
    """A refusal as the result of a tool; its parts are beside the result, as clients check structured content."""
    url, again = docs_url(settings, error.category), error.status in _WORTH_ANOTHER_TRY
    lines = [error.message]
    if again:
        lines.append(f"Try again in {error.retry_after_s or 1} s.")
    lines.append(f"About this error: {url}")
    about: dict[str, Any] = {
        "code": error.code,
        "status": error.status,
        "category": error.category,
        "message": error.message,
        "retry": again,
        "docs_url": url,
    }
    if error.retry_after_s is not None:
        about["retry_after_s"] = error.retry_after_s
    text = mcp.TextContent(type="text", text="\n".join(lines))
    return mcp.CallToolResult(content=[text], is_error=True, _meta={ERROR: about})


def arguments(given: dict[str, Any] | None, kind: type[Arguments]) -> Arguments:
    """The arguments of a tool; null is the same as absent. Raises MissingParameter, InvalidParameters."""
    fields = _names_of(kind)
    # In JSON Schema 5.0 is an integer, as our schemas say that some arguments have to be.
    whole = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in (given or {}).items()
        if value is not None or name not in fields
    }
    try:
        return msgspec.convert(whole, kind)
    except msgspec.ValidationError as error:
        said = str(error)
    if said.startswith(_MISSING):
        raise MissingParameter(f"parameter '{said.removeprefix(_MISSING).partition('`')[0]}' is required")
    if said.startswith(_UNKNOWN):
        name = said.removeprefix(_UNKNOWN).partition("`")[0]
        known = ", ".join(_names_of(kind)) or "none"
        raise InvalidParameters(f"unknown parameter {show(name)}; allowed: {known}")
    what, _, where = said.partition(" - at `$")
    raise InvalidParameters(
        f"parameter '{where.strip('`').lstrip('.')}': {what[:1].lower()}{what[1:].replace('`', '')}"
    )


@cache
def _names_of(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """What its fields are called; to look them up takes as long as a search."""
    return tuple(field.encode_name for field in msgspec.structs.fields(kind))


def schema_of(kind: type[msgspec.Struct]) -> Schema:
    """The JSON Schema of a tool's arguments, complete in itself."""
    _, components = msgspec.json.schema_components([kind])
    found: Schema = components[kind.__name__]
    return {name: value for name, value in found.items() if name != "title"}


def shape_of(name: str) -> Schema:
    """The schema of an answer of the API by its name there, complete in itself."""
    return {"type": "object", **portable(SCHEMAS[name])}


def portable(schema: Any) -> Any:
    """A schema without references, and with one type in each place: some clients know no more."""
    match schema:
        case {"$ref": str(reference)}:
            return portable(SCHEMAS[reference.removeprefix(_COMPONENTS)])
        case {"type": [str(one), "null"]}:
            about = {"description": schema["description"]} if "description" in schema else {}
            value = {key: value for key, value in schema.items() if key != "description"} | {"type": one}
            return {"anyOf": [portable(value), {"type": "null"}], **about}
        case dict():
            return {key: portable(value) for key, value in schema.items() if key != "discriminator"}
        case list():
            return [portable(value) for value in schema]
        case _:
            return schema


def card(server: str, version: str, tools: Sequence[mcp.Tool], resources: Sequence[mcp.Resource]) -> bytes:
    """What a plain GET answers: the server, its tools and its resources."""
    described = {
        tool.name: {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.input_schema,
            "operationId": tool.name,
        }
        for tool in tools
    }
    listed = [{"name": one.name, "uri": one.uri, "mimeType": one.mime_type} for one in resources]
    return msgspec.json.encode(
        {
            "server": {"name": server, "version": version, "transport": "http"},
            "capabilities": {"tools": described, "resources": listed, "prompts": []},
        }
    )
