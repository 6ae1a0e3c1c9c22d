"""`GET /metrics` of one process, at an address of its own: it is for the operator, not for the platform's clients."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from modellix_server.base import metrics
from modellix_server.base.database import Pool
from modellix_server.base.metrics import Gauges, Labels, gauge
from modellix_server.base.settings import BadSettings, Settings

_SERVER: dict[str, Any] = {"lifespan": "off", "ws": "none", "access_log": False, "log_config": None, "loop": "none"}
_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process that this is a part of."""
        yield


@contextlib.asynccontextmanager
async def serve_metrics(settings: Settings, db: Pool, gauges: Gauges) -> AsyncIterator[None]:
    """Answer scrapes while the block runs, if an address is set. Raises BadSettings when it cannot be used."""
    if not settings.metrics_address:
        yield
        return
    listener = _listen(settings.metrics_address)
    gauges.add(_build)
    gauges.add(lambda: _pool(db))

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        found = scope["type"] == "http" and scope["path"] == "/metrics"
        body = (await metrics.render(gauges)).encode() if found else b"see /metrics\n"
        headers = [(b"content-type", _TYPE), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    server = _Server(uvicorn.Config(app, **_SERVER))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _listen(address: str) -> socket.socket:
    try:
        parts = urlsplit(f"//{address}")
        if not parts.hostname or not parts.port:
            raise ValueError("it must be HOST:PORT")
        family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
        return socket.create_server((parts.hostname, parts.port), family=family)
    except (ValueError, OSError) as error:
        raise BadSettings(f"MODELLIX_METRICS_ADDRESS {address!r} cannot be used: {error}") from None


async def _build() -> list[str]:
    labels = (version("modellix-server"), platform.python_version())
    return gauge("modellix_build_info", "What runs here.", {labels: 1}, ("version", "python"))


async def _pool(db: Pool) -> Iterable[str]:
    used: dict[Labels, float] = {
        ("used",): float(db.open - db.idle),
        ("idle",): float(db.idle),
    }
    most = gauge("modellix_pool_connections_max", "Connections that the pool may open.", db.most)
    return [*gauge("modellix_pool_connections", "Connections to the database.", used, ("state",)), *most]
