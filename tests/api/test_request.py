"""What a request is made of."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from modellix_server.api.hot.client_connection import CONNECTION
from modellix_server.api.hot.exchange import HotRequest


class Cycle:
    """As the server's: it has the scope, and what the scope offers leads back to it."""

    def __init__(self) -> None:
        extensions: dict[str, Any] = {CONNECTION: Connection(self)}
        self.scope = {"method": "GET", "path": "/", "headers": [], "query_string": b"", "extensions": extensions}


class Connection:
    request_id = "req"

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle


async def receive() -> Any:
    raise AssertionError


def test_a_request_that_is_over_needs_no_garbage_collection() -> None:
    gc.disable()
    try:
        cycle = Cycle()
        request = HotRequest(None, cycle.scope, receive)
        assert isinstance(request.connection, Connection)
        alive = weakref.ref(cycle)
        del cycle, request
        assert alive() is None
    finally:
        gc.enable()
