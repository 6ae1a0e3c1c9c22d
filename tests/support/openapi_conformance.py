"""Holds answers against the OpenAPI document: statuses, content types, headers, and bodies with nothing unsaid in them.

The document lets answers have more fields than it tells of, as later versions may add some. Here they may not.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any

import aiohttp
import jsonschema_rs
import msgspec

from modellix_server.api.app import build_router
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue
from modellix_server.openapi import describe

ORIGIN = "http://127.0.0.1:8000"
TYPED = "/api/v1/{type}/{provider}/{model}/async"
"""A submission by a type, or to a model, that the document does not know: answered as any other."""
OURS = re.compile(r"/api/v1/.+|/v1/.+|/healthz|/readyz")


@cache
def table(catalogue: Catalogue) -> list[Any]:
    """The router's routes, on a platform where nothing is open."""
    dead = {"database_url": "", "owner_database_url": "", "storage_url": "", "sandbox_url": ORIGIN}
    settings = Settings(**dead, secret=Secret(secrets.token_bytes(32)), master_key=Secret(secrets.token_bytes(32)))
    return list(build_router(SimpleNamespace(settings=settings, db=None, catalogue=catalogue)).routes)


@cache
def document() -> dict[str, Any]:
    """The document of the built-in catalogue, through JSON as its readers get it."""
    catalogue = Catalogue.load(origin=ORIGIN)
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(describe(table(catalogue), catalogue, ORIGIN)))
    return found


def closed(schema: Any) -> Any:
    """The same schema, with no property allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    said = {name: closed(value) for name, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        said.setdefault("additionalProperties", False)
    return said


class Conformance:
    """One document, prepared for many answers."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self._said = said
        self._validators: dict[str, Any] = {}
        self._operations = [
            (method, re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path))), f"{method} {path}", operation)
            for path, item in self._paths()
            for method, operation in item.items()
        ]

    def _paths(self) -> list[tuple[str, Any]]:
        """Concrete ones first, and the one for models that are not known at last."""
        paths = sorted(self._said["paths"].items(), key=lambda one: one[0].count("{"))
        return [*paths, (TYPED, self._said["paths"]["/api/v1/{provider}/{model}/async"])]

    @cached_property
    def _components(self) -> Any:
        return closed({"schemas": self._said["components"]["schemas"]})

    def find(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """The operation that a request is about, and its name; None for one that there is not."""
        wanted = "get" if method == "HEAD" else method.lower()
        found = (
            (name, operation)
            for offered, form, name, operation in self._operations
            if offered == wanted and form.fullmatch(path)
        )
        return next(found, None)

    def faults(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What of an answer is not as it is told; header names in lower case."""
        found = self.find(method, path)
        if found is None or status == 405:
            return []
        name, operation = found
        told = operation["responses"].get(str(status))
        if told is None:
            return [f"{name}: status {status} is not told of"]
        told, where = self._resolved(told), f"{name} {status}"
        wrong = [f"{where}: {fault}" for fault in self._head_faults(told, headers)]
        kind = headers.get("content-type", "").partition(";")[0]
        if "content" not in told:
            return [*wrong, *([f"{where}: has a body"] if body else [])]
        if kind not in told["content"]:
            return [*wrong, f"{where}: content type {kind!r} is not told of"]
        if method != "HEAD":
            wrong += [f"{where}: {fault}" for fault in self._body_faults(kind, told["content"][kind]["schema"], body)]
        return wrong

    def _resolved(self, one: Mapping[str, Any]) -> Any:
        """A component in place of a reference to it."""
        if "$ref" not in one:
            return one
        found: Any = self._said
        for part in one["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _head_faults(self, told: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
        for name, one in told.get("headers", {}).items():
            header, value = self._resolved(one), headers.get(name.lower())
            if value is None:
                if header.get("required"):
                    yield f"header {name} is missing"
                continue
            schema = header["schema"]
            read = int(value) if schema.get("type") == "integer" and value.isdigit() else value
            yield from (f"header {name}: {fault}" for fault in self._schema_faults(schema, read))

    def _body_faults(self, kind: str, schema: Any, body: bytes) -> Iterator[str]:
        if kind == "application/json":
            yield from self._schema_faults(schema, msgspec.json.decode(body))
        elif kind == "text/event-stream":
            for event in events(body.decode()):
                yield from self._event_faults(schema, event)
        else:
            yield from self._schema_faults(schema, body.decode())

    def _event_faults(self, schema: Any, event: dict[str, str]) -> Iterator[str]:
        yield from self._schema_faults(schema, event)
        for form in self._resolved(schema)["oneOf"]:
            told = form["properties"]
            if told["event"]["const"] == event.get("event"):
                yield from self._schema_faults(told["data"]["contentSchema"], msgspec.json.decode(event["data"]))

    def _schema_faults(self, schema: Any, value: Any) -> Iterator[str]:
        key = msgspec.json.encode(schema).decode()
        if key not in self._validators:
            whole = {**closed(schema), "components": self._components}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        for error in self._validators[key].iter_errors(value):
            yield f"{'/'.join(map(str, error.instance_path))}: {error.message[:300]}"


def events(text: str) -> Iterator[dict[str, str]]:
    """The events of a stream that carry data (HTML Living Standard, 9.2.6)."""
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.split("\n") if line and not line.startswith(":")]
        event = {name: value for name, _, value in lines}
        if "data" in event:
            yield event


@cache
def conformance() -> Conformance:
    """That of the built-in catalogue."""
    return Conformance(document())


class CheckedResponse(aiohttp.ClientResponse):
    """An answer that is as the document says, or fails the test that reads it."""

    async def read(self) -> bytes:
        """The body."""
        body = await super().read()
        if OURS.fullmatch(self.url.path) and "X-Request-Id" in self.headers:
            headers = {name.lower(): value for name, value in self.headers.items()}
            wrong = conformance().faults(self.method, self.url.path, self.status, headers, body)
            assert wrong == [], wrong
        return body


def checked_session() -> aiohttp.ClientSession:
    """A client that checks what it is answered, and sends no headers of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        response_class=CheckedResponse,
    )
