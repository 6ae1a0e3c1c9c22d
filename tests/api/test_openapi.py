"""The OpenAPI document: whole, valid, true to the router and the catalogue; and its checker finds what is not."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from tests.support.openapi_conformance import ORIGIN, TYPED, Conformance, conformance, document, table

from modellix_server.api.hot.submit import may_name_model
from modellix_server.catalogue import Catalogue
from modellix_server.openapi import Undescribed, describe
from modellix_server.openapi import document as making
from modellix_server.openapi.answers import families
from modellix_server.openapi.operation import Access, Declared

CATALOGUE = Catalogue.load(origin=ORIGIN)
PLAIN, PACKED = 475_000, 45_000
BANNER = """
like = "alibaba/qwen-image-plus"
name = "Banner"
summary = "Banners."
docs_slug = "banner"
[confidence]
id = "confirmed"
inputs = "a test's"
price = "a test's"
[[route]]
models = { cn = "banner", intl = "banner" }
[[price.tier]]
usd = "0.02"
"""


def offered() -> set[str]:
    """What the router answers: every method of every route of the API, that of submissions once for each model."""
    found = {
        f"{method} {re.sub(':[a-z]+}', '}', route.path)}"
        for route in table(CATALOGUE)
        for method in route.methods - {"HEAD"}
        if route.path.startswith(("/api/", "/v1/")) or route.path in ("/healthz", "/readyz")
    }
    assert f"POST {TYPED}" in found
    return found - {f"POST {TYPED}"} | {f"POST /api/v1/{model.type}/{model.slug}/async" for model in CATALOGUE}


def operations(said: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in said["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def within(value: Any) -> Iterator[Any]:
    """The value, and everything in it."""
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from within(part)


def schemas() -> Iterator[dict[str, Any]]:
    """Every schema of the document with the components it may refer to."""
    said = document()
    for node in within(said):
        if isinstance(node, dict) and isinstance(node.get("schema"), dict):
            yield {**node["schema"], "components": said["components"]}
    for schema in said["components"]["schemas"].values():
        yield {**schema, "components": said["components"]}


def test_the_document_has_what_the_router_has() -> None:
    assert {name for name, _ in operations(document())} == offered()


def test_a_route_without_its_entry_stops_the_start(monkeypatch) -> None:
    routes = table(CATALOGUE)
    extra = Declared("/api/v1/secret-feature", None, Access.KEY, "use models", ["GET"])
    with pytest.raises(Undescribed, match="GET /api/v1/secret-feature is not in the table"):
        describe([*routes, extra], CATALOGUE, ORIGIN)
    other_method = Declared("/api/v1/quote", None, Access.KEY, "use models", ["PUT"])
    with pytest.raises(Undescribed, match="PUT /api/v1/quote"):
        describe([*routes, other_method], CATALOGUE, ORIGIN)
    with pytest.raises(Undescribed, match="there is no route GET /readyz"):
        describe([route for route in routes if route.path != "/readyz"], CATALOGUE, ORIGIN)
    monkeypatch.setitem(making.OPERATIONS, "GET /api/v1/gone", making.OPERATIONS["GET /readyz"])
    with pytest.raises(Undescribed, match="there is no route GET /api/v1/gone"):
        describe(routes, CATALOGUE, ORIGIN)


def test_it_is_openapi_3_1() -> None:
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document())] == []
    broken = json.loads(json.dumps(document()))
    del broken["paths"]["/api/v1/quote"]["post"]["responses"]["200"]["description"]
    assert not OPENAPI_31_VALIDATOR.is_valid(broken)


def test_every_schema_is_one_and_refers_to_what_is_there() -> None:
    count = 0
    for schema in schemas():
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.Draft202012Validator(schema)  # refuses a reference that leads nowhere
        count += 1
    assert count > 250
    for node in within(document()):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            found: Any = document()
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            assert found


def test_every_example_is_one() -> None:
    count = 0
    for schema in schemas():
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        for example in schema.get("examples", ()):
            validator.validate(example)
            count += 1
    assert count >= len(CATALOGUE)


def test_every_model_has_its_own_words_body_and_examples() -> None:
    said = document()
    for model in CATALOGUE:
        operation = said["paths"][f"/api/v1/{model.type}/{model.slug}/async"]["post"]
        assert operation["tags"] == [model.provider]
        assert model.name in operation["summary"]
        assert operation["description"] == model.summary
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        body = said["components"]["schemas"][reference.rpartition("/")[2]]
        assert {**body, "$schema": model.schema["$schema"]} == model.schema
        assert body["examples"] == [model.example, *model.more]


def test_a_model_of_the_operator_is_in_it(tmp_path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "banner.toml").write_text(BANNER)
    more = Catalogue.load(tmp_path, ORIGIN)
    said = describe(table(more), more, ORIGIN)
    assert said["paths"]["/api/v1/text-to-image/acme/banner/async"]["post"]["operationId"] == "submit.acme.banner"
    assert {"name": "acme", "description": "The models of acme"} in said["tags"]


def test_names_are_unique_and_tags_are_told_of() -> None:
    said = document()
    ids = [operation["operationId"] for _, operation in operations(said)]
    assert len(set(ids)) == len(ids)
    used = {tag for _, operation in operations(said) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in said["tags"]}


def test_a_key_is_asked_for_where_the_route_asks_for_one() -> None:
    said = document()
    assert said["security"] == [{"key": []}]
    levels = {f"{method} {route.path_format}": route.access for route in table(CATALOGUE) for method in route.methods}
    for name, operation in operations(said):
        public = levels.get(name, Access.KEY) is Access.PUBLIC
        assert ("security" in operation) == public, name
        assert ("401" in operation["responses"]) != public, name
        assert "500" in operation["responses"], name
    assert said["paths"]["/api/v1/apikey/validate"]["get"]["security"] == [{}, {"key": []}]
    assert said["paths"]["/healthz"]["get"]["security"] == []


def test_every_kind_of_refusal_is_told_of_somewhere() -> None:
    told = {
        status
        for name, operation in operations(document())
        if " /v1/" not in name  # OpenAI's, whose clients know more
        for status in operation["responses"]
    }
    assert {str(error.status) for error in families()} == {status for status in told if status >= "400"}


def test_no_first_part_of_a_path_can_be_taken_for_a_provider() -> None:
    for route in table(CATALOGUE):
        first = route.path.removeprefix("/api/v1/").partition("/")[0]
        if route.path.startswith("/api/v1/") and not first.startswith("{"):
            assert not may_name_model(route.path), route.path


def test_it_is_of_moderate_size() -> None:
    plain = msgspec.json.encode(document())
    assert len(plain) < PLAIN
    assert len(gzip.compress(plain)) < PACKED


# The checker that holds the answers of all journeys against the document.

HEAD = {
    "content-type": "application/json",
    "x-request-id": "a",
    "x-ratelimit-limit": "100",
    "x-ratelimit-remaining": "99",
    "x-ratelimit-reset": "1800000000",
}
BALANCE = "/api/v1/team/balance"


def balance(**data: Any) -> bytes:
    return msgspec.json.encode({"code": 0, "message": "success", "data": data})


def refusal(status: int, message: str) -> bytes:
    return msgspec.json.encode({"code": status, "message": message})


@pytest.mark.parametrize(
    ("status", "changed", "body", "fault"),
    [
        (200, {}, balance(balance=1.5), None),
        (200, {}, balance(balance="1.5"), "data/balance: "),
        (200, {}, balance(), '"balance" is a required'),
        (200, {}, balance(balance=1.5, held=2), "held"),
        (200, {}, msgspec.json.encode({"balance": 1.5}), "required"),
        (200, {"content-type": "text/html"}, b"", "content type 'text/html' is not told of"),
        (200, {"x-ratelimit-reset": None}, balance(balance=1.5), "header X-RateLimit-Reset is missing"),
        (200, {"x-ratelimit-limit": "many"}, balance(balance=1.5), "header X-RateLimit-Limit"),
        (404, {}, refusal(404, "Resource not found: x"), "status 404 is not told of"),
        (429, {"retry-after": "7"}, refusal(429, "Rate limit exceeded: x"), None),
        (429, {}, refusal(429, "Rate limit exceeded: x"), "header Retry-After is missing"),
        (429, {"retry-after": "7"}, refusal(429, "Slow down: x"), "message: "),
        (429, {"retry-after": "7"}, refusal(400, "Rate limit exceeded: x"), "code: "),
        (429, {"retry-after": "7"}, b'{"code":429,"message":"Rate limit exceeded: x","trace":""}', "trace"),
    ],
)
def test_an_answer_that_is_not_as_told_is_found(status, changed, body, fault) -> None:
    headers = {name: value for name, value in (HEAD | changed).items() if value is not None}
    found = conformance().faults("GET", BALANCE, status, headers, body)
    assert (found == []) if fault is None else any(fault in one for one in found), found


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ('event: progress\ndata: {"task_id":"task-%s","progress":0.5}' % ("0" * 32), None),
        ('event: progress\ndata: {"task_id":"task-%s","progress":2}' % ("0" * 32), "progress"),
        ('event: progress\ndata: {"task_id":"task-%s","progress":1,"eta":2}' % ("0" * 32), "eta"),
        ('event: queue\ndata: {"task_id":"task-%s","queue_position":2}' % ("0" * 32), None),
        ('event: queue\ndata: {"task_id":"task-%s","queue_position":0}' % ("0" * 32), "queue_position"),
        ('event: news\ndata: {}', "news"),
        (':\n\nretry: 2000', None),
    ],
)  # fmt: skip
def test_an_event_that_is_not_as_told_is_found(event, fault) -> None:
    head = HEAD | {"content-type": "text/event-stream"}
    path = "/api/v1/tasks/task-0/stream"
    found = conformance().faults("GET", path, 200, head, f"{event}\n\n".encode())
    assert (found == []) if fault is None else any(fault in one for one in found), found


def test_a_request_is_found_by_its_most_literal_path() -> None:
    names = {
        ("GET", "/api/v1/tasks/task-1"): "getTask",
        ("GET", "/api/v1/webhooks/secret"): "getSecret",
        ("GET", "/api/v1/webhooks/we_1"): "getEndpoint",
        ("HEAD", "/api/v1/models"): "listModels",
        ("POST", "/api/v1/text-to-image/alibaba/qwen-image-plus/async"): "submit.alibaba.qwen-image-plus",
        ("POST", "/api/v1/text-to-image/alibaba/nothing/async"): "submitShort",
        ("POST", "/api/v1/alibaba/qwen-image-plus"): "submitShortest",
    }
    for (method, path), name in names.items():
        found = Conformance(document()).find(method, path)
        assert found is not None
        assert found[1]["operationId"] == name
    assert conformance().find("GET", "/api/v1/nothing/at/all") is None
