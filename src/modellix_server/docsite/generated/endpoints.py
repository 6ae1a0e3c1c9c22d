"""A page for each method of each route, from the same table as the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modellix_server.docsite.generated import Say
from modellix_server.docsite.markdown import block, code, heading, inline, table
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.openapi.answers import REASONS
from modellix_server.openapi.operation import RouteDoc
from modellix_server.openapi.operations import OPERATIONS
from modellix_server.openapi.parameters import TERMS, of_path
from modellix_server.openapi.schemas import SCHEMAS

_KNOWN_AS = {"getTask": "query-task-result"}
"""Operation -> the name that its page has elsewhere, where that is not the operation's own."""
_DEEP = 3


def endpoint_slug(operation: RouteDoc) -> str:
    """`listTasks` as `api-reference/list-tasks`."""
    name = _KNOWN_AS.get(operation.id) or re.sub(r"(?<!^)(?=[A-Z])", "-", operation.id).lower()
    return f"api-reference/{name}"


def endpoint_pages(origin: str, providers: Iterable[str], language: str, _: Say, said: Say) -> Iterator[DocPage]:
    """All of them, and the page that lists them; `said` translates what the table of routes says."""
    for route, operation in OPERATIONS.items():
        yield _page(route, operation, origin, language, _, said)
    rows = [
        [code(route), f"[{said(operation.summary)}](/docs/{endpoint_slug(operation)})"]
        for route, operation in OPERATIONS.items()
    ]
    parts = [
        heading(_("API reference"), 1),
        _("Every route of the API. [API](/docs/api) tells what all of them have in common."),
        _("The same as OpenAPI 3.1, with the body of every model, and with the models of one provider:"),
        "\n".join(f"- <{origin}/{name}.json>" for name in ("openapi", *(f"openapi/{one}" for one in providers))),
        table([_("route"), _("what it does")], rows),
    ]
    yield DocPage("api-reference/index", language, Kind.ENDPOINT, "\n\n".join(parts) + "\n")


def texts_of_routes() -> set[str]:
    """Everything that the table of routes says on these pages, to be translated."""
    found: set[str] = set()

    def note(text: str) -> str:
        found.add(text)
        return text

    list(endpoint_pages("", (), "en", str, note))
    return found


def _page(route: str, operation: RouteDoc, origin: str, language: str, _: Say, said: Say) -> DocPage:
    method, path = route.split(" ")
    parts = [f"# {said(operation.summary)}", code(route)]
    if operation.about:
        parts.append(said(operation.about))
    parts += [
        _("It needs no API key.") if operation.public else _("It needs an API key: `Authorization: Bearer <key>`."),
        heading(_("Request")),
    ]
    if rows := [_parameter(_resolved(one), _, said) for one in (*of_path(path), *operation.parameters)]:
        parts.append(table([_("parameter"), _("where"), _("type"), _("meaning")], rows))
    if operation.body:
        parts += [_("Body, as `%s`:") % operation.body.mime, *_schema(operation.body.schema, _, said)]
    parts += [block("sh", _curl(method, path, operation, origin)), heading(_("Answer"))]
    answer = operation.answer
    parts.append(
        (_("%s.") % said(answer.about))
        + ("" if answer.bare else " " + _('In the envelope `{"code": 0, "message": "success", "data": …}`; `data` is:'))
    )
    parts += _schema(answer.schema, _, said)
    statuses = sorted({*operation.refuses, *((500,) if operation.public else (401, 403, 429, 500, 503))})
    parts += [
        heading(_("Errors")),
        table([_("status"), _("why")], [[str(one), said(REASONS[one])] for one in statuses]),
    ]
    parts.append(_("What each category means, and whether to retry: [Errors](/docs/ways-to-use/error-handling)."))
    names = (route, operation.id, path)
    return DocPage(endpoint_slug(operation), language, Kind.ENDPOINT, "\n\n".join(parts) + "\n", "", names)


def _parameter(one: Mapping[str, Any], _: Say, said: Say) -> list[str]:
    where = _("required, in %s") if one.get("required") else _("in %s")
    return [code(one["name"]), where % one["in"], _type(one["schema"]), _about(said, one, one["schema"])]


def _about(said: Say, *described: Mapping[str, Any]) -> str:
    """What the first of them that says anything says."""
    text = next((found for one in described if (found := one.get("description"))), "")
    return inline(said(text)) if text else ""


def _resolved(said: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = str(said.get("$ref", ""))
    if not reference:
        return said
    name = reference.rpartition("/")[2]
    return TERMS[name] if "/parameters/" in reference else SCHEMAS[name]


def _type(schema: Mapping[str, Any]) -> str:
    schema = _resolved(schema)
    if "enum" in schema:
        return ", ".join(code(json.dumps(one)) for one in schema["enum"])
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return ", ".join(dict.fromkeys(_type(one) for one in schema[several]))
    kind = schema.get("type", "object")
    return ", ".join(kind) if isinstance(kind, list) else str(kind)


def _schema(schema: Mapping[str, Any], _: Say, said: Say) -> Iterator[str]:
    shown = _resolved(schema)
    for name in ("oneOf", "anyOf"):
        if name in shown:
            for number, one in enumerate(shown[name]):
                if number:
                    yield _("or")
                yield from _schema(one, _, said)
            return
    rows = list(_fields(shown, "", _, said))
    yield table([_("field"), _("type"), _("meaning")], rows) if rows else _about(said, shown) or _type(shown)


def _fields(schema: Mapping[str, Any], prefix: str, _: Say, said: Say, deep: int = 0) -> Iterator[list[str]]:
    for name, given in schema.get("properties", {}).items():
        inner = _resolved(given)
        optional = "" if name in schema.get("required", ()) else " " + _("(not always)")
        yield [code(prefix + name), _type(inner) + optional, _about(said, given, inner)]
        if deep < _DEEP:
            yield from _fields(inner, f"{prefix}{name}.", _, said, deep + 1)
            if "items" in inner:
                yield from _fields(_resolved(inner["items"]), f"{prefix}{name}[].", _, said, deep + 1)


def _curl(method: str, path: str, operation: RouteDoc, origin: str) -> str:
    shown = (
        path.replace("{type}", "text-to-image").replace("{provider}", "alibaba").replace("{model}", "qwen-image-plus")
    )
    shown = re.sub(r"\{(\w+)\}", lambda found: f"${found[1].upper()}", shown)
    lines = [f'curl -sS -X {method} "{origin}{shown}"']
    if not operation.public:
        lines.append('-H "Authorization: Bearer $MODELLIX_API_KEY"')
    if operation.body and operation.body.mime == "application/json":
        body: Any = next(iter(_resolved(operation.body.schema).get("examples", [])), {})
        lines += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(body)}'"]
    elif operation.body:
        lines.append("-F file=@picture.png")
    return " \\\n  ".join(lines)
