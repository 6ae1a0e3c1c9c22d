"""A route declares the permission that its operation requires: the dispatcher refuses what the operation would."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from modellix_server.api import app, events
from modellix_server.api.hot import status, submit
from modellix_server.operations import submissions, tasks
from modellix_server.operations.table import OPERATIONS

ROUTES = [
    (f"{method} {path}", handler, permission) for method, path, handler, permission in (*app._PLAIN, *app._PUBLIC)
]
FREE = {"validate_key", "healthy", "ready"}


def required(handler) -> set[str]:
    """The permissions of the operations that a handler calls."""
    names = vars(inspect.getmodule(handler))
    found = set()
    for module, function in re.findall(r"\b(\w+)\.(\w+)\(", inspect.getsource(handler)):
        if isinstance(named := names.get(module), ModuleType):
            found.add(OPERATIONS.get(f"{named.__name__.removeprefix('modellix_server.operations.')}.{function}"))
    return found - {None}


@pytest.mark.parametrize(("handler", "permission"), [one[1:] for one in ROUTES], ids=[one[0] for one in ROUTES])
def test_a_route_declares_what_its_operation_requires(handler, permission) -> None:
    found = required(handler)
    assert permission in found if found else (handler.__name__ in FREE and permission is None)


def test_so_do_the_hot_ones() -> None:
    submitting, streaming, reading = app._hot_endpoints(None)
    assert submitting.permission in required(submit.accept_task)
    assert streaming.permission == submitting.permission
    assert reading.permission in required(status.read_task)
    assert required(events.TaskStream.read) == {reading.permission}
    assert (submit.submissions, status.tasks) == (submissions, tasks)
