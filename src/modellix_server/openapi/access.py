"""Who may call a route. There is no default: a route without a level cannot be written down.

`tests/journeys/test_access.py` has a row for every route and tries each with every kind of credential.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from starlette.routing import Route


class Access(Enum):
    """What a request must show."""

    PUBLIC = "nothing"
    KEY = "a valid API key; things of other teams and of the other mode are not found"
    LINK = "a signature in the link"


class Declared(Route):
    """A route with its level; `endpoint` is an ASGI application."""

    def __init__(self, path: str, endpoint: Any, access: Access, methods: Sequence[str]) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self.access = access
