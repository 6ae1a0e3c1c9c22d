"""The description of one method of one route, as the tables of descriptions contain it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from starlette.routing import Route

from modellix_server.openapi.shapes import Schema

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class AnswerDoc:
    """The answer of a success."""

    schema: Schema
    """The `data` of the envelope; with `bare`, the whole body."""
    bare: bool = False
    beside: Mapping[str, Schema] = field(default_factory=dict)
    """Fields beside `data` in the envelope."""
    also: Mapping[str, Schema] = field(default_factory=dict)
    """Other content types that a client may request."""
    headers: Mapping[str, Schema] = field(default_factory=dict)
    """Further headers, beside those of every answer of its level: header objects of OpenAPI."""
    mime: str = JSON
    plain: bool = False
    """It is sent as a file is, or as a range of one: without the headers of JSON answers."""
    about: str = "Success"
    component: str = ""
    """Its name in `components/responses`, where several operations share it."""
    links: Mapping[str, Any] = field(default_factory=dict)
    """Follow-up requests with values of the answer: link objects of OpenAPI."""


@dataclass(frozen=True, slots=True)
class BodyDoc:
    """The body of a request."""

    schema: Schema
    required: bool = True
    mime: str = JSON
    also: Mapping[str, Schema] = field(default_factory=dict)
    """Other content types that it may have."""


@dataclass(frozen=True, slots=True)
class RouteDoc:
    """One method of one route."""

    id: str
    tag: str
    summary: str
    answer: AnswerDoc
    about: str = ""
    """Details beyond the summary."""
    parameters: tuple[Schema, ...] = ()
    """Parameters in path, query and headers: parameter objects of OpenAPI, or references to some."""
    body: BodyDoc | None = None
    refuses: tuple[int, ...] = ()
    """Statuses of errors, beside those of every route of its level."""
    empty: Mapping[int, str] = field(default_factory=dict)
    """Answers without a body that are neither success nor error: status -> what it means."""
    public: bool = False
    """It needs no key."""
    openai_errors: bool = False
    """Its errors have OpenAI's form."""
    knows_key: bool = False
    """For a public route: it reads a key, if there is one."""


class Access(Enum):
    """The credentials that a request needs."""

    PUBLIC = "nothing"
    KEY = "a valid API key; things of other teams and of the other mode are not found"
    LINK = "a signature in the link"


class Declared(Route):
    """A route with its level and the permission that it asks for; `endpoint` is an ASGI application or a function.

    Permissions are those of `operations.principal`, as words: this room knows no operations.
    """

    def __init__(
        self, path: str, endpoint: Any, access: Access, permission: str | None, methods: Sequence[str]
    ) -> None:
        """Raises TypeError for a route that asks for a key and not for a permission."""
        if access is Access.KEY and permission is None:
            raise TypeError(f"{path}: a route for callers with a key asks for a permission")
        super().__init__(path, endpoint, methods=list(methods))
        self.access = access
        self.permission = permission
