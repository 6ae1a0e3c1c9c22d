"""The client's types are those of the API's own description: fields, which may be missing, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from modellix import types
from modellix_server.openapi.operations import OPERATIONS
from modellix_server.openapi.schemas import SCHEMAS

Schema = dict[str, Any]
TASK = [SCHEMAS[name] for name in ("PendingTask", "SucceededTask", "FailedTask", "AcceptedTask")]
STREAMED = [one["properties"]["data"]["contentSchema"] for one in SCHEMAS["Event"]["oneOf"]]
NOT_TAKEN = {"get_result"}  # the client knows the way
_KINDS: dict[type[inspect.Type], str] = {
    inspect.AnyType: "anything",
    inspect.BoolType: "boolean",
    inspect.DateTimeType: "time",
    inspect.DictType: "object",
    inspect.FloatType: "number",
    inspect.IntType: "integer",
    inspect.NoneType: "null",
    inspect.StrType: "string",
    inspect.StructType: "object",
}


def of_route(route: str, name: str = "") -> Schema:
    schema = OPERATIONS[route].answer.schema
    return schema["properties"][name] if name else schema


PAIRS = [
    (types.TaskState, {"oneOf": [*TASK, STREAMED[1]["oneOf"][0]]}),
    (types.ListedTask, SCHEMAS["ListedTask"]),
    (types.Model, SCHEMAS["Model"]),
    (types.ModelDetails, SCHEMAS["ModelDetails"]),
    (types.Quote, SCHEMAS["Quote"]),
    (types.UploadedFile, SCHEMAS["File"]),
    (types.Key, of_route("GET /api/v1/key")),
    (types.Transfer, SCHEMAS["Transfer"]),
    (types.Usage, SCHEMAS["Usage"]),
    (types.Call, SCHEMAS["Call"]),
]


def choices(schema: Schema) -> list[Schema]:
    """What the schema can be, references followed: one, or each of its alternatives."""
    if reference := schema.get("$ref"):
        return choices(SCHEMAS[reference.rpartition("/")[2]])
    return [found for one in schema.get("oneOf", ()) for found in choices(one)] or [schema]


def kinds(schema: Schema) -> set[str]:
    """The JSON types that it allows, with what is in lists and which texts are times; every one if it says none."""
    found: set[str] = set()
    for one in choices(schema):
        said = "string" if "const" in one and isinstance(one["const"], str) else one.get("type", "anything")
        found |= {_kind(kind, one) for kind in ([said] if isinstance(said, str) else said)}
    return found


def _kind(kind: str, schema: Schema) -> str:
    if kind == "array":
        return f"array of {sorted(kinds(schema['items']))}"
    return "time" if kind == "string" and schema.get("format") == "date-time" else kind


def kinds_of(annotation: Any) -> set[str]:
    return _kinds_of(inspect.type_info(annotation))


def _kinds_of(known: inspect.Type) -> set[str]:
    if isinstance(known, inspect.UnionType):
        return set().union(*(_kinds_of(one) for one in known.types))
    if isinstance(known, inspect.ListType):
        return {f"array of {sorted(_kinds_of(known.item_type))}"}
    return {_KINDS[type(known)]}


def inner(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct inside `X`, `X | None`, `list[X]`."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next((found for one in getattr(annotation, "__args__", ()) if (found := inner(one))), None)


def differences(struct: type[msgspec.Struct], schema: Schema, where: str) -> Iterator[str]:
    said = choices(schema)
    known = {field.name: field for field in msgspec.structs.fields(struct)}
    told = set().union(*(one["properties"] for one in said)) - NOT_TAKEN
    for name in known.keys() ^ told:
        yield f"{where}.{name}: only in {'the client' if name in known else 'the API'}"
    for name in known.keys() & told:
        field = known[name]
        if field.required != all(name in one["required"] for one in said):
            yield f"{where}.{name}: is {'always' if field.required else 'not always'} there for the client"
        ignored = set() if field.required else {"null"}
        mine, below = kinds_of(field.type) - ignored, inner(field.type)
        for its in (one["properties"][name] for one in said if name in one["properties"]):
            if mine != kinds(its) - ignored:
                yield f"{where}.{name}: {mine} in the client, {kinds(its) - ignored} in the API"
            if below is not None:
                yield from differences(below, its.get("items", its), f"{where}.{name}")


@pytest.mark.parametrize(("struct", "schema"), PAIRS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_type_is_what_the_api_describes(struct, schema) -> None:
    assert list(differences(struct, schema, struct.__name__)) == []


def test_a_difference_is_found() -> None:
    class Wrong(msgspec.Struct):
        file_id: int
        type: str
        url: str | None
        size: int
        created_at: int
        expires_at: int
        more: str
        filename: str = ""

    assert sorted(differences(Wrong, SCHEMAS["File"], "F")) == [
        "F.file_id: {'integer'} in the client, {'string'} in the API",
        "F.filename: is not always there for the client",
        "F.more: only in the client",
        *(one for one in differences(Wrong, SCHEMAS["File"], "F") if one.startswith("F.url")),
    ]


def test_events_have_no_fields_that_the_client_does_not_know() -> None:
    told = {name for one in STREAMED[2:4] for name in one["properties"]}
    told |= STREAMED[1]["oneOf"][0]["properties"].keys()
    assert told - {"task_id", "model_id"} <= {field.name for field in msgspec.structs.fields(types.TaskEvent)}
