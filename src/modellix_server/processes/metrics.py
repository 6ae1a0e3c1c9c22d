"""`GET /metrics` of one process, at an address of its own: it is for the operator, not for the platform's clients."""

import asyncio
import contextlib
import platform
import socket
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from modellix_server.base import metrics
from modellix_server.base.database import Pool
from modellix_server.base.metrics import Counter, Gauge, Gauges, Histogram, Labels, gauge
from modellix_server.base.settings import BadSettings, Settings

_SERVER: dict[str, Any] = {"lifespan": "off", "ws": "none", "access_log": False, "log_config": None, "loop": "none"}
_PROCESS = ProcessCollector(registry=None)


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
        if scope["type"] == "http" and scope["path"] == "/metrics":
            status, (body, kind) = (
                200,
                await _render(gauges, dict(scope["headers"]).get(b"accept", b"").decode("latin-1")),
            )
        else:
            status, body, kind = 404, b"see /metrics\n", "text/plain"
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
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


class _Snapshot(Collector):
    """What all metrics say now."""

    def __init__(self, gauges: list[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """In the library's own form."""
        yield from map(_counted, metrics.counters)
        yield from map(_measured, metrics.histograms)
        yield from _PROCESS.collect()
        yield from map(_read, self._gauges)


async def _render(gauges: Gauges, accept: str) -> tuple[bytes, str]:
    """Everything, in a form that the asker takes, and that form's name."""
    encode, kind = choose_encoder(accept)
    return encode(_Snapshot(await gauges.read())), kind


def _counted(counter: Counter) -> Metric:
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    for values, count in list(counter.items()) or [((), 0)] * (not counter.labels):
        family.add_metric([str(value) for value in values], count)
    return family


def _measured(histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
    bounds = [f"{bound:g}" for bound in histogram.bounds] + ["+Inf"]
    for labels, counts, total in histogram.rows():
        family.add_metric(labels, list(zip(bounds, counts, strict=True)), total)
    return family


def _read(found: Gauge) -> Metric:
    family = GaugeMetricFamily(found.name, found.help, labels=found.labels)
    for labels, value in found.values.items():
        family.add_metric(labels, value)
    return family


async def _build() -> list[Gauge]:
    labels = (version("modellix-server"), platform.python_version())
    return gauge("modellix_build_info", "What runs here.", {labels: 1}, ("version", "python"))


async def _pool(db: Pool) -> list[Gauge]:
    used: dict[Labels, float] = {
        ("used",): float(db.open - db.idle),
        ("idle",): float(db.idle),
    }
    most = gauge("modellix_pool_connections_max", "Connections that the pool may open.", db.most)
    return [*gauge("modellix_pool_connections", "Connections to the database.", used, ("state",)), *most]
