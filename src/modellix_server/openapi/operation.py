"""What the document says about one method of one route, as the tables of operations write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modellix_server.openapi.shapes import Schema

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class AnswerDoc:
    """What a success looks like."""

    schema: Schema
    """The `data` of the envelope; with `bare`, the whole body."""
    bare: bool = False
    beside: Mapping[str, Schema] = field(default_factory=dict)
    """What stands beside `data` in the envelope."""
    also: Mapping[str, Schema] = field(default_factory=dict)
    """Other content types that may be asked for."""
    headers: Mapping[str, Schema] = field(default_factory=dict)
    """Besides those of every answer of its level: header objects of OpenAPI."""
    mime: str = JSON
    about: str = "Success"
    component: str = ""
    """Its name among `components/responses`, where several operations answer so."""
    links: Mapping[str, Any] = field(default_factory=dict)
    """What can be asked with what the answer tells: link objects of OpenAPI."""


@dataclass(frozen=True, slots=True)
class BodyDoc:
    """What a request carries."""

    schema: Schema
    required: bool = True
    mime: str = JSON


@dataclass(frozen=True, slots=True)
class RouteDoc:
    """One method of one route."""

    id: str
    tag: str
    summary: str
    answer: AnswerDoc
    about: str = ""
    """What the summary leaves unsaid."""
    parameters: tuple[Schema, ...] = ()
    """Of path, query and head: parameter objects of OpenAPI, or references to some."""
    body: BodyDoc | None = None
    refuses: tuple[int, ...] = ()
    """Statuses of errors, besides those that every route of its level can answer with."""
    empty: Mapping[int, str] = field(default_factory=dict)
    """Answers without a body that are neither success nor error: status -> what it means."""
    knows_key: bool = False
    """Of a public route: it looks at a key, if there is one."""
