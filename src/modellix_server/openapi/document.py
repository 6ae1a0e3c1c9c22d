"""The OpenAPI document of this installation, made at start from the router's routes and the catalogue."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from starlette.routing import BaseRoute

from modellix_server.catalogue import Catalogue, Model
from modellix_server.openapi.answers import HEADERS, answers, error_answers, success
from modellix_server.openapi.operation import JSON, Access, Declared, RouteDoc
from modellix_server.openapi.operations import ACCEPTED, OPERATIONS, TYPED_SUBMISSION
from modellix_server.openapi.parameters import OF_A_SUBMISSION, TERMS, of_path
from modellix_server.openapi.schemas import SCHEMAS
from modellix_server.openapi.shapes import Schema, ref
from modellix_server.openapi.webhooks import MESSAGES

_ABOUT = """\
One HTTP API, one async contract and one bill for image and video generation models.

A submission names a model in its path and carries the model's parameters. Its answer has a `task_id`; ask for the \
task until its `status` is `success` or `failed`. A success is `{"code": 0, "message": "success", "data": …}`, an \
error `{"code": <HTTP status>, "message": "<category>: <detail>"}`. Fields may be added to answers: ignore what you do \
not know.

Every operation of a model has two short forms, without the type and without `/async`, and one that answers with \
events: see the tag Tasks. `GET /api/v1/models/{provider}/{model}` tells a model's prices."""
_TAGS = {
    "Tasks": "Submit, follow, cancel, list",
    "Models": "The catalogue, and prices",
    "Account": "Money, requests and keys of a team",
    "Files": "Uploads, for use as inputs",
    "Webhooks": "Messages about ended tasks",
    "OpenAI": "The API that OpenAI's clients speak, for images and videos",
    "Health": "The platform itself",
}
_KEY = "key"


class Undescribed(Exception):
    """The routes and the table of descriptions do not match."""


def describe(routes: Iterable[BaseRoute], catalogue: Catalogue, origin: str) -> dict[str, Any]:
    """The document of the API at `origin`. Raises Undescribed."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Modellix",
            "version": version("modellix-server"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": origin}],
        "security": [{_KEY: []}],
        "tags": _tags(catalogue),
        "paths": _paths(routes, catalogue),
        "webhooks": MESSAGES,
        "components": {
            "schemas": SCHEMAS | {body_name(model): _body(model) for model in catalogue},
            "parameters": TERMS,
            "headers": HEADERS,
            "responses": {ACCEPTED.component: success(ACCEPTED, Access.KEY), **error_answers()},
            "securitySchemes": {
                _KEY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: `mdlx-…`, in test mode `mdlx-test-…`",
                }
            },
        },
    }


def of_provider(document: dict[str, Any], provider: str) -> dict[str, Any]:
    """What of a whole document concerns all models, and those of one provider."""
    others = {tag["name"] for tag in document["tags"]} - _TAGS.keys() - {provider}

    def mine(item: Mapping[str, Any]) -> bool:
        return not any(others & set(operation["tags"]) for operation in item.values())

    components = document["components"]
    schemas = {name: one for name, one in components["schemas"].items() if name.partition(".")[0] not in others}
    return {
        **document,
        "info": {**document["info"], "title": f"Modellix: {provider}"},
        "tags": [tag for tag in document["tags"] if tag["name"] not in others],
        "paths": {path: item for path, item in document["paths"].items() if mine(item)},
        "components": {**components, "schemas": schemas},
    }


def of_model(document: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The submission of one model, with all that it refers to, as clients of the original read it.

    The whole address of the submission is `servers[0].url`.
    """
    origin = document["servers"][0]["url"]
    operation = _whole(document["paths"][_path(model)]["post"], document)
    return {"servers": [{"url": f"{origin}/api/v1/{model.slug}"}], "post": operation}


def _whole(part: Any, document: Mapping[str, Any]) -> Any:
    """A part of the document with what it refers to in the places of the references, which make no circles."""
    if isinstance(part, list):
        return [_whole(one, document) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" not in part:
        return {name: _whole(one, document) for name, one in part.items()}
    found: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return _whole(found, document)


def documented(route: BaseRoute) -> bool:
    """Whether the document describes this route: not those of files, samples and callbacks."""
    return isinstance(route, Declared) and (
        route.path.startswith(("/api/", "/v1/")) or route.path in ("/healthz", "/readyz")
    )


def body_name(model: Model) -> str:
    """The component of a model's body. A provider has no dots, so no two models share one."""
    return f"{model.provider}.{model.id}"


def _paths(routes: Iterable[BaseRoute], catalogue: Catalogue) -> dict[str, Any]:
    left = dict(OPERATIONS)
    paths: dict[str, Any] = {}
    for route in routes:
        if not documented(route):
            continue
        assert isinstance(route, Declared)
        for method in sorted((route.methods or set()) - {"HEAD"}):  # which comes with GET
            operation = left.pop(f"{method} {route.path_format}", None)
            if operation is None:
                raise Undescribed(f"{method} {route.path_format} is not in the table of operations")
            said = _operation(operation, route)
            if operation is TYPED_SUBMISSION:
                paths |= {_path(model): {"post": _of_model(said, model)} for model in catalogue}
            else:
                paths.setdefault(route.path_format, {})[method.lower()] = said
    if left:
        raise Undescribed(f"there is no route {min(left)}")
    return paths


def _operation(operation: RouteDoc, route: Declared) -> dict[str, Any]:
    access = route.access
    if operation.public is not (access is Access.PUBLIC):
        raise Undescribed(f"{route.path_format} needs {access.value}, and its description says something else")
    said: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": answers(operation, access),
    }
    if operation.about:
        said["description"] = operation.about
    if parameters := [*of_path(route.path_format), *operation.parameters]:
        said["parameters"] = parameters
    if body := operation.body:
        said["requestBody"] = {
            "required": body.required,
            "content": {mime: {"schema": schema} for mime, schema in {body.mime: body.schema, **body.also}.items()},
        }
    if access is not Access.KEY:  # which the document describes as a whole
        said["security"] = [{}, {_KEY: []}] if operation.knows_key else []
    return said


def _path(model: Model) -> str:
    return f"/api/v1/{model.type}/{model.slug}/async"


def _of_model(submission: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The submission of one model: the general description with its own name, summary and body."""
    answers = {status: answer for status, answer in submission["responses"].items() if status != "404"}
    return {
        **submission,
        "responses": answers,
        "operationId": f"submit.{body_name(model)}",
        "tags": [model.provider],
        "summary": f"Submit a task to {model.name}",
        "description": model.summary,
        "parameters": list(OF_A_SUBMISSION),
        "requestBody": {"required": True, "content": {JSON: {"schema": ref(body_name(model))}}},
    }


def _body(model: Model) -> Schema:
    """The model's own schema; its dialect is the document's."""
    return {name: value for name, value in model.schema.items() if name != "$schema"}


def _tags(catalogue: Catalogue) -> list[dict[str, str]]:
    providers = dict.fromkeys(model.provider for model in catalogue)
    told = {**_TAGS, **{name: f"The models of {name}" for name in providers}}
    return [{"name": name, "description": about} for name, about in told.items()]
