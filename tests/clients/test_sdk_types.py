"""The client's types are those of the API's own description: fields, which may be missing, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from modellix import types
from modellix_server.openapi.operations import OPERATIONS
from modellix_server.openapi.schemas import SCHEMAS

Schema = dict[str, Any]
TASK = [SCHEMAS[name] for name in ("PendingTask", "SucceededTask", "FailedTask", "AcceptedTask")]
STREAMED = [one["properties"]["data"]["contentSchema"] for one in SCHEMAS["Event"]["oneOf"]]
NOT_TAKEN = {"get_result"}  # the client knows the way


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


def resolved(schema: Schema) -> Schema:
    """The schema with its reference followed, and alternatives joined: what only some have may be missing."""
    if reference := schema.get("$ref"):
        return resolved(SCHEMAS[reference.rpartition("/")[2]])
    if choices := [resolved(one) for one in schema.get("oneOf", ())]:
        required = set.intersection(*(set(one["required"]) for one in choices))
        joined: Schema = {}
        for one in choices:
            for name, said in one["properties"].items():
                known = joined.setdefault(name, dict(said))
                if "const" in said or "const" in known:
                    joined[name] = {"type": "string"}
        return {"type": "object", "properties": joined, "required": required}
    return schema


def kinds(schema: Schema) -> set[str]:
    """The JSON types that it allows; every one if it says none."""
    schema = resolved(schema)
    if "const" in schema:
        return {"string"}
    said = schema.get("type")
    if said is None:
        return {"anything"}
    return {said} if isinstance(said, str) else set(said)


def kinds_of(annotation: Any) -> set[str]:
    schema = msgspec.json.schema(annotation)
    parts = schema.get("anyOf", [schema])
    return {"object" if "$ref" in part else part.get("type", "anything") for part in parts}


def inner(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct inside `X`, `X | None`, `list[X]`."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next((found for one in getattr(annotation, "__args__", ()) if (found := inner(one))), None)


def differences(struct: type[msgspec.Struct], schema: Schema, where: str) -> Iterator[str]:
    schema = resolved(schema)
    known = {field.name: field for field in msgspec.structs.fields(struct)}
    for name in known.keys() ^ (schema["properties"].keys() - NOT_TAKEN):
        yield f"{where}.{name}: only in {'the client' if name in known else 'the API'}"
    for name, field in known.items():
        said = schema["properties"].get(name)
        if said is None:
            continue
        if field.required != (name in schema["required"]):
            yield f"{where}.{name}: is {'always' if field.required else 'not always'} there for the client"
        mine = kinds_of(field.type) - (set() if field.required else {"null"})
        its = kinds(said) - (set() if field.required else {"null"})
        if mine != its:
            yield f"{where}.{name}: {mine} in the client, {its} in the API"
        below = inner(field.type)
        if below is not None:
            yield from differences(below, said.get("items", said), f"{where}.{name}")


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
