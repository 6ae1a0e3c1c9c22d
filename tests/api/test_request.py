"""What a request is made of."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from modellix_server.api.protocol import LINE
from modellix_server.api.request import read_head


class Cycle:
    """As the server's: it has the scope, and what the scope offers leads back to it."""

    def __init__(self) -> None:
        extensions: dict[str, Any] = {LINE: Line(self)}
        self.scope = {"method": "GET", "path": "/", "headers": [], "query_string": b"", "extensions": extensions}


class Line:
    request_id = "req"

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle


async def receive() -> Any:
    raise AssertionError


def test_a_request_that_is_over_needs_no_garbage_collection() -> None:
    gc.disable()
    try:
        cycle = Cycle()
        request = read_head(cycle.scope, receive)
        assert isinstance(request.line, Line)
        alive = weakref.ref(cycle)
        del cycle, request
        assert alive() is None
    finally:
        gc.enable()
