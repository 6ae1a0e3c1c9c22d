"""Who may call a route. There is no default: a route cannot be declared without a level and a permission.

`tests/journeys/test_access.py` has a row for every route and tries each with every kind of credential.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from starlette.routing import Route


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
